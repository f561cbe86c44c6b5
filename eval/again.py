"""Make measured numbers again, from what a table's folder says of them, and compare with what is stored there.

Beside each table lies table_N.json: which data set, which method, where its pictures and scores are, and a digest of
the pictures. A folder of pictures has config.json with all that they depend on.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pandas as pd
import torch
import yaml

from difface import images
from difface.metrics.base import SetMetric
from eval.datasets import Dataset, Item, open_dataset
from eval.metrics import METRICS, IndRMSE
from eval.rivals import Rival
from eval.run import WHOLE_SET, Made, Runner, read
from eval.settings import FolderMethod, Setting
from eval.tables.record import pictures_sha256, record_file

AnyMade = TypeVar("AnyMade", Setting, Rival)
TOLERANCES = Path(__file__).parent / "tolerances.yaml"


@dataclass(frozen=True)
class Check:
    """What was made again.

    Attributes:
        what: of which it is, in words.
        stored, again: in words.
        drift: how far they are apart; for pictures minus the PSNR in dB between the two.
        allowed: the largest drift.
    """

    what: str
    stored: str
    again: str
    drift: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether it is the same, within what is allowed."""
        return self.drift <= self.allowed

    def __str__(self) -> str:
        word = "same" if self.holds else "DIFFERS"
        return f"{word}: {self.what}: stored {self.stored}, again {self.again}"


@cache
def tolerances() -> dict[str, dict[str, float]]:
    """`pictures`: number type -> least PSNR in dB between a picture and itself made again; `scores`: metric -> largest
    difference, "other" of the rest as a part of the number."""
    return yaml.safe_load(TOLERANCES.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Row:
    """A row of a measured table whose pictures are kept.

    Attributes:
        results: the table's folder.
        table, block, label: of the row.
        told: of table_N.json: `pictures` and `scores` (metric -> file) below the folder, and the pictures' `sha256`.
        data: the data set's folder below it.
        sha256: the data set's digest.
        reference: digest of the faces that distances between sets refer to; None: the truth.
        first: the record of the f(y) that IndRMSE is to; None: there is none.
    """

    results: Path
    table: str
    block: str
    label: str
    told: dict[str, Any]
    data: str
    sha256: str
    reference: str | None
    first: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Of the row, in words."""
        return f"table {self.table}, {self.block}, {self.label}"

    @property
    def pictures(self) -> Path:
        """Folder of its pictures."""
        return self.results / self.told["pictures"]

    @cached_property
    def config(self) -> dict[str, Any]:
        """All that its pictures depend on."""
        return json.loads((self.pictures / "config.json").read_text(encoding="utf-8"))

    @cached_property
    def dataset(self) -> Dataset:
        """What it was measured on.

        Raises:
            ValueError: it is not there, or its pictures have changed.
        """
        dataset = open_dataset(self.results / self.data)
        if dataset.digest != self.sha256:
            raise ValueError(f"{self.name}: the pictures of {self.data} have changed: measure the table anew.")
        return dataset

    @cached_property
    def method(self) -> Made:
        """What made its pictures, with today's weights.

        Raises:
            ValueError: these are not the ones that made them, or the record was changed.
        """
        told = dict(self.config["setting"])
        return self._today((Rival if told.get("task") else Setting).of(told), told)

    @property
    def guess(self) -> Setting | None:
        """The f(y) that IndRMSE is to, with today's weights; errors as for `method`."""
        return self._today(Setting.of(self.first), self.first) if self.first else None

    def _today(self, found: AnyMade, told: dict[str, Any]) -> AnyMade:
        """What a record names, if it is still that."""
        if found.record() != told:
            now, then = (record.get("weights", {}) for record in (found.record(), told))
            which = [name for name in then if then[name] != now.get(name)]
            what = f"the weights of {which[0]} have changed" if which else "the record names another setting"
            raise ValueError(f"{self.name}: {what} since its pictures were made: measure the table anew.")
        return found

    def item(self, name: str) -> Item:
        """A picture of the data set by name.

        Raises:
            ValueError: there is none of that name.
        """
        for item in self.dataset.items:
            if item.name == name:
                return item
        some = ", ".join(item.name for item in self.dataset.items[:3])
        raise ValueError(f"the picture '{name}' is not in {self.data}; it has {some}, ...: choose one of its manifest.")


def rows(results: Path, table: str | None = None) -> list[Row]:
    """All rows with pictures of a folder's tables, or of one.

    Raises:
        ValueError: the folder has no such table.
    """
    files = sorted(results.glob("table_*.json")) if table is None else [record_file(results, table)]
    if not files or not files[0].is_file():
        alone = [file.stem.removeprefix("table_") for file in sorted(results.glob("table_*.csv"))]
        if alone if table is None else table in alone:
            raise ValueError(_without_pictures(results, [table] if table else alone))
        which = "no table" if table is None else f"no table {table}"
        raise ValueError(
            f"{results} has {which} with its record (table_N.json); a folder of `python -m eval table` is accepted."
        )
    found = []
    for file in files:
        told = json.loads(file.read_text(encoding="utf-8"))
        for block in told["blocks"]:
            own = (block["data"], block["sha256"], told["reference"], told.get("guess"))
            kept = [(label, row) for label, row in block["rows"].items() if row["pictures"]]
            found += [Row(results, told["table"], block["name"], label, row, *own) for label, row in kept]
    if found and not any(row.pictures.is_dir() for row in found):
        raise ValueError(_without_pictures(results, list(dict.fromkeys(row.table for row in found))))
    return found


def _without_pictures(results: Path, tables: list[str]) -> str:
    """Why numbers that are kept without what they were measured on cannot be made again."""
    return (
        f"{results} has the numbers of table {', '.join(tables)} without the pictures behind them, whose faces are not "
        f"part of the repository: measure them on faces of your own (python -m eval table {tables[0]} --data DIR -o "
        "results), or verify eval/proof, which is kept whole."
    )


def chosen(results: Path, table: str, row: str, block: str | None = None) -> Row:
    """The row of a table by its label, in the first block or the one that is named.

    Raises:
        ValueError: there is none, or its pictures are not made here.
    """
    of_table = rows(results, table)
    for one in of_table:
        if one.label.lower() == row.lower() and block in (None, one.block):
            return one
    known = ", ".join(f"'{one.label}'" for one in of_table if block in (None, one.block))
    raise ValueError(f"table {table} has no row '{row}' whose pictures are made here; it has {known}: choose one.")


class Again:
    """Makes pictures and scores of rows again, in a scratch folder that is gone at the end (a context manager).

    Args:
        reference: faces that distances between sets refer to, if the table was made with such a folder.
    """

    def __init__(self, reference: Path | None = None):
        self.reference = reference

    def __enter__(self) -> "Again":
        self._scratch = TemporaryDirectory(prefix="difface-again-")
        return self

    def __exit__(self, *problem: object) -> None:
        self._scratch.cleanup()

    def untouched(self, row: Row) -> Check:
        """Whether the stored pictures are those that were scored, byte by byte."""
        now = pictures_sha256(row.pictures, row.dataset)
        then = row.told["sha256"]
        return Check(f"{row.name}, its pictures", then[:10], now[:10], float(now != then), 0)

    def picture(self, row: Row, name: str) -> Check:
        """A picture, made by today's code with its batch, as it was made."""
        row.item(name)
        config = row.config
        runner = Runner(self._root, config["device"], config["dtype"], config["batch"])
        again = images.to_tensors(images.to_pil(runner.remade(row.dataset, row.method, name)))[0]
        stored = read(row.pictures / f"{name}.png")
        error = (again - stored).square().mean()
        psnr = float("inf") if error == 0 else -10 * torch.log10(error).item()
        said = "the same pixels" if error == 0 else f"{psnr:.1f} dB from it"
        allowed = -tolerances()["pictures"][config["dtype"]]
        return Check(f"{row.name}, picture {name}", "a picture", said, -psnr, allowed)

    def scores(self, row: Row, metric: str, names: list[str]) -> Iterator[Check]:
        """A metric of stored pictures, and, of a distance between sets, that of all of them."""
        if isinstance(METRICS[metric](), SetMetric):
            names, items = [WHOLE_SET], row.dataset.items
        else:
            items = tuple(map(row.item, names))
        table = pd.read_csv(row.results / row.told["scores"][metric], dtype=str, keep_default_na=False)
        stored = dict(zip(table["name"], table["value"], strict=True))
        again = self._scored(row, metric, items)
        for name in names:
            then, now = float(stored[name] or "nan"), again[name]
            which = "all pictures" if name == WHOLE_SET else f"picture {name}"
            yield Check(
                f"{row.name}, {metric} of {which}",
                f"{then:.6g}",
                f"{now:.6g}",
                _apart(then, now),
                _allowed(metric, then),
            )

    def cell(self, row: Row, column: str) -> Check:
        """The number in the table, from the stored scores."""
        table = pd.read_csv(row.results / f"table_{row.table}.csv")
        then = float(table[(table["data"] == row.block) & (table["method"] == row.label)][column].iloc[0])
        scores = pd.read_csv(row.results / row.told["scores"][column], index_col="name")["value"]
        whole = scores.get(WHOLE_SET)
        now = float(METRICS[column]().mean(list(scores)) if whole is None else whole)
        return Check(f"{row.name}, {column}", f"{then:.6g}", f"{now:.6g}", _apart(then, now), 1e-6 * max(1, abs(then)))

    def lacks(self, row: Row, metric: str) -> str | None:
        """Why a metric of a row cannot be measured again here, in a line; None: it can."""
        scorer = METRICS[metric]()
        if not (isinstance(scorer, SetMetric) and scorer.reference == "faces" and row.reference):
            return None
        if self.reference is None:
            return f"{row.name}, {metric}: --reference DIR, the faces that it refers to, is not given"
        if Runner(self._root, reference=self.reference).reference_sha256 != row.reference:
            return f"{row.name}, {metric}: {self.reference} has other faces than those it refers to"
        return None

    @property
    def _root(self) -> Path:
        return Path(self._scratch.name)

    def _scored(self, row: Row, metric: str, items: tuple[Item, ...]) -> dict[str, float]:
        """Name -> score of the stored pictures of some items, by today's code."""
        reference, guess = self.reference if row.reference else None, row.guess if metric == IndRMSE.name else None
        runner = Runner(self._root, row.config["device"], row.config["dtype"], reference=reference, guess=guess)
        some, method = replace(row.dataset, items=items), FolderMethod(row.label, row.pictures)
        runner.evaluate(some, [method], [metric])
        found = runner.scores(some, method, metric)
        if found.reason:
            raise ValueError(f"{row.name}: {metric} cannot be measured: {found.reason}")
        return found.values


def again(
    results: Path,
    table: str,
    row: str,
    column: str,
    block: str | None = None,
    picture: str | None = None,
    reference: Path | None = None,
) -> Iterator[Check]:
    """Make a number of a table again: its pictures, their scores, and the number in the table.

    Args:
        results, table, row, block: as for `chosen`.
        column: a measured metric.
        picture: only this one of the row's pictures; None: all.
        reference: as for `Again`.

    Raises:
        ValueError: there is no such number, or something that it rests on has changed or is not given.
    """
    of_row = chosen(results, table, row, block)
    if column not in of_row.told["scores"]:
        known = ", ".join(of_row.told["scores"])
        raise ValueError(f"the column '{column}' has no scores of {of_row.name}; it has {known}: choose one.")
    names = [item.name for item in of_row.dataset.items] if picture is None else [picture]
    with Again(reference) as scratch:
        if lacking := scratch.lacks(of_row, column):
            raise ValueError(f"{lacking}: give them.")
        yield scratch.untouched(of_row)
        yield from (scratch.picture(of_row, name) for name in names)
        yield from scratch.scores(of_row, column, names)
        yield scratch.cell(of_row, column)


def verify(results: Path, sample: int, seed: int, reference: Path | None) -> Iterator[Check | str]:
    """Make a seeded sample of a folder's pictures again, with all scores of these, and look at the rest.

    Args:
        results: of `python -m eval table`.
        sample: how many pictures.
        seed: of the choice.
        reference: as for `Again`.

    Yields:
        Of every row whether the stored pictures are those that were scored, and its numbers in the table; of the
        pictures chosen whether they and their scores come again; and lines on what could not be checked.
    """
    of_folder = rows(results)
    with Again(reference) as scratch:
        for row in of_folder:
            yield scratch.untouched(row)
            yield from (scratch.cell(row, metric) for metric in row.told["scores"])
        every = [(row, item.name) for row in of_folder for item in row.dataset.items]
        picked = random.Random(seed).sample(every, min(sample, len(every)))
        for row, name in picked:
            yield scratch.picture(row, name)
        for row in dict.fromkeys(row.name for row, _ in picked):
            of_row = next(one for one in of_folder if one.name == row)
            names = [name for one, name in picked if one is of_row]
            for metric in of_row.told["scores"]:
                lacking = scratch.lacks(of_row, metric)
                yield from [f"not checked: {lacking}"] if lacking else scratch.scores(of_row, metric, names)


def _apart(a: float, b: float) -> float:
    """Of two numbers, either of which may be NaN or infinite (PSNR of a picture that is its truth)."""
    return 0.0 if a == b or (math.isnan(a) and math.isnan(b)) else abs(a - b)


def _allowed(metric: str, value: float) -> float:
    known = tolerances()["scores"]
    return known.get(metric, known["other"] * max(abs(value), 1e-3))
