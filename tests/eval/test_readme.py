"""What the README states of the embedded models stands in the files that the measurements wrote."""

import json
import re
from pathlib import Path

import pytest

from eval import tiny_report

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "eval" / "results"
ARROWS = re.compile(r"[*_↑↓]| \([^)]*\)")
"""Marks, arrows and what is in brackets (units in a head, intervals in a cell)."""


def block(name: str) -> list[str]:
    """The lines between the marks of a block of the README."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, f"the README has no block {name}"
    return found[1].splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def heads(line: str) -> list[tuple[str, int]]:
    """Names of columns, numbered where several are alike."""
    names = [ARROWS.sub("", cell).strip() for cell in cells(line)]
    return [(name, names[:k].count(name)) for k, name in enumerate(names)]


def tables(lines: list[str]) -> list[list[dict[tuple[str, int], str]]]:
    """Every table of some Markdown, as rows of column -> cell."""
    result, head = [], None
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("|"):
            head = None
        elif after.startswith("| ---"):
            head = heads(line)
            result.append([])
        elif not line.startswith("| ---"):
            result[-1].append(dict(zip(head, cells(line), strict=True)))
    return result


def measured(file: Path) -> list[list[dict[tuple[str, int], str]]]:
    """The tables of a result's file, without what the paper prints."""
    return tables(file.read_text().partition("**Printed in the paper**")[0].splitlines())


def test_the_report_is_that_of_the_file() -> None:
    kept = tiny_report.markdown(json.loads((ROOT / "assets" / "tiny" / "report.json").read_text())).splitlines()
    level, stated = None, []
    for lines in (kept, block("report")):
        rows = []
        for line in filter(None, lines):
            level = line if line.startswith("**") else level
            rows.append((level, line) if line.startswith("|") else line)
        stated.append(rows)
    missing = [row for row in stated[1] if row not in stated[0]]
    assert stated[1] and not missing


@pytest.mark.parametrize("name", ["tables", "known"])
def test_every_row_is_in_a_table_of_the_results(name) -> None:
    """A table of the README may leave out rows and columns of one of the files; what it has is the file's, mark for mark."""
    kept = [table for file in sorted(RESULTS.glob("*.md")) for table in measured(file)]
    found = tables(block(name))
    assert found
    for table in found:
        wrong = [
            next((row for row in table if not any(row.items() <= other.items() for other in source)), None)
            for source in kept
        ]
        assert None in wrong, f"no file of eval/results has all rows of the README's table that starts with {table[0]}"


@pytest.mark.parametrize("file", sorted(RESULTS.glob("table_*.md")), ids=lambda file: file.stem)
def test_every_table_says_how_it_was_made(file) -> None:
    text = file.read_text()
    assert "Made with: profile tiny" in text and "resnet18_110.pth, which has no public address" not in text
