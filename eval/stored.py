"""The rows of measured tables as a folder keeps them: what made them, of which faces, and where their scores are.

Beside each table lies table_N.json: which data set, which method, where its pictures and scores are, and a digest of
the pictures. A folder of pictures has config.json with all that they depend on. Where faces must not be passed on, the
folder is kept without any picture: these records, the manifests and the scores say what made every number, and who has
the faces can make it again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from difface.degradation import Degradation
from eval.datasets import Dataset, Item, build, build_known, open_dataset, read_description
from eval.rivals import Rival
from eval.run import Made
from eval.settings import Setting
from eval.tables.record import record_file

AnyMade = TypeVar("AnyMade", Setting, Rival)


@dataclass(frozen=True)
class Row:
    """A row of a measured table whose pictures were made here.

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
    def is_whole(self) -> bool:
        """Whether its pictures and those that they were made of are kept, too."""
        return any(self.pictures.glob("*.png")) and (self.results / self.data / "lq").is_dir()

    @cached_property
    def config(self) -> dict[str, Any]:
        """All that its pictures depend on."""
        return json.loads((self.pictures / "config.json").read_text(encoding="utf-8"))

    def dataset(self) -> Dataset:
        """What it was measured on, as it is kept.

        Raises:
            ValueError: it is not there, or its pictures have changed.
        """
        dataset = open_dataset(self.results / self.data)
        if dataset.digest != self.sha256:
            raise ValueError(f"{self.name}: the pictures of {self.data} have changed: measure the table anew.")
        return dataset

    def built(self, faces: Path, folder: Path) -> Dataset:
        """The same made again of the clean faces, in a folder.

        Raises:
            ValueError: the set is of no faces of a folder, or these are too few or of another size.
        """
        told = read_description(self.results / self.data)
        if told["source"] != "folder":
            raise ValueError(f"{self.name}: {self.data} is of no folder of clean faces: measure the table anew.")
        if "known" in told:
            return build_known(faces, folder, told["size"], told["known"], limit=told["limit"])
        same = told["degradation"] and Degradation(**told["degradation"])
        return build(faces, folder, told["size"], limit=told["limit"], degradation=same, seed=told["seed"])

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

    @cached_property
    def names(self) -> list[str]:
        """Of its pictures, in order."""
        manifest = pd.read_csv(self.results / self.data / "manifest.csv", dtype=str)
        return manifest["name"].tolist()

    def item(self, dataset: Dataset, name: str) -> Item:
        """A picture of the data set by name.

        Raises:
            ValueError: there is none of that name.
        """
        for item in dataset.items:
            if item.name == name:
                return item
        some = ", ".join(item.name for item in dataset.items[:3])
        raise ValueError(f"the picture '{name}' is not in {self.data}; it has {some}, ...: choose one of its manifest.")

    def scores(self, metric: str) -> dict[str, float]:
        """Name of a picture, or `eval.run.WHOLE_SET` -> its stored score."""
        table = pd.read_csv(self.results / self.told["scores"][metric], dtype=str, keep_default_na=False)
        return {name: float(value or "nan") for name, value in zip(table["name"], table["value"], strict=True)}


def rows(results: Path, table: str | None = None) -> list[Row]:
    """All rows of a folder's tables, or of one, whose pictures were made here.

    Raises:
        ValueError: the folder has no such table with its record.
    """
    files = sorted(results.glob("table_*.json")) if table is None else [record_file(results, table)]
    if not files or not files[0].is_file():
        which = "no table" if table is None else f"no table {table}"
        raise ValueError(
            f"{results} has {which} with its record (table_N.json); a folder of `python -m eval table` is accepted."
        )
    return [row for file in files for row in _rows_of(results, json.loads(file.read_text(encoding="utf-8")))]


def _rows_of(results: Path, told: dict[str, Any]) -> Iterator[Row]:
    for block in told["blocks"]:
        own = (block["data"], block["sha256"], told["reference"], told.get("guess"))
        for label, row in block["rows"].items():
            if row["pictures"]:
                yield Row(results, told["table"], block["name"], label, row, *own)


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
