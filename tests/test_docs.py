"""What the documents say can be done: commands exist, code runs, links lead somewhere, numbers have commands."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from difface import cli as library
from difface.methods import METHODS
from difface.metrics.base import PerImageMetric
from eval import cli as evaluation

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("assets/**/*.md"), *ROOT.glob("eval/*.yaml")]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
QUANTITY = re.compile(
    r"\d[\d.,]*\s?(dB|degrees|seconds|s\b|ms\b|minutes|hours|GB|MB|%|times as)|(PSNR|SSIM|FID|FD[- ]\w+)\D{0,15}\d"
)
COMMAND = re.compile(r"python -m |difface \w|accelerate launch|pip install")
OURS = re.compile(r"(python -m (difface|eval)|accelerate launch -m eval|difface) \w")
documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def sections(text: str) -> list[str]:
    """The text cut at its headings of the first and second level, without front matter."""
    return re.split(
        r"^(?=##? )", re.sub(r"^---\n.*?^---\n", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
    )


def prose(section: str) -> list[str]:
    """Its lines outside code and tables."""
    return [line for line in FENCE.sub("", section).splitlines() if not line.lstrip().startswith("|")]


def commands() -> list[tuple[str, str]]:
    """Every line of a fence that calls our programs, with the document that has it."""
    found = []
    for path in DOCUMENTS:
        for _, language, block in FENCE.findall(path.read_text()):
            for line in block.splitlines() if language != "python" else []:
                if OURS.match(line.strip()):
                    found.append((path.relative_to(ROOT).as_posix(), line.strip().partition(" #")[0]))
    return found


@documents
def test_measured_numbers_stand_beside_a_command(path) -> None:
    """In the same section: a command, a mark that the number is an estimate, or a link to what has the command."""
    for section in sections(path.read_text()) if path.suffix == ".md" else []:
        lines = [line for line in prose(section) if QUANTITY.search(line)]
        assert not lines or COMMAND.search(section) or "est." in section, f"without a command: {lines[0]}"


@documents
def test_links_lead_somewhere(path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
        if not re.match(r"https?:|mailto:", target):
            folder = ROOT / "docs" if path.suffix == ".yaml" else path.parent
            assert (folder / target).exists(), target


def test_there_are_commands() -> None:
    assert len(commands()) > 15


@pytest.mark.parametrize("document, line", commands(), ids=lambda text: text[:60])
def test_commands_and_their_options_exist(document, line) -> None:
    before, _, after = re.sub(r"^(python|accelerate launch) -m ", "", line).partition(" ")
    app = evaluation.app if before == "eval" else library.app
    words = shlex.split(after)
    command = typer.main.get_command(app).commands[words[0]]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.strip("[]").partition("=")[0] for word in words[1:] if re.match(r"\[?--?[a-z]", word)}
    assert used <= known | {"--help"}


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 135
    assert len(re.findall(r"^\| *---", text, re.MULTILINE)) == 2  # the results, and where to read on


def test_the_readme_s_python_runs(tmp_path, monkeypatch) -> None:
    [code] = [block for _, language, block in FENCE.findall((ROOT / "README.md").read_text()) if language == "python"]
    assert len(code.splitlines()) <= 12
    (tmp_path / "face.png").write_bytes((ROOT / "assets" / "examples" / "astronaut_middle.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"face.png", "restored.png", "first_guess.png"}


def test_the_example_of_a_metric_is_one() -> None:
    [code] = [
        block for _, language, block in FENCE.findall((ROOT / "docs/design.md").read_text()) if language == "python"
    ]
    names = {"torch": torch, "PerImageMetric": PerImageMetric}
    exec(compile(code, "design.md", "exec"), names)
    metric = names["MeanAbsoluteError"]()
    metric.update(torch.full((2, 3, 4, 4), 0.5), torch.tensor([0.25, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4))
    assert metric.values == [0.25, 0.5] and metric.compute() == 0.375


def test_constraints_pin_every_direct_dependency() -> None:
    """Released versions alone: no build of one machine, none that the requirements refuse."""
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", pin) for pin in pins) and "torch==2.13.0" not in pins
    versions = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins)}
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            if line and not line.startswith("#"):
                wanted = Requirement(line)
                assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), line


def test_the_readme_counts_the_methods() -> None:
    """In words, beside DifFace itself."""
    numbers = {15: "Fifteen", 16: "Sixteen", 17: "Seventeen", 18: "Eighteen", 19: "Nineteen", 20: "Twenty"}
    assert f"{numbers[len(METHODS) - 1]} other methods" in (ROOT / "README.md").read_text()
