"""The printed numbers: against the paper's text, read here a second time, and against what the paper says about them.

The text has lost captions, arrows and Greek letters, not one number of a table. What is odd about its tables:

- the line under a header that holds one integer (all but VII and VIII) is the rest of a ruling, the number of the last
  column that it spans; `_is_ruling` proves that of each before it is passed over;
- Table II has lost the eta over 0, 0.25, 0.50, 0.75, 1.0;
- in VI the mask, in X the scale, is printed once and holds for the lines that follow;
- I prints two counts of parameters as a sum; IX says "Runntime".
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from difface.metrics import PSNR, SSIM
from eval import paper

NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")
FIRST_CELLS = ("Methods", "Metrics", "Datasets", "Mask Types")
NUMBER = re.compile(r"\d+(\.\d+)?")
Printed = dict[tuple[str | None, str, str], str]
"""(block, method, column) -> the digits as printed, in the order of our rows and columns."""


@pytest.fixture(scope="module")
def regions(testdata: Path) -> dict[str, list[list[str]]]:
    """Table -> its lines in the paper's text, each its cells that are not empty, without citations."""
    source = testdata / "paper.txt"
    if not source.exists():
        pytest.skip("no paper.txt in DIFFACE_TESTDATA")
    parts: list[list[list[str]]] = []
    inside = False
    for line in source.read_text(encoding="utf-8").splitlines():
        cells = [re.sub(r" \[\d+\]$", "", cell.strip()) for cell in line.split("|") if cell.strip()]
        inside = "|" in line and (inside or cells[0] in FIRST_CELLS)
        if inside and cells[0] in FIRST_CELLS:
            parts.append([])
        if inside:
            parts[-1].append(cells)
        else:  # an equation's number, a portrait: no line of a table may be passed over
            assert "|" not in line or len(cells) == 1
    return dict(zip(NUMERALS, parts, strict=True))


def _is_ruling(cells: list[str], header: list[str], first: list[str]) -> bool:
    """A lone integer that counts the columns: those named in the header, and those above but for the spanning one."""
    return len(cells) == 1 and cells[0].isdigit() and int(cells[0]) == len(header) + max(len(first) - 1, 1)


def _header(lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The names over the numbers, and the lines below them."""
    if len(lines) == 2:  # VII and VIII: one header line, one line of numbers
        return lines[0][1:], lines[1:]
    assert _is_ruling(lines[1], lines[2], lines[0])
    return lines[2], lines[3:]


def _rows(number: str, lines: list[list[str]]) -> Iterator[tuple[str | None, str, list[str]]]:
    """(block, label, numbers) of every line; each cell is a label or a number."""
    block = None
    for cells in lines:
        labels = [cell for cell in cells if not re.fullmatch(r"[\d.+]+", cell)]
        numbers = cells[len(labels) :]
        assert labels == cells[: len(labels)]
        if len(labels) == 2:
            method, block = labels if number == "X" else reversed(labels)
        elif number == "IV":
            (block,), method = labels, "FID-F"
        else:
            (method,) = labels
        yield block, method, numbers


def _printed(number: str, lines: list[list[str]]) -> Printed:
    """Every number of a table of the text, but for the image counts of IV."""
    names, below = _header(lines)
    methods_down = lines[0][0] == "Methods" and lines[0][-1] == "Metrics"
    result: Printed = {}
    for block, label, numbers in _rows(number, below):
        numbers = numbers[1:] if number == "IV" else numbers
        for name, digits in zip(names, numbers, strict=True):
            method, column = (label, name) if methods_down else (name, label)
            method = f"DifFace(eta={float(method):g})" if number == "II" else method
            for key, part in _columns(column, digits):
                assert NUMBER.fullmatch(part)
                assert (block, method, key) not in result
                result[block, method, key] = part
    return result


def _columns(column: str, digits: str) -> list[tuple[str, str]]:
    """Our columns of a printed cell: one, or two where it is a sum."""
    if column == "# Parameters(M)":
        return list(zip(("Params estimator", "Params prior"), digits.split("+"), strict=False))
    return [("Runtime" if column in ("Runtime (s)", "Runntime (s)") else column, digits)]


def _stored(table: paper.Table) -> Printed:
    return {
        (block.name, row.method, column.name): f"{number:.{column.digits}f}"
        for block in table.blocks
        for row in block.rows
        for column, number in zip(table.columns, row.values, strict=True)
        if number is not None
    }


def _order(keys: Printed, part: int) -> list[str]:
    """Blocks (0), methods (1) or columns (2), as they first appear."""
    return list(dict.fromkeys(key[part] for key in keys))


@pytest.mark.parametrize("number", NUMERALS)
def test_every_number_of_the_text_is_stored_and_no_other(number: str, regions) -> None:
    printed, stored = _printed(number, regions[number]), _stored(paper.table(number))
    assert stored == printed
    for part in range(3):
        assert _order(stored, part) == _order(printed, part)


@pytest.mark.parametrize("number", NUMERALS)
def test_the_digits_of_the_text_are_those_stored(number: str, regions) -> None:
    """Counted without reading rows: all numbers that stand alone or in a sum, less the ruling."""
    lines = regions[number]
    found = [part for cells in lines for cell in cells for part in cell.split("+") if NUMBER.fullmatch(part)]
    expected = list(_stored(paper.table(number)).values())
    if len(lines) > 2:
        expected += lines[1]
    if number == "II":
        expected += ["0", "0.25", "0.50", "0.75", "1.0"]
    if number == "IV":
        expected += [str(block.images) for block in paper.table("IV").blocks]
    assert sorted(found) == sorted(expected)


def test_image_counts_of_the_real_world_sets(regions) -> None:
    printed = {block: int(numbers[0]) for block, _, numbers in _rows("IV", _header(regions["IV"])[1])}
    assert {block.name: block.images for block in paper.table("IV").blocks} == printed


def test_all_tables_are_there_and_rectangular() -> None:
    assert tuple(paper.tables()) == NUMERALS
    for number, table in paper.tables().items():
        assert table.number == number and table.caption and table.columns and table.blocks
        assert len({column.name for column in table.columns}) == len(table.columns)
        assert all(isinstance(note, str) for note in table.notes)
        names = [block.name for block in table.blocks]
        assert len(set(names)) == len(names) and (names == [None] or None not in names)
        methods = [[row.method for row in block.rows] for block in table.blocks]
        assert all(part == methods[0] for part in methods) and len(set(methods[0])) == len(methods[0])
        for row in (row for block in table.blocks for row in block.rows):
            assert len(row.values) == len(table.columns)
            assert all(number is None or (isinstance(number, float) and number > 0) for number in row.values)


def test_only_a_count_of_parameters_is_missing() -> None:
    """The paper prints no dash; an estimator alone has no prior to count."""
    missing = [
        (table.number, row.method, column.name)
        for table in paper.tables().values()
        for block in table.blocks
        for row in block.rows
        for column, number in zip(table.columns, row.values, strict=True)
        if number is None
    ]
    assert missing == [("I", "SRCNN", "Params prior"), ("I", "SwinIR", "Params prior")]


def test_units_and_directions() -> None:
    columns = {column.name: column for table in paper.tables().values() for column in table.columns}
    assert {name: column.unit for name, column in columns.items() if column.unit} == {
        "PSNR": "dB",
        "IDS": "degrees",
        "LMD": "pixels",
        "Runtime": "s",
        "Params estimator": "M",
        "Params prior": "M",
    }
    assert {name for name, column in columns.items() if column.higher_is_better} == {"PSNR", "SSIM", "NRQM"}
    assert {name for name, column in columns.items() if column.higher_is_better is None} == {
        "Params estimator",
        "Params prior",
    }
    for metric in (PSNR, SSIM):
        assert columns[metric.name].higher_is_better == metric.higher_is_better


def _rank(number: str, method: str, column: str, block: str | None = None) -> int:
    """Place of a method in a column, 1 for the best."""
    table = paper.table(number)
    better = next(entry.higher_is_better for entry in table.columns if entry.name == column)
    rows = next(part.rows for part in table.blocks if part.name == block)
    numbers = {row.method: paper.value(number, row.method, column, block) for row in rows}
    return sorted(numbers.values(), reverse=better).index(numbers[method]) + 1


def test_the_directions_give_what_the_paper_says_of_its_tables() -> None:
    """Sec. VI-C: first or second throughout III. VI-D: best on WIDER and LFW, weak in V. VII-B: best average in VI."""
    assert all(_rank("III", "DifFace", column.name) <= 2 for column in paper.table("III").columns)
    assert _rank("IV", "DifFace", "FID-F", "WIDER") == _rank("IV", "DifFace", "FID-F", "LFW") == 1
    assert _rank("IV", "DifFace", "FID-F", "WebPhoto") > 1
    assert all(_rank("V", "DifFace", name) > 5 for name in ("NIQE", "NRQM", "PI"))
    assert _rank("VI", "DifFace", "LPIPS", "Average") == _rank("VI", "DifFace", "FID-G", "Average") == 1
    assert all(_rank("XI", "DifFace", column.name) == 1 for column in paper.table("XI").columns)


def test_pi_is_off_its_formula_where_the_notes_say_so() -> None:
    rows = paper.table("V").blocks[0].rows
    formula = {row.method: 0.5 * ((10 - row.values[1]) + row.values[0]) for row in rows}
    off = {name for name, pi in formula.items() if abs(paper.value("V", name, "PI") - pi) > 0.02}
    (note,) = (note for note in paper.table("V").notes if "PI =" in note)
    noted = {name: float(pi) for name, pi in re.findall(r"(\w+) (\d\.\d{3})\b", note)}
    assert set(noted) == off == set(formula)
    assert noted == pytest.approx(formula, abs=1e-9)


def test_average_over_masks_is_the_plain_mean() -> None:
    table = paper.table("VI")
    *kinds, average = (block.name for block in table.blocks)
    assert (len(kinds), average) == (4, "Average")
    for row in table.blocks[-1].rows:
        for column, printed in zip(table.columns, row.values, strict=True):
            mean = sum(paper.value("VI", row.method, column.name, kind) for kind in kinds) / 4
            assert printed == pytest.approx(mean, abs=0.5 * 10**-column.digits + 1e-9)
    assert any("24 values" in note for note in table.notes)


def test_rows_that_are_printed_twice_agree_but_for_the_noted_ssim() -> None:
    same_run = [("I", "DifFace(SwinIR)"), ("II", "DifFace(eta=0.5)"), ("III", "DifFace"), ("IX", "Dif(250/100)")]
    for column in ("PSNR", "LPIPS", "IDS", "LMD", "FID-F", "FID-G"):
        assert len({round(paper.value(number, method, column), 2) for number, method in same_run}) == 1
    assert [paper.value(number, method, "SSIM") for number, method in same_run] == [0.67, 0.67, 0.69, 0.69]
    for number, _ in same_run:
        assert any("0.670" in note and "0.690" in note for note in paper.table(number).notes)
    for column in paper.table("III").columns:
        assert paper.value("III", "CodeFormer", column.name) == paper.value("IX", "CodeFormer", column.name)
    for method, accelerated in (("DFDNet", "DFDNet"), ("CodeFormer", "CodeFormer"), ("DifFace", "Dif(250/100)")):
        assert paper.value("VIII", method, "Runtime") == paper.value("IX", accelerated, "Runtime")


def test_values_are_found_by_name() -> None:
    assert paper.value("VI", "LaMa", "FID-G", "Box") == 12.31
    assert paper.value("I", "SRCNN", "Params prior") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("12", "DifFace", "PSNR"), "no table '12'; I, II, .*XI are accepted"),
        (("III", "Bicubic", "PSNR"), "table III has no method 'Bicubic'; PULSE, .*DifFace are accepted"),
        (("III", "DifFace", "NIQE"), "table III has no column 'NIQE'; PSNR, .*FID-G are accepted"),
        (("VI", "DifFace", "LPIPS"), "table VI has no block None; Box, .*Average are accepted"),
        (("III", "DifFace", "PSNR", "Box"), "table III is printed in one part; got the block 'Box'"),
    ],
)
def test_an_unknown_name_is_one_clear_line(arguments, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        paper.value(*arguments)
    assert "\n" not in str(caught.value)


def test_an_unknown_table_is_one_clear_line() -> None:
    with pytest.raises(ValueError, match="no table 'XII'; I, II, .*XI are accepted: choose one"):
        paper.table("XII")
