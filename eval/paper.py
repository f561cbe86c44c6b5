"""What the paper prints: Tables I to XI as data (`eval/paper.yaml`), to set beside what is measured here."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

PRINTED = Path(__file__).with_name("paper.yaml")


@dataclass(frozen=True)
class Column:
    """A quantity that a table prints.

    Attributes:
        name: as the paper heads it; its parameter counts are split into estimator and prior.
        unit: "dB", "degrees", "pixels", "s", "M" (millions), or "" for none.
        higher_is_better: None where neither direction is better (numbers of parameters).
        digits: decimals that the table prints.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    digits: int


@dataclass(frozen=True)
class Setting:
    """What a table's DifFace rows were made with; None is not known, or changes from row to row.

    Attributes:
        data: the test set.
        size: of the pictures, in pixels.
        begin_index: N on the training chain of 1000 timesteps.
        steps: length of the whole respaced schedule, before it is cut at N.
        eta: of DDIM, in [0, 1].
    """

    data: str | None
    size: int | None
    begin_index: int | None
    steps: int | None
    eta: float | None


@dataclass(frozen=True)
class Row:
    """A method's numbers, in the order of the table's columns; None where the paper prints none."""

    method: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Block:
    """A part of a table: a data set, a kind of mask or a scale.

    Attributes:
        name: None in a table that is printed in one part.
        images: how many pictures the numbers rest on; None where the paper does not say.
        rows: in the paper's order.
    """

    name: str | None
    images: int | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A printed table, turned so that its rows are methods.

    Attributes:
        number: "I" to "XI".
        caption: in our words; it names no data, for what is measured under it may be of other data.
        setting: what its DifFace rows were made with.
        columns: in the paper's order.
        blocks: in the paper's order; one, without a name, in most tables.
        notes: misprints, contradictions and settings that the paper does not state, a sentence or two each.
    """

    number: str
    caption: str
    setting: Setting
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]


@cache
def tables() -> dict[str, Table]:
    """All tables by number, in the paper's order."""
    document = yaml.safe_load(PRINTED.read_text(encoding="utf-8"))
    return {number: _table(number, entry, document["columns"]) for number, entry in document["tables"].items()}


def table(number: str) -> Table:
    """One table.

    Args:
        number: "I" to "XI".

    Raises:
        ValueError: there is no such table.
    """
    _check(number, tables(), "the paper has no table")
    return tables()[number]


def value(number: str, method: str, column: str, block: str | None = None) -> float | None:
    """One printed number, such as `value("VI", "LaMa", "FID-G", "Box")`.

    Args:
        number: of the table, "I" to "XI".
        method: the row's name as the paper prints it.
        column: the column's name.
        block: data set, mask or scale, in the tables that have several.

    Returns:
        The number, in the column's unit; None where the paper prints none.

    Raises:
        ValueError: there is no such table, block, column or method.
    """
    found = table(number)
    blocks = {part.name: part for part in found.blocks}
    if None in blocks and block is not None:
        raise ValueError(f"table {number} is printed in one part; got the block {block!r}: leave it out.")
    _check(block, blocks, f"table {number} has no block")
    names = [entry.name for entry in found.columns]
    _check(column, names, f"table {number} has no column")
    rows = {row.method: row.values for row in blocks[block].rows}
    _check(method, rows, f"table {number} has no method")
    return rows[method][names.index(column)]


def place(printed: Table, block: Block) -> str:
    """What a block's numbers are of: its kind or scale and the data set, or the data set alone where that says it."""
    data = printed.setting.data
    named = [block.name, None if block.name and data and block.name in data else data]
    return ", ".join(filter(None, named)) or "data not stated"


def _check(name: str | None, known: Iterable[str | None], complaint: str) -> None:
    if name not in known:
        raise ValueError(f"{complaint} {name!r}; {', '.join(map(str, known))} are accepted: choose one.")


def _table(number: str, entry: dict, columns: dict[str, dict]) -> Table:
    digits = entry.get("digits", {})
    return Table(
        number=number,
        caption=entry["caption"],
        setting=Setting(**entry["setting"]),
        columns=tuple(
            Column(name, **(columns[name] | ({"digits": digits[name]} if name in digits else {})))
            for name in entry["columns"]
        ),
        blocks=tuple(_block(part) for part in entry["blocks"]),
        notes=tuple(entry["notes"]),
    )


def _block(part: dict) -> Block:
    rows = tuple(Row(method, tuple(values)) for method, values in part["rows"].items())
    return Block(part.get("name"), part["images"], rows)
