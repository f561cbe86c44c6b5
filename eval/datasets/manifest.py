"""What a dataset is, and how it is written down: dataset.json says what was asked for, manifest.csv what is there."""

import csv
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import torch

from difface.degradation import Degradation
from difface.files import whole_file
from eval.datasets.degradations import Known, from_json, to_json

DESCRIPTION = "dataset.json"
MANIFEST = "manifest.csv"
PRIOR = "prior"
"""The source of samples of a prior, which are answers to no photo."""


@dataclass(frozen=True)
class Item:
    """One picture.

    Attributes:
        name: file stem, unique in the set.
        hq: the clean truth, a PNG; None in real-world sets.
        lq: the degraded input, a PNG.
        degradation: what made `lq` from `hq`, the parameters of Eq. 17 or a known one; None in real-world sets.
        mask: a PNG, white = missing; None where nothing is missing.
    """

    name: str
    hq: Path | None
    lq: Path
    degradation: Degradation | Known | None
    mask: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that it has."""
        return [file for file in (self.hq, self.lq, self.mask) if file]


@dataclass(frozen=True)
class Dataset:
    """A test set.

    Attributes:
        name: short, e.g. "sampled".
        label: what a table's footer says.
        size: side of the pictures in pixels.
        items: the pictures.
        source: where the faces came from, e.g. "celeba"; "" where nothing says it.
    """

    name: str
    label: str
    size: int
    items: tuple[Item, ...]
    source: str = ""

    @cached_property
    def digest(self) -> str:
        """Of the names and bytes of all pictures, so that what was measured on one set is not taken for another's."""
        digest = hashlib.sha256()
        for item in self.items:
            mask = f" {_sha256(item.mask)}" if item.mask else ""
            digest.update(f"{item.name} {_sha256(item.lq)} {_sha256(item.hq) if item.hq else '-'}{mask}\n".encode())
        return digest.hexdigest()[:16]


def name_seed(name: str) -> int:
    """Seed of what is random about a picture, from a name: it depends on no order, batch or number of pictures.

    The noise of its degradation takes the LQ file's name (NAME.png, `noise_of`), restoring it the item's (NAME,
    `generator_of`), so that the two draws have nothing in common.
    """
    return zlib.crc32(name.encode())


def generator_of(name: str) -> torch.Generator:
    """A fresh CPU generator with the seed of that name."""
    return torch.Generator().manual_seed(name_seed(name))


def noise_of(name: str) -> torch.Generator:
    """A fresh CPU generator for the degradation of the picture of that name, which is no file's name."""
    return generator_of(f"{name}.png")


def open_dataset(folder: Path) -> Dataset:
    """Read a finished dataset.

    Args:
        folder: made by `build` or `build_real`, and moved since at will.

    Raises:
        ValueError: it is no finished dataset, or a picture of it is missing.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file() or not (folder / DESCRIPTION).is_file():
        raise ValueError(
            f"{folder} holds no finished dataset ({DESCRIPTION} and {MANIFEST}); a folder that `eval.datasets.build` "
            "made is accepted: build it, or name another."
        )
    with (folder / MANIFEST).open(newline="") as file:
        items = tuple(_item(folder, row) for row in csv.DictReader(file))
    for path in [path for item in items for path in item.files]:
        if not path.is_file():
            raise ValueError(f"{path} is in the manifest but not there: build the dataset again, only it will be made.")
    described = read_description(folder)
    return Dataset(described["name"], described["label"], described["size"], items, described.get("source", ""))


def read_description(folder: Path) -> dict:
    """What dataset.json says."""
    return json.loads((folder / DESCRIPTION).read_text())


def write_description(folder: Path, description: dict) -> None:
    """Write dataset.json."""
    with whole_file(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(description, indent=1) + "\n")


def write_manifest(folder: Path, items: list[Item]) -> None:
    """Write manifest.csv: per picture its files, their SHA-256, all parameters and the seed of the noise."""
    with whole_file(folder / MANIFEST) as temporary, temporary.open("w", newline="") as file:
        rows = [_row(folder, item) for item in items]
        extra = [name for name in _KNOWN_COLUMNS if any(name in row for row in rows)]
        writer = csv.DictWriter(file, [*_COLUMNS, *extra], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


_PARAMETERS = tuple(field.name for field in fields(Degradation))
_COLUMNS = ("name", "hq", "lq", *_PARAMETERS, "seed", "hq_sha256", "lq_sha256")
_KNOWN_COLUMNS = ("known", "mask", "mask_sha256")
"""In sets of a known degradation only: its parameters as JSON, and the mask."""


def _row(folder: Path, item: Item) -> dict:
    """The manifest's line of a picture; what a picture has not stays empty."""
    row = {"name": item.name, "lq": item.lq.relative_to(folder).as_posix(), "lq_sha256": _sha256(item.lq)}
    if item.hq:
        row |= {"hq": item.hq.relative_to(folder).as_posix(), "hq_sha256": _sha256(item.hq)}
    if item.mask:
        row |= {"mask": item.mask.relative_to(folder).as_posix(), "mask_sha256": _sha256(item.mask)}
    if isinstance(item.degradation, Degradation):
        row |= asdict(item.degradation) | {"seed": name_seed(item.lq.name)}
    elif item.degradation:
        row |= {"known": json.dumps(to_json(item.degradation))}
    return row


def _item(folder: Path, row: dict) -> Item:
    degradation = None
    if row["scale"]:
        numbers = {name: float(row[name]) for name in ("scale", "sigma_x", "sigma_y", "theta", "noise")}
        degradation = Degradation(**numbers, jpeg_quality=int(row["jpeg_quality"]), grey=row["grey"] == "True")
    elif row.get("known"):
        degradation = from_json(json.loads(row["known"]))
    hq, mask = (folder / row[name] if row.get(name) else None for name in ("hq", "mask"))
    return Item(row["name"], hq, folder / row["lq"], degradation, mask)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
