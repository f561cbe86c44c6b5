"""The numbers in README and docs/results.md are those that were measured, and no new file is forgotten there."""

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from difface import profiles
from eval import results_page

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "eval" / "results"
PAGE = ROOT / "docs" / "results.md"
REMEDY = "run `python -m eval results -o docs/results.md --readme README.md`"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(text: str) -> list[list[list[str]]]:
    """Every table of some Markdown, as rows of cells, the head first."""
    result, inside = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif not inside:
            result.append([cells(line)])
            inside = True
        elif not re.fullmatch(r"[|\s:-]+", line):
            result[-1].append(cells(line))
    return result


def front() -> list[list[str]]:
    return tables((ROOT / "README.md").read_text().partition("<!-- results -->")[2])[0]


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == results_page.page(PAGE.parent), REMEDY


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("*.md")), ids=lambda file: file.stem)
def test_the_page_has_every_measured_table_whole(file) -> None:
    measured = tables(file.read_text().partition("**Printed in the paper**")[0])
    shown = tables(PAGE.read_text())
    assert measured and all(table in shown for table in measured)


@pytest.mark.parametrize("file", sorted(RESULTS.glob("trends_*.csv")), ids=lambda file: file.stem)
def test_the_page_has_every_trend(file) -> None:
    frame = pd.read_csv(file)
    for head, *rows in tables(PAGE.read_text()):
        if head == list(frame.columns):
            assert [[float(cell) for cell in row] for row in rows] == pytest.approx(frame.to_numpy(), rel=1e-5)
            return
    pytest.fail(f"docs/results.md has no table of {file.name}: {REMEDY}")


def test_the_readme_states_what_the_report_says() -> None:
    rows = json.loads((profiles.ASSETS / "small" / "report.json").read_text())["rows"]
    wanted = {
        "the input": ("middle", None, None, "ddim"),
        "the plain network's guess, f(y)": ("middle", "swinir", None, "ddim"),
        "**DifFace**, `--fast`": ("middle", "swinir", 250, profiles.profile("small").fast),
        "real faces": ("untouched", None, None, "ddim"),
    }
    _, *stated = front()
    assert [row[0] for row in stated] == list(wanted)
    for label, *numbers in stated:
        level, *setting = wanted[label]
        found = [
            row
            for row in rows
            if row["level"] == level
            and [row["setting"][key] for key in ("estimator", "begin_index", "scheduler")] == setting
            and row["setting"]["steps"] in (5, 250)
            and not row["setting"]["official_start"]
        ]
        assert len(found) == 1
        values = [found[0][name] for name in ("PSNR", "ID angle", "FD identity")]
        texts = ["-" if v is None else f"{v:.{digits}f}" for v, digits in zip(values, (2, 1, 1), strict=True)]
        texts[-1] += f" ± {found[0]['FD identity error']:.1f}"
        assert numbers == texts, REMEDY


def test_new_files_come_by_themselves(tmp_path, monkeypatch) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "table_III.md").write_text(
        "### Table III: of others\n\n| a | b |\n| --- | ---: |\n| x | 7 |\n"
    )
    (tmp_path / "unheard_of.csv").write_text("method,score\nours,0.25\n")
    monkeypatch.setattr(results_page, "RESULTS", tmp_path)
    text = results_page.page(tmp_path)
    assert text.index("### Table III: of others") < text.index("## Trends") < text.index("**unheard_of**")
    assert [["method", "score"], ["ours", "0.25"]] in tables(text)
    assert "(small/table_III.md)" in text and "(unheard_of.csv)" in text


def test_a_readme_without_marks_is_refused_and_nothing_is_written(tmp_path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(ValueError, match="put them where the table belongs"):
        results_page.write(tmp_path / "results.md", tmp_path / "README.md")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("file", sorted(RESULTS.glob("table_*.md")), ids=lambda file: file.stem)
def test_every_table_says_how_it_was_made(file) -> None:
    text = file.read_text()
    assert "Made with: profile tiny" in text and "resnet18_110.pth, which has no public address" not in text


def shipped(name: str) -> str:
    [file] = (profiles.ASSETS / "tiny" / name).glob("*.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("file", sorted(RESULTS.glob("table_*.md")), ids=lambda file: file.stem)
def test_every_table_was_made_with_the_shipped_weights(file) -> None:
    made = next(line for line in file.read_text().splitlines() if line.startswith("Made with: "))
    told = [("unet", digest) for digest in re.findall(r"FD-prior \((\w+)\)", made)]
    for part in re.findall(r"; weights ([^;]+);", made):
        told += [tuple(one.split(" ")) for one in part.split(", ")]
    assert all(shipped(name).startswith(digest) and len(digest) == 10 for name, digest in told)
    assert "; weights " in made


def test_the_reports_of_the_default_were_made_with_the_shipped_weights() -> None:
    folder = profiles.ASSETS / profiles.DEFAULT
    for name in ("report.json", "fairness.json"):
        for network, digest in json.loads((folder / name).read_text())["weights"].items():
            [file] = (folder / network).glob("*.safetensors")
            assert hashlib.sha256(file.read_bytes()).hexdigest() == digest, f"measure {name} again"


def test_the_report_was_made_with_the_shipped_weights() -> None:
    report = json.loads((profiles.ASSETS / "tiny" / "report.json").read_text())
    if "weights" not in report:
        pytest.xfail("measured before the report recorded its weights")
    assert report["weights"] == {name: shipped(name) for name in ("srcnn", "swinir", "unet")}
