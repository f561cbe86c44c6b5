"""Make measured numbers again, from what a table's folder says of them, and compare with what is stored there."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
import yaml
from PIL import Image

from difface import images
from difface.metrics.base import SetMetric
from eval.datasets import Dataset, Item
from eval.metrics import METRICS, IndRMSE
from eval.run import WHOLE_SET, Runner, read
from eval.settings import FolderMethod
from eval.stored import Row, chosen, rows
from eval.tables.record import pictures_sha256

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
    """`pictures`: number type -> least PSNR in dB between a picture and itself made again; `scores` of one picture, and
    `scores again, TYPE` of one made again: metric -> largest difference, "other" of the rest as a part of the number.
    """
    return yaml.safe_load(TOLERANCES.read_text(encoding="utf-8"))


class Again:
    """Makes pictures and scores of rows again, in a scratch folder that is gone at the end (a context manager).

    Args:
        reference: faces that distances between sets refer to, if the table was made with such a folder.
        faces: the clean faces, where the tables' folder keeps no pictures.
    """

    def __init__(self, reference: Path | None = None, faces: Path | None = None):
        self.reference, self.faces = reference, faces
        self._datasets: dict[str, Dataset] = {}

    def __enter__(self) -> "Again":
        self._scratch = TemporaryDirectory(prefix="difface-again-")
        return self

    def __exit__(self, *problem: object) -> None:
        self._scratch.cleanup()

    def dataset(self, row: Row) -> Dataset:
        """What a row was measured on: as it is kept, or made again of the faces.

        Raises:
            ValueError: its pictures have changed, or are not kept and no faces are given.
        """
        if row.is_whole:
            return row.dataset()
        if self.faces is None:
            raise ValueError(
                f"{row.results} keeps the numbers of table {row.table} without pictures, whose faces are not part of "
                "it: give the folder of clean faces (--data DIR), measure your own (python -m eval table "
                f"{row.table} --data DIR -o results), or verify eval/proof, which is kept whole."
            )
        if row.data not in self._datasets:
            self._datasets[row.data] = row.built(self.faces, self._root / row.data)
        return self._datasets[row.data]

    def told(self, row: Row) -> str | None:
        """What must be known of the faces, in a line; None: they are the measured ones to the last byte."""
        if self.dataset(row).digest == row.sha256:
            return None
        return f"note: {row.data} made again of {self.faces} has other bytes than the one that was measured"

    def untouched(self, row: Row) -> Check:
        """Whether the stored pictures are those that were scored, byte by byte."""
        now = pictures_sha256(row.pictures, row.dataset())
        then = row.told["sha256"]
        return Check(f"{row.name}, its pictures", then[:10], now[:10], float(now != then), 0)

    def pictures(self, row: Row, names: Sequence[str]) -> Iterator[Check]:
        """Pictures, made by today's code with their batches as they were made. Where none are kept to compare with,
        they are put into the scratch folder, for `scores`."""
        config, dataset = row.config, self.dataset(row)
        for name in names:
            row.item(dataset, name)
        runner = Runner(self._root, config["device"], config["dtype"], config["batch"])
        for item, answer in runner.remade(dataset, row.method, names):
            picture = images.to_pil(answer)
            if row.is_whole:
                yield _compared(row, item.name, picture)
            else:
                images.write(picture, self._folder(row) / f"{item.name}.png")

    def scores(self, row: Row, metric: str, names: Sequence[str]) -> Iterator[Check]:
        """A metric of the pictures of those names; of a distance between sets, that of all pictures."""
        items = self.dataset(row).items
        if isinstance(METRICS[metric](), SetMetric):
            names = [WHOLE_SET]
        else:
            items = tuple(item for item in items if item.name in names)
        stored, again = row.scores(metric), self._scored(row, metric, items)
        for name in names:
            then, now = stored[name], again[name]
            which = "all pictures" if name == WHOLE_SET else f"picture {name}"
            allowed = _allowed(metric, then, None if row.is_whole else row.config["dtype"])
            yield Check(f"{row.name}, {metric} of {which}", f"{then:.6g}", f"{now:.6g}", _apart(then, now), allowed)

    def cell(self, row: Row, column: str) -> Check:
        """The number in the table, from the stored scores."""
        table = pd.read_csv(row.results / f"table_{row.table}.csv")
        then = float(table[(table["data"] == row.block) & (table["method"] == row.label)][column].iloc[0])
        scores = row.scores(column)
        now = scores[WHOLE_SET] if WHOLE_SET in scores else METRICS[column]().mean(list(scores.values()))
        return Check(f"{row.name}, {column}", f"{then:.6g}", f"{now:.6g}", _apart(then, now), 1e-6 * max(1, abs(then)))

    def lacks(self, row: Row, metric: str, names: Sequence[str]) -> str | None:
        """Why a metric of a row cannot be measured again here, in a line; None: it can."""
        scorer = METRICS[metric]()
        if not isinstance(scorer, SetMetric):
            return None
        if not row.is_whole and set(names) != set(row.names):
            return f"{row.name}, {metric}: it takes all pictures of the row, `again` makes them"
        if scorer.reference != "faces" or not row.reference:
            return None
        if self.reference is None:
            return f"{row.name}, {metric}: --reference DIR, the faces that it refers to, is not given"
        if Runner(self._root, reference=self.reference).reference_sha256 != row.reference:
            return f"{row.name}, {metric}: {self.reference} has other faces than those it refers to"
        return None

    @property
    def _root(self) -> Path:
        return Path(self._scratch.name)

    def _folder(self, row: Row) -> Path:
        """Of the pictures that are scored."""
        return row.pictures if row.is_whole else self._root / row.told["pictures"]

    def _scored(self, row: Row, metric: str, items: tuple[Item, ...]) -> dict[str, float]:
        """Name -> score of the pictures of some items, by today's code."""
        reference, guess = self.reference if row.reference else None, row.guess if metric == IndRMSE.name else None
        runner = Runner(self._root, row.config["device"], row.config["dtype"], reference=reference, guess=guess)
        some, method = replace(self.dataset(row), items=items), FolderMethod(row.label, self._folder(row))
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
    faces: Path | None = None,
) -> Iterator[Check | str]:
    """Make a number of a table again: its pictures, their scores, and the number in the table.

    Args:
        results, table, row, block: as for `eval.stored.chosen`.
        column: a measured metric.
        picture: only this one of the row's pictures; None: all.
        reference, faces: as for `Again`.

    Raises:
        ValueError: there is no such number, or something that it rests on has changed or is not given.
    """
    of_row = chosen(results, table, row, block)
    if column not in of_row.told["scores"]:
        known = ", ".join(of_row.told["scores"])
        raise ValueError(f"the column '{column}' has no scores of {of_row.name}; it has {known}: choose one.")
    names = of_row.names if picture is None else [picture]
    with Again(reference, faces) as scratch:
        yield from [line for line in [scratch.told(of_row)] if line]
        if lacking := scratch.lacks(of_row, column, names):
            raise ValueError(f"{lacking}: give them.")
        if of_row.is_whole:
            yield scratch.untouched(of_row)
        yield from scratch.pictures(of_row, names)
        yield from scratch.scores(of_row, column, names)
        yield scratch.cell(of_row, column)


def verify(
    results: Path, sample: int, seed: int, reference: Path | None, faces: Path | None = None
) -> Iterator[Check | str]:
    """Make a seeded sample of a folder's pictures again, with all scores of these, and look at the rest.

    Args:
        results: of `python -m eval table`.
        sample: how many pictures.
        seed: of the choice.
        reference, faces: as for `Again`.

    Yields:
        Of every row whether the stored pictures are those that were scored, and its numbers in the table; of the
        pictures chosen whether they and their scores come again; and lines on what could not be checked.
    """
    of_folder = rows(results)
    with Again(reference, faces) as scratch:
        for row in of_folder:
            if row.is_whole:
                yield scratch.untouched(row)
            yield from (scratch.cell(row, metric) for metric in row.told["scores"])
        every = [(row, name) for row in of_folder for name in row.names]
        picked = random.Random(seed).sample(every, min(sample, len(every)))
        for row in {row.told["pictures"]: row for row, _ in picked}.values():
            names = [name for one, name in picked if one.told["pictures"] == row.told["pictures"]]
            yield from [line for line in [scratch.told(row)] if line]
            yield from scratch.pictures(row, names)
            for metric in row.told["scores"]:
                lacking = scratch.lacks(row, metric, names)
                yield from [f"not checked: {lacking}"] if lacking else scratch.scores(row, metric, names)


def _compared(row: Row, name: str, picture: Image.Image) -> Check:
    """A picture beside the stored one."""
    error = (images.to_tensors(picture)[0] - read(row.pictures / f"{name}.png")).square().mean()
    psnr = float("inf") if error == 0 else -10 * torch.log10(error).item()
    said = "the same pixels" if error == 0 else f"{psnr:.1f} dB from it"
    allowed = -tolerances()["pictures"][row.config["dtype"]]
    return Check(f"{row.name}, picture {name}", "a picture", said, -psnr, allowed)


def _apart(a: float, b: float) -> float:
    """Of two numbers, either of which may be NaN or infinite (PSNR of a picture that is its truth)."""
    return 0.0 if a == b or (math.isnan(a) and math.isnan(b)) else abs(a - b)


def _allowed(metric: str, value: float, dtype: str | None) -> float:
    """Largest drift of a score: of one and the same picture, or of one made again in a number type."""
    known = tolerances()["scores" if dtype is None else f"scores again, {dtype}"]
    return known.get(metric, known["other"] * max(abs(value), 1e-3))
