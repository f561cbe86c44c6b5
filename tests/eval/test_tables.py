"""Tables: the rows are the paper's, the statistics are right, and the marks are where they belong."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from difface.chain import chain
from difface.metrics.frechet import distances_without, frechet_distance
from difface.profiles import ASSETS
from difface.schedulers import build_scheduler
from eval import paper
from eval.run import Scores
from eval.settings import FolderMethod, Setting
from eval.tables import build, definitions, render, statistics, verdicts
from eval.tables.build import Block, Cell, Line, Result
from eval.tables.definitions import Row


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(20, 3, 400)
    low, high = statistics.interval(values)
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=0.05)
    assert statistics.interval(values) == (low, high)
    assert np.isnan(statistics.interval(np.array([1.0]))).all()


def test_the_paired_test_sees_a_small_shift_that_the_spread_hides() -> None:
    draw = np.random.default_rng(2)
    first = draw.normal(20, 5, 60)
    assert statistics.paired_p(first + draw.normal(0.3, 0.2, 60), first) < 1e-6
    assert statistics.paired_p(first + draw.normal(0, 0.2, 60), first) > 0.01
    assert statistics.paired_p(first, first) == 1


@pytest.mark.parametrize("number", definitions.TABLES)
def test_every_printed_row_has_its_place(number) -> None:
    rows = definitions.rows(number, definitions.Options())
    printed = {row.method for row in paper.table(number).blocks[0].rows}
    assert printed == {row.printed for row in rows} - {None}
    assert all(row.method is not None or row.reason for row in rows)


def test_table_ix_takes_the_calls_that_the_paper_counts() -> None:
    for row in definitions.rows("IX", definitions.Options()):
        if row.method:
            setting = row.method
            steps = chain(
                build_scheduler("ddim"),
                setting.begin_index,
                setting.steps,
                setting.eta,
                official_start=setting.official_start,
            )
            assert row.printed == f"Dif({setting.steps}/{len(steps.timesteps)})"


@pytest.fixture
def result() -> Result:
    lines = [
        Line("a|b", {"PSNR": Cell(20.0, None, (19.5, 20.5)), "LPIPS": Cell(0.3)}, {}),
        Line("c", {"PSNR": Cell(22.0, None, (21.0, 23.0), 0.01), "LPIPS": Cell(0.3)}, {"PSNR": 23.44}),
        Line("d", {"PSNR": Cell(21.0, None, (20.0, 22.0), 0.2), "LPIPS": Cell(0.5)}, {}),
        Line("e & f", {"PSNR": Cell(reason="no pictures"), "LPIPS": Cell(reason="no pictures")}, {}),
    ]
    return Result("III", "caption", ("PSNR", "LPIPS"), (Block("x", "3 faces", tuple(lines)),), ("a note",))


def test_best_and_second_best_are_marked_by_direction(result) -> None:
    text = render.markdown(result)
    assert "| a\\|b | 20.00 (19.50 to 20.50) | **0.300** |" in text
    assert "| c | **22.00** (21.00 to 23.00)* | **0.300** |" in text
    assert "| d | _21.00_ (20.00 to 22.00) | _0.500_ |" in text
    assert "- e & f: no pictures" in text and "- a note" in text
    assert "| DifFace | 23.44 | 0.690 | 0.461 | 64.94 | 6.06 | 48.98 | 20.29 |" in text


def test_equal_print_is_marked_equally() -> None:
    values = (20.001, 20.004, 19.0)
    lines = tuple(Line(str(k), {"PSNR": Cell(value)}, {}) for k, value in enumerate(values))
    text = render.markdown(Result("III", "caption", ("PSNR",), (Block("x", "3 faces", lines),), ()))
    assert text.count("| **20.00** |") == 2 and text.count("| _19.00_ |") == 1


def test_the_first_guess_has_no_rank_among_distances_to_itself() -> None:
    lines = tuple(Line(str(k), {"IndRMSE": Cell(value)}, {}) for k, value in enumerate((0.0, 20.0, 12.0, 15.0)))
    text = render.markdown(Result("IV", "caption", ("IndRMSE",), (Block("x", "3 photos", lines),), ()))
    assert "| 0 | 0.00 |" in text and "| 2 | **12.00** |" in text and "| 3 | _15.00_ |" in text
    assert all("IndRMSE" in definitions.columns(number) for number in ("IV", "V"))


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=30)
    without = {str(k): np.delete(values, k).mean() for k in range(30)}
    moved = statistics.deviations(without)
    assert statistics.error(moved) == pytest.approx(stats.sem(values))
    other = {str(k): np.delete(values + 0.1 * np.arange(30), k).mean() for k in range(30)}
    expected = stats.sem(0.1 * np.arange(30))  # paired: what both share cancels
    assert statistics.error_of_difference(statistics.deviations(other), moved) == pytest.approx(expected)
    apart = {f"other {k}": value for k, value in other.items()}  # unpaired: the variances add up
    expected = (stats.sem(values) ** 2 + stats.sem(values + 0.1 * np.arange(30)) ** 2) ** 0.5
    assert statistics.error_of_difference(statistics.deviations(apart), moved) == pytest.approx(expected)
    assert np.isnan(statistics.error({})) and np.isnan(statistics.error_of_difference(moved, {}))


def test_distances_are_tested_by_what_both_sets_share() -> None:
    values = np.random.default_rng(3).normal(size=30)
    shift = 0.05 + 0.1 * np.random.default_rng(6).normal(size=30)

    def moved(of) -> statistics.Deviations:
        return statistics.deviations({str(k): np.delete(of, k).mean() for k in range(30)})

    found = statistics.distance_p((values + shift).mean(), moved(values + shift), values.mean(), moved(values))
    assert found == pytest.approx(2 * stats.norm.sf(abs(shift.mean()) / stats.sem(shift)))
    assert statistics.distance_p(3.0, moved(values), 3.0, moved(values)) == 1


def test_the_jackknife_of_an_average_is_that_of_the_mean_distance() -> None:
    first, second = (np.random.default_rng(k).normal(size=20) for k in (4, 5))
    parts = [statistics.deviations({str(k): np.delete(v, k).mean() for k in range(20)}) for v in (first, second)]
    assert statistics.error(statistics.mean_of(parts)) == pytest.approx(stats.sem((first + second) / 2))
    assert statistics.mean_of([parts[0], {}]) == {}


def test_the_error_is_the_spread_of_a_distance_over_draws_of_the_set() -> None:
    """The Frechet distance of 60 vectors to a fixed reference, drawn anew many times."""
    draw, spread, errors = np.random.default_rng(6), [], []
    for _ in range(200):
        vectors = draw.normal(0.2, 1.3, (60, 5))
        moments = vectors.mean(0), np.cov(vectors, rowvar=False)
        spread.append(frechet_distance(np.zeros(5), np.eye(5), *moments))
        without = distances_without(np.zeros(5), np.eye(5), vectors)
        errors.append(statistics.error(statistics.deviations(dict(enumerate(without)))))
    assert np.mean(errors) == pytest.approx(np.std(spread), rel=0.15)


def distances(*rows: tuple[float, list[float]]) -> str:
    """The table of a column of distances: value, and how far each of some pictures moves it."""
    lines = [
        Line(str(k), {"FD-prior": build._distance(value, dict(enumerate(moved)))}, {})
        for k, (value, moved) in enumerate(rows)
    ]
    return render.markdown(Result("III", "caption", ("FD-prior",), (Block("x", "3 faces", tuple(lines)),), ()))


def test_a_distance_is_marked_only_where_it_is_told_from_those_behind() -> None:
    alike = [2.0, -1.4, 0.1]  # an error of 2.4, the same pictures in both: their difference has none
    text = distances((83.0, alike), (82.7, alike), (90.0, alike))
    assert "| 1 | **82.70** (77.91 to 87.49) |" in text and "| 0 | _83.00_ (" in text and "| 2 | 90.00 (" in text
    other = [-2.0, 1.4, 0.1]
    text = distances((83.0, alike), (82.7, other), (120.0, alike))
    assert "**" not in text.partition("**Measured**")[2].partition("**Printed")[0] and "| 1 | 82.70 (" in text
    text = distances((60.0, alike), (82.7, other), (83.0, alike))
    assert "| 0 | **60.00** (" in text and "_82.70_" not in text and "_83.00_" not in text
    assert "95 % jackknife interval over the scored pictures" in text
    assert "**" not in distances((60.0, []), (82.7, [])).partition("**Measured**")[2].partition("**Printed")[0]


def test_no_caption_names_data() -> None:
    """It stands over what was measured on other data; the printed numbers say theirs."""
    for table in paper.tables().values():
        named = re.split(r"[ ,-]+(?:Test|validation)?[ ,]*", table.setting.data or "")
        assert not [name for name in filter(None, named) if name in table.caption]
        for block in table.blocks:
            assert (
                not table.setting.data
                or table.setting.data in paper.place(table, block)
                or block.name in table.setting.data
            )
    printed = render.markdown(Result("VI", "caption", (), (), ()))
    assert "**Printed in the paper** (Box, CelebA-HQ, 256 pixels)" in printed


def test_mean_and_interval_are_of_the_same_angles() -> None:
    values = {str(k): value for k, value in enumerate([0.1, 0.2, 40.0, 42.0])}
    cell = build._mean(Scores(values), "IDS")
    assert cell.value == 41 and cell.interval[0] >= 40 and cell.interval[1] <= 42


def test_how_it_was_made_is_told(result) -> None:
    told = replace(result, made="N = 250; FD-prior refers to train")
    assert "\n\nMade with: N = 250; FD-prior refers to train.\n\n" in render.markdown(told)
    assert "% Made with: N = 250; FD-prior refers to train." in render.latex(told).splitlines()
    rows = definitions.rows("IX", definitions.Options())
    files = {name: ASSETS / "tiny" / name / "diffusion_pytorch_model.safetensors" for name in ("swinir", "unet")}
    shipped = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    assert build._weights(rows) == f"weights swinir {shipped['swinir'][:10]}, unet {shipped['unet'][:10]}"
    assert build._weights([Row("theirs", FolderMethod("theirs", ASSETS)), Row("input", Setting())]) == ""
    assert definitions.shared(rows) == "profile tiny, N = 400, eta 0.5 where a row says nothing else"


def test_latex_has_a_cell_for_every_column(result) -> None:
    text = render.latex(result)
    for part in text.split("\\begin{tabular}")[1:]:
        columns = part[: part.index("\n")].strip("{}")
        rows = [line for line in part.splitlines() if line.endswith("\\\\")]
        assert rows and all(line.replace("\\&", "").count("&") == len(columns) - 1 for line in rows)


def test_csv_has_measured_and_printed_apart(result) -> None:
    table = render.frame(result)
    assert table.loc[1, "PSNR"] == 22 and table.loc[1, "paper PSNR"] == 23.44 and table.loc[1, "PSNR p"] == 0.01
    assert table["PSNR"].isna().tolist() == [False, False, False, True]


def test_written_whole_or_not_at_all(result, tmp_path) -> None:
    paths = render.write(result, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


def compared(theirs: Cell, mine: Cell, column: str, printed: dict[str, tuple[float, float]]) -> list[str]:
    """The words on a rival that the paper prints beside DifFace."""
    rows = [Line("DDRM", {column: theirs}, {name: pair[0] for name, pair in printed.items()})]
    rows += [Line("f(y)", {column: theirs}, {}), Line("DifFace", {column: mine}, {n: p[1] for n, p in printed.items()})]
    found = list(verdicts.verdicts(Block("Box", "3 faces", tuple(rows))))
    assert {one.rival for one in found} <= {"DDRM"} and {one.measured_by for one in found} <= {column}
    return [one.word for one in found]


def test_the_paper_s_orders_are_confirmed_refuted_or_open() -> None:
    worse, better = Cell(20.0, p=0.001), Cell(22.0)
    assert compared(worse, better, "PSNR", {"PSNR": (21.0, 23.0)}) == ["confirmed"]
    assert compared(worse, better, "PSNR", {"PSNR": (23.0, 21.0)}) == ["refuted"]
    assert compared(replace(worse, p=0.2), better, "PSNR", {"PSNR": (21.0, 23.0)}) == ["open"]
    assert compared(replace(worse, p=None), better, "PSNR", {"PSNR": (21.0, 23.0)}) == ["open"]
    assert compared(worse, better, "PSNR", {"PSNR": (21.0, 21.0)}) == []  # the paper prints no order
    assert compared(Cell(2.0, p=0.01), Cell(1.0), "FD-prior", {"FID-F": (60.0, 50.0), "LPIPS": (1, 2)}) == ["confirmed"]
    assert compared(Cell(9.0), Cell(1.0), "Runtime", {"Runtime": (3.0, 4.0)}) == ["refuted"]  # one number each: no p
    assert compared(Cell(reason="n/a"), better, "PSNR", {"PSNR": (21.0, 23.0)}) == []


def test_a_verdict_says_what_it_rests_on() -> None:
    found = verdicts.Verdict("DDRM", "FID-F", "FD-prior", (60.0, 50.0), (2.0, 1.0), 0.0123, "confirmed")
    expected = "DDRM, FID-F, here by FD-prior: printed 60 against 50, measured 2 against 1, p = 0.012: **confirmed**"
    assert verdicts.sentence(found) == expected
