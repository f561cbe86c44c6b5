"""docs/rivals.md: a line for every method, true to the paper's tables, the catalog and the command line's names."""

import re
from pathlib import Path

import pytest

from difface.methods import LEARNED, METHODS
from difface.weights import CATALOG
from eval import paper

TEXT = (Path(__file__).parents[1] / "docs" / "rivals.md").read_text()
OURS = re.compile(r"^Dif(Face)?\b|^Diffusion$")
DISCUSSED = ("SRDiff", "IDM", "LDM", "DiffBFR", "ILVR", "CCDF", "GDP")
LATER = [
    "PMRF",
    "OSDFace",
    "DiffBIR",
    "ResShift",
    "InterLCM",
    "RestoreFormer++",
    "DAEFR",
    "DynFaceRestore",
    "DPS",
    "DDNM",
    "DiffPIR",
    "RED-diff",
    "SDEdit",
]


def lines() -> dict[str, dict[str, str]]:
    """Method -> the cells of its line by column; a method has one line."""
    found, columns = {}, []
    for row in (line for line in TEXT.splitlines() if line.startswith("|")):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        if cells[0] == "method":
            columns = cells
        elif not cells[0].startswith("---"):
            assert len(cells) == len(columns) and cells[0] not in found, cells
            found[cells[0]] = dict(zip(columns, cells, strict=True))
    return found


LINES = lines()


def line(name: str) -> dict[str, str]:
    [found] = [cells for method, cells in LINES.items() if name in re.split(r", printed |, ", method)]
    return found


def printed() -> dict[str, list[str]]:
    """Method of the paper's tables -> the tables that it stands in."""
    found: dict[str, list[str]] = {}
    for number, table in paper.tables().items():
        for row in table.blocks[0].rows:
            if not OURS.match(row.method):
                found.setdefault(row.method, []).append(number)
    return found


@pytest.mark.parametrize(("method", "tables"), printed().items())
def test_every_method_of_the_paper_has_a_line_with_its_tables(method, tables) -> None:
    assert line(method)["tables"].split(", ") == tables


def test_the_papers_24_systems_and_those_after_it_are_there() -> None:
    systems = set(printed()) - {"SRCNN", "SwinIR"}
    assert len(systems | set(DISCUSSED)) == 24
    assert all(line(name)["tables"] == "discussed" for name in DISCUSSED)
    assert all(line(name)["tables"] == "-" for name in LATER)


def test_what_runs_here_is_named_as_on_the_command_line() -> None:
    said = {name for cells in LINES.values() for name in re.findall(r"`([\w.-]+)`", cells.get("`--method`", ""))} - {
        "--scale"
    }
    assert said == (METHODS | LEARNED).keys() - {"difface"}


@pytest.mark.parametrize(
    "kind", [kind for kind in LEARNED.values() if hasattr(kind, "file")], ids=lambda kind: kind.name
)
def test_files_and_licences_are_the_catalogs(kind) -> None:
    cells = line(kind.name)
    assert cells["file"] == f"`{kind.file}`" and cells["licence of the weights"] == CATALOG[kind.file].licence


def test_what_is_scored_by_its_outputs_says_what_makes_them() -> None:
    by_outputs = [cells for cells in LINES.values() if "what makes the folder" in cells]
    assert len(by_outputs) == 18
    for cells in by_outputs:
        assert all(cells.values())
        assert "none found" in cells["official code"] or re.match(r"[\w.-]+/[\w.-]+", cells["official code"])
