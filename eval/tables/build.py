"""Put a table together: run what is due, then read the scores beside the printed numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from difface import profiles
from eval import paper
from eval.datasets import Dataset
from eval.metrics import METRICS
from eval.published import PAPER
from eval.rivals import Rival
from eval.run import WHOLE_SET, Method, Runner, Scores
from eval.settings import FolderMethod, Setting
from eval.tables import definitions, ntire, statistics
from eval.tables.definitions import Row
from eval.tables.record import record

RUNTIME = "Runtime"
OURS = "DifFace"
"""The row that the others are tested against."""
PARAMETERS = ("Params estimator", "Params prior")


@dataclass(frozen=True)
class Cell:
    """A measured number.

    Attributes:
        value: None where there is none.
        reason: why.
        interval: 95 % interval, of a mean over pictures by bootstrap, of a distance between sets by jackknife.
        p: of the paired test against the row of DifFace (`OURS`), or the first that is measured where there is none.
        moved: of a distance between sets, by each picture (`statistics.deviations`); None of anything else.
    """

    value: float | None = None
    reason: str | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    moved: statistics.Deviations | None = None


@dataclass(frozen=True)
class Line:
    """A row: its name, the measured cells by column, and the printed numbers by column."""

    label: str
    measured: dict[str, Cell]
    printed: dict[str, float | None]


@dataclass(frozen=True)
class Block:
    """The rows on one data set, and what that is.

    Attributes:
        name: of the paper's block, or of the data set.
        footer: what it was measured on.
        lines: the rows.
        as_printed: whether data and networks are those of the paper, so that its numbers may be compared.
    """

    name: str
    footer: str
    lines: tuple[Line, ...]
    as_printed: bool = False


@dataclass(frozen=True)
class Result:
    """A whole table: number, caption, measured columns, blocks, notes on printed numbers, how the others were made, and
    the `record` from which they can be made again (`eval.tables.record`), and whose `protocol` was followed."""

    number: str
    caption: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    made: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    protocol: str = PAPER


def build(
    number: str,
    datasets: dict[str | None, Dataset],
    samples: Callable[[], Dataset],
    runner: Runner,
    options: definitions.Options,
) -> Result:
    """Measure a table; every row is tested against DifFace, or the first that is measured where none is called that.

    Args:
        number: "I" to "XI".
        datasets: the paper's name of a block (None in tables of one block) -> what is measured in its place.
        samples: makes the set of the prior's own samples, asked for by Table V alone.
        runner: keeps the results.
        options: of the rows.

    Returns:
        The table; under several processes it is complete on each.

    Raises:
        ValueError: a table that is not made here; settings that the pipeline refuses; a folder that lacks pictures. All
            before anything is restored.
    """
    printed = paper.table(number)
    rows, columns = definitions.rows(number, options), definitions.columns(number, options.columns)
    scored = [name for name in columns if name in METRICS]
    blocks = []
    for name, dataset in datasets.items():
        runner.check(dataset, _methods([_of_block(row, name) for row in rows]), scored)
    for name, dataset in datasets.items():
        of_block = [_of_block(row, name) for row in rows]
        methods = _methods(of_block)
        if scored:  # run times are of one picture: nothing else is restored for them
            runner.evaluate(dataset, methods, scored)
        lines = [_line(row, dataset, samples, runner, columns, number, name) for row in of_block]
        lines = _tested(lines, of_block, dataset, runner, scored)
        fitted = filter(None, (runner.fitted(dataset, method) for method in methods if scored))
        footer = "; ".join([dataset.label, *fitted])
        same = definitions.as_printed(number, name, dataset, options)
        blocks.append(Block(name or dataset.name, footer, tuple(lines), same))
    if number in definitions.AVERAGE:
        blocks.append(_average(number, blocks, rows))
    each = zip(blocks, datasets.items(), strict=False)  # the last block may be an average
    parts = [(block.name, of, [_of_block(row, name) for row in rows]) for block, (name, of) in each]
    told = record(number, columns, parts, runner)
    made = _made(rows, blocks, runner)
    return Result(number, printed.caption, tuple(columns), tuple(blocks), printed.notes, made, told, options.protocol)


def _made(rows: list[Row], blocks: list[Block], runner: Runner) -> str:
    """Settings, weights, type, batch, references and versions of the measured numbers in a line, without our paths."""
    lines = [line for block in blocks for line in block.lines]
    measured = [name for name in lines[0].measured if any(line.measured[name].value is not None for line in lines)]
    place = [f"dtype {runner.dtype}", f"batch {runner.batch}", torch.device(runner.device).type]
    said = [runner.told(name) for name in measured if name in METRICS]
    labels = {line.label for line in lines if any(cell.value is not None for cell in line.measured.values())}
    networks = _weights([row for row in rows if row.label in labels])
    return "; ".join(filter(None, [definitions.shared(rows), networks, *place, *said]))


def _weights(rows: list[Row]) -> str:
    """The networks that the rows ran on, each with the first ten digits of its weights' SHA-256."""
    found: dict[str, str] = {}
    for row in rows:
        if isinstance(row.method, Setting | Rival):
            found |= row.method.record().get("weights", {})
    return "weights " + ", ".join(f"{name} {found[name][:10]}" for name in sorted(found)) if found else ""


def _methods(rows: list[Row]) -> list[Method]:
    """Of the rows whose pictures are made or given."""
    return [row.method for row in rows if isinstance(row.method, Setting | Rival | FolderMethod)]


def _of_block(row: Row, block: str | None) -> Row:
    """The row with another method's pictures of that block."""
    return replace(row, method=row.method.within(block)) if isinstance(row.method, FolderMethod) else row


def _average(number: str, blocks: list[Block], rows: list[Row]) -> Block:
    """The plain mean of the blocks' numbers, as the paper has it."""
    name, lines = definitions.AVERAGE[number], []
    for k, row in enumerate(rows):
        cells = {}
        for column in blocks[0].lines[k].measured:
            parts = [block.lines[k].measured[column] for block in blocks]
            lacking = [part.reason for part in parts if part.value is None]
            cells[column] = Cell(reason=lacking[0]) if lacking else _mean_of(parts)
        lines.append(Line(row.label, cells, _printed(number, row.printed, name)))
    same = all(block.as_printed for block in blocks)
    return Block(name, f"the plain mean of the {len(blocks)} kinds", tuple(lines), same)


def _mean_of(parts: list[Cell]) -> Cell:
    value = float(np.mean([part.value for part in parts]))
    if any(part.moved is None for part in parts):
        return Cell(value)
    return _distance(value, statistics.mean_of([part.moved for part in parts]))


def _distance(value: float, moved: statistics.Deviations) -> Cell:
    """The cell of a distance between sets."""
    half = statistics.SURE * statistics.error(moved)
    return Cell(value, None, (value - half, value + half), moved=moved)


def _line(
    row: Row, dataset: Dataset, samples: Callable, runner: Runner, columns: list[str], number: str, block: str | None
) -> Line:
    method = row.method
    if method == definitions.SAMPLES:
        dataset = samples()
        method = FolderMethod("samples", dataset.items[0].lq.parent)
        runner.evaluate(dataset, [method], [name for name in columns if name in METRICS])
    made = (ntire.SCORE, ntire.BELOW)
    cells = {name: _cell(row, method, dataset, runner, name) for name in columns if name not in made}
    if ntire.SCORE in columns:
        cells[ntire.SCORE] = _of_parts([cells[name] for name in ntire.PARTS])
    if ntire.BELOW in columns:
        cosines = runner.scores(dataset, method, ntire.COSINE).values.values() if cells[ntire.COSINE].value else ()
        cells[ntire.BELOW] = _below(cells[ntire.COSINE], cosines, dataset.name)
    return Line(row.label, cells, _printed(number, row.printed, block))


def _printed(number: str, method: str | None, block: str | None) -> dict[str, float | None]:
    table = paper.table(number)
    known = {part.name for part in table.blocks}
    if method is None or block not in known:
        return {}
    return {column.name: paper.value(number, method, column.name, block) for column in table.columns}


def _cell(row: Row, method: Method | None, dataset: Dataset, runner: Runner, name: str) -> Cell:
    if method is None:
        return Cell(reason=row.reason)
    if name in PARAMETERS:
        return _parameters(method, name)
    if name == definitions.CALLS:
        return _calls(method)
    if name == RUNTIME:
        seconds = runner.runtime(dataset, method) if isinstance(method, Setting | Rival) else None
        return Cell(seconds, None if seconds else f"{name}: measured for methods that run here")
    return _mean(runner.scores(dataset, method, name), name)


def _of_parts(parts: list[Cell]) -> Cell:
    """NTIRE's score of a row."""
    values = {name: cell.value for name, cell in zip(ntire.PARTS, parts, strict=True) if cell.value is not None}
    if len(values) == len(parts):
        return Cell(ntire.score(values))
    lacking = next(cell.reason for cell in parts if cell.value is None)
    return Cell(reason=f"{ntire.SCORE}: is made of {', '.join(ntire.PARTS)}; {lacking}")


def _below(cosine: Cell, cosines: Iterable[float], data: str) -> Cell:
    """How many pictures of a row NTIRE's filter takes for another person."""
    least = ntire.limit(data)
    if cosine.value is None:
        return Cell(reason=cosine.reason)
    if least is None:
        return Cell(reason=f"{ntire.BELOW}: the challenge has one for {', '.join(ntire.LIMITS)}; this is {data}")
    return Cell(ntire.below(cosines, least))


def _calls(method: Method) -> Cell:
    if isinstance(method, FolderMethod):
        return Cell(reason=f"{definitions.CALLS}: known of methods that run here")
    return Cell(method.calls if isinstance(method, Rival) else len(method.timesteps))


def _mean(scores: Scores, name: str) -> Cell:
    if scores.reason:
        return Cell(reason=f"{name}: {scores.reason}")
    if WHOLE_SET in scores.values:
        return _distance(scores.values[WHOLE_SET], statistics.deviations(scores.without))
    metric, values = METRICS[name](), list(scores.values.values())
    return Cell(metric.mean(values), None, statistics.interval(np.array(metric.counted(values))))


@cache
def _count(profile: str, estimator: str | None) -> float:
    """Parameters in millions of an estimator, or of the prior."""
    network = profiles.load_estimator(profile, estimator, "cpu") if estimator else profiles.load_unet(profile, "cpu")
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def _parameters(method: Method, name: str) -> Cell:
    if not isinstance(method, Setting) or method.estimator is None:
        return Cell(reason=f"{name}: counted for methods that run here")
    if name == PARAMETERS[0]:
        return Cell(_count(method.profile, method.estimator))
    return (
        Cell(_count(method.profile, None))
        if method.begin_index is not None
        else Cell(reason=f"{name}: f(y) alone uses no prior")
    )


def _tested(lines: list[Line], rows: list[Row], dataset: Dataset, runner: Runner, scored: list[str]) -> list[Line]:
    """The lines with the p of a paired test against DifFace, or the first row measured where none is called that."""
    measured = [k for k, row in enumerate(rows) if row.method in _methods(rows)]
    first = next((k for k in measured if rows[k].label == OURS), measured[0] if measured else None)
    for k in measured:
        for name in scored if k != first else ():
            cell, other = lines[k].measured[name], lines[first].measured[name]
            if cell.interval and other.interval:
                scores = (runner.scores(dataset, rows[of].method, name).values for of in (k, first))
                lines[k].measured[name] = replace(cell, p=_p(cell, other, *scores))
    return lines


def _p(cell: Cell, other: Cell, values: dict[str, float], others: dict[str, float]) -> float:
    """Of the paired test of two cells, with the scores of the pictures behind them."""
    if cell.moved is not None and other.moved is not None:
        return statistics.distance_p(cell.value, cell.moved, other.value, other.moved)
    pairs = np.array([(values[name], others[name]) for name in values])
    return statistics.paired_p(*pairs[np.isfinite(pairs).all(1)].T)
