"""Every printed number has one state, and none is called reproduced that was not measured on the paper's data."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from eval import paper, status
from eval.cli import main
from eval.tables.build import Block, Cell, Line, Result
from eval.tables.render import frame

ROOT = Path(status.__file__).parent.parent
PROOF = ROOT / "eval" / "proof"
REMEDY = "run `DIFFACE_CACHE=/nowhere python -m eval status -o docs/status`"


def table(folder: Path, as_printed: bool, psnr: float, interval: tuple[float, float] | None) -> None:
    """Results of Table I as `eval table` writes them, with one measured number and a run of the prior's size."""
    cells = {column: Cell() for column in ("PSNR", "SSIM", "Params prior")}
    cells |= {"PSNR": Cell(psnr, None, interval), "Params prior": Cell(159.5912)}
    line = Line("DifFace(SwinIR)", cells, {})
    block = Block("celeba", "", (line,), as_printed)
    frame(Result("I", "", tuple(cells), (block,), ())).to_csv(folder / "table_I.csv", index=False)


def of(numbers: list[status.Number], column: str) -> status.Number:
    [found] = [n for n in numbers if (n.table, n.method, n.column) == ("I", "DifFace(SwinIR)", column)]
    return found


@pytest.mark.parametrize(
    ("psnr", "interval", "state"),
    [
        (23.40, (23.2, 23.5), "reproduced"),  # 23.44 is printed
        (23.30, (23.1, 23.436), "reproduced"),  # it is rounded
        (23.30, (23.1, 23.43), "off"),
        (23.443, None, "reproduced"),
        (23.45, None, "off"),
    ],
)
def test_on_the_papers_data_the_interval_decides(no_weights, tmp_path, psnr, interval, state):
    table(tmp_path, True, psnr, interval)
    found = of(status.status(tmp_path), "PSNR")
    assert (found.state, found.measured, found.printed) == (state, psnr, 23.44)
    assert found.difference == (pytest.approx(psnr - 23.44) if state == "off" else None)
    assert of(status.status(tmp_path), "Params prior").state == "reproduced"


def test_other_data_is_never_reproduced(no_weights, tmp_path):
    table(tmp_path, False, 23.44, (23.4, 23.5))
    found = of(status.status(tmp_path), "PSNR")
    assert found.state == "other data" and "celeba" in found.said
    kept = pd.read_csv(tmp_path / "table_I.csv").drop(columns="as printed")  # as tables from before it was written
    kept.to_csv(tmp_path / "table_I.csv", index=False)
    assert of(status.status(tmp_path), "PSNR").state == "other data"
    assert status.counts(status.status(tmp_path))["reproduced"] == 0


def test_all_printed_numbers_are_there_and_say_what_gets_them(no_weights, tmp_path):
    numbers = status.status(tmp_path)
    printed = [
        (table.number, block.name, row.method, column.name, value)
        for table in paper.tables().values()
        for block in table.blocks
        for row in block.rows
        for column, value in zip(table.columns, row.values, strict=True)
        if value is not None
    ]
    assert [(n.table, n.block, n.method, n.column, n.printed) for n in numbers] == printed and len(printed) == 394
    assert all(n.state == "cannot run" and "python -m eval table" in n.detail for n in numbers)
    ours = next(n for n in numbers if (n.table, n.method, n.column) == ("III", "DifFace", "LPIPS"))
    assert "difface fetch ffhq512 --accept-licence" in ours.detail and "fetch vgg16-397923af.pth" in ours.detail
    other = next(n for n in numbers if (n.table, n.method) == ("III", "PULSE"))
    assert "--methods pulse=DIR" in other.detail and "fetch ffhq512" in other.detail


def test_run_times_are_a_machines(no_weights, tmp_path):
    line = Line("DifFace", {"Runtime": Cell(4.32)}, {})
    result = Result("VIII", "", ("Runtime",), (Block("celeba", "", (line,), True),), ())
    frame(result).to_csv(tmp_path / "table_VIII.csv", index=False)
    [found] = [n for n in status.status(tmp_path) if (n.table, n.method) == ("VIII", "DifFace")]
    assert found.state == "other data" and "another machine" in found.said


def test_the_committed_tables_claim_nothing(no_weights, tmp_path, capsys):
    assert main(["status", "-o", str(tmp_path)]) == 0
    told = json.loads((tmp_path / "status.json").read_text())
    assert told["counts"]["reproduced"] == told["counts"]["off"] == 0 and len(told["numbers"]) == 394
    assert sum(told["counts"].values()) == 394 and told["counts"]["other data"] > 20
    assert "0 of 394 reproduced" in (tmp_path / "status.svg").read_text()
    page = (tmp_path / "status.html").read_text()
    assert page.count("<tr class=") == 394 and "| all | 0 | 0 |" in capsys.readouterr().out


def test_the_page_links_to_the_pictures_behind_a_number(no_weights, tmp_path):
    """From another folder, of the results that are kept whole; numbers that are of no pictures have no link."""
    numbers = status.status(PROOF)
    status.write(numbers, tmp_path / "page", PROOF)
    page = (tmp_path / "page" / "status.html").read_text()
    links = dict(zip(re.findall("<a href='(.*?)'", page), re.findall("<img src='(.*?)'", page), strict=True))
    scored = [number for number in numbers if number.pictures]
    assert {(number.table, number.method, number.column) for number in scored} >= {("III", "DifFace", "PSNR")}
    assert all(number.measured is not None and number.column not in ("Runtime", "Params prior") for number in scored)
    for folder, first in links.items():
        assert (tmp_path / "page" / folder).is_dir() and (tmp_path / "page" / first).suffix == ".png"
        assert (tmp_path / "page" / first).is_file()
    assert page.count("<a href=") == len(scored) > 2 and "<a href=" not in status._page(status.status(), ROOT, ROOT)


def test_the_kept_page_and_badge_are_of_today(no_weights):
    """docs/status has what `python -m eval status -o docs/status` writes where no other weights are."""
    numbers, folder = status.status(), ROOT / "docs" / "status"
    assert (folder / "status.md").read_text() == status.markdown(numbers) + "\n", REMEDY
    assert (folder / "status.svg").read_text() == status.badge(numbers), REMEDY
    assert "docs/status/status.svg" in (ROOT / "README.md").read_text()
