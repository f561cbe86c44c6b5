"""The page of all results: the tables of eval/results and the reports in assets, with the prose that goes with them."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml

from difface import profiles
from difface.files import whole_file
from difface.schedulers import FAST_CALLS
from eval.markdown import markdown_grid
from eval.reports import embedded, fairness
from eval.settings import Setting

RESULTS = Path(__file__).resolve().parent / "results"
_TEXT = Path(__file__).with_suffix(".yaml")
_HEAD = """# Results

<!-- Made by `python -m eval results -o docs/results.md`; edit eval/results_page.yaml instead. -->
"""
_PRINTED = "**Printed in the paper**"
_REASONS = re.compile(r"n/a:\n\n(?:- .*\n)+\n?")
_REPORTS = {"report.json": embedded.markdown, "fairness.json": fairness.markdown}


def write(output: Path, readme: Path | None = None) -> list[Path]:
    """Write the page and, where asked, the small table of the README, each file whole or not at all.

    Args:
        output: the Markdown file; its links are relative to its folder.
        readme: a Markdown file whose lines between `<!-- results -->` and `<!-- /results -->` are replaced.

    Returns:
        The files written.

    Raises:
        ValueError: `readme` lacks the two marks.
    """
    texts = {output: page(output.resolve().parent)}
    if readme is not None:
        texts[readme] = with_front_table(readme.read_text(encoding="utf-8"), str(readme))
    for path, text in texts.items():
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(texts)


def page(folder: Path) -> str:
    """The whole page, for a file that lies in `folder`."""
    left, parts = _files(), [_HEAD]
    for section in yaml.safe_load(_TEXT.read_text(encoding="utf-8"))["sections"]:
        parts += [f"## {section['title']}", section["text"].strip()]
        for name, above in section.get("show", {}).items():
            for path in [path for path in left if path.name == name]:
                left.remove(path)
                parts += [above] if above else []
                parts += _shown(path, folder)
    parts += ["## More"] if left else []
    for path in left:
        parts += [f"**{path.stem}**", *_shown(path, folder)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def front_table(report: dict) -> str:
    """The README's small table at the middle level: input, f(y), DifFace at its N, and real faces.

    Args:
        report: of the embedded models, as `eval.reports.embedded` writes it; settings that it lacks are left out.
    """
    chosen, estimator = profiles.profile(profiles.DEFAULT), profiles.restoring_estimator(profiles.DEFAULT)
    ours = Setting(profiles.DEFAULT, estimator, chosen.begin_index)
    fast = replace(ours, scheduler=chosen.fast, steps=FAST_CALLS)
    names = {
        ("middle", Setting()): "the input",
        ("middle", replace(ours, begin_index=None)): "the plain network's guess, f(y)",
        ("middle", ours): "**DifFace**",
        ("middle", fast): "**DifFace**, `--fast`",
        ("untouched", Setting()): "real faces",
    }
    rows = {(row["level"], _setting(row["setting"])): row for row in report["rows"]}
    body = []
    for key, name in ((key, name) for key, name in names.items() if key in rows):
        psnr = "-" if rows[key]["PSNR"] is None else f"{rows[key]['PSNR']:.2f}"
        body.append([name, psnr, f"{rows[key]['ID angle']:.1f}", embedded.distance(rows[key], "FD identity")])
    return markdown_grid([["", "PSNR ↑ (dB)", "ID angle ↓ (degrees)", "FD identity ↓"], *body])


def _setting(told: dict) -> Setting:
    """What a report's row tells of its setting; the networks are those of the report's profile."""
    return Setting(profiles.DEFAULT if told["estimator"] else Setting().profile, **told)


def with_front_table(text: str, name: str) -> str:
    """`text` with the small table of today's report between its marks.

    Raises:
        ValueError: there are no marks; `name` says where.
    """
    report = json.loads((profiles.ASSETS / profiles.DEFAULT / "report.json").read_text(encoding="utf-8"))
    marks = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)
    if not marks.search(text):
        raise ValueError(
            f"{name} has no lines <!-- results --> and <!-- /results -->: put them where the table belongs."
        )
    return marks.sub(lambda found: found[1] + front_table(report) + "\n" + found[2], text)


def _files() -> list[Path]:
    """Reports, tables as Markdown, and what is a CSV file alone; in order of name; scores and manifests lie deeper."""
    tables = sorted([*RESULTS.glob("*.md"), *RESULTS.glob("*/*.md")])
    alone = [path for path in sorted(RESULTS.glob("*.csv")) if path.with_suffix(".md") not in tables]
    return [*(path for name in _REPORTS for path in sorted(profiles.ASSETS.glob(f"*/{name}"))), *tables, *alone]


def _shown(path: Path, folder: Path) -> Iterator[str]:
    """A file as Markdown, and a link to it."""
    link = Path(os.path.relpath(path, folder)).as_posix()
    if path.name in _REPORTS:
        yield f"### {path.parent.name}"
        yield _REPORTS[path.name](json.loads(path.read_text(encoding="utf-8")))
        if path.with_suffix(".png").exists():
            yield f"![{path.stem}]({Path(link).with_suffix('.png').as_posix()})"
    elif path.suffix == ".csv":
        table = pd.read_csv(path)
        yield markdown_grid(
            [list(table.columns), *([_text(value) for value in row] for row in table.itertuples(index=False))]
        )
    else:
        text = path.read_text(encoding="utf-8")
        yield _REASONS.sub("", text.partition(_PRINTED)[0])
        if path.with_suffix(".png").exists():
            yield f"![{path.stem}]({Path(link).with_suffix('.png').as_posix()})"
        if _PRINTED in text:
            yield f"What the paper prints, and why a number is missing: [{path.name}]({link})."
            return
    yield f"[{path.name}]({link})"


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
