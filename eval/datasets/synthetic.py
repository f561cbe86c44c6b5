"""Synthetic test sets: clean faces degraded by Eq. 17, on the grid or all alike."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from difface import folders, images
from difface.degradation import Degradation, cells, grid
from eval.datasets import sampled
from eval.datasets.make import Plan, make
from eval.datasets.manifest import Dataset

CELEBA_SIZE = 512


def build(
    source: str | Path,
    folder: Path,
    size: int,
    *,
    data: Path | None = None,
    limit: int | None = None,
    degradation: Degradation | None = None,
    seed: int = 0,
) -> Dataset:
    """Build a test set, or finish or reuse one that is there.

    Without `degradation` every face gets a cell of the test grid for its size. Where there are 4,000 faces, face k of
    the sorted names gets cell k, as in CelebA-Test, and `limit` takes a fair sample of these pairs; where there are
    fewer, they get the first cells of a permutation. The noise is seeded by the file's name, NAME.png.

    Args:
        source: "sampled" (faces drawn from the embedded prior, seeds from 0), "celeba" (CelebA-HQ at 512 pixels, in
            `data`), or a folder of aligned faces.
        folder: where the set goes: hq/, lq/, manifest.csv and dataset.json.
        size: side of the faces in pixels.
        data: the folder of CelebA-HQ's PNG files.
        limit: at most so many faces; "sampled" has 32 by default.
        degradation: the parameters for all faces, instead of the grid.
        seed: of the permutation of the grid.

    Raises:
        ValueError: an unknown source, too few or unfit pictures, or a folder that holds another dataset.
    """
    faces = faces_of(source, data, size, limit)
    plan = [(file, degradation) for file in faces.files[:limit]] if degradation else _on_grid(faces, size, limit, seed)
    description = {
        "name": faces.name,
        "label": f"{len(plan):,} faces {faces.origin}, {_degraded(degradation, size, len(plan), seed)}",
        "size": size,
        "source": faces.source,
        "limit": len(plan),
        "seed": seed,
        "degradation": asdict(degradation) if degradation else None,
        "weights": faces.weights,
        "files": faces.digest([file for file, _ in plan]),
    }
    return make(Path(folder), description, plan, faces.read)


def digest_of_files(files: list[Path]) -> str:
    """Tells one selection of pictures from another, by names and bytes, wherever their folder is."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class CleanFaces:
    """Clean faces.

    Attributes:
        source: "sampled", "celeba" or "folder".
        name: of the dataset.
        origin: for its label.
        files: where each face is, or will be once it is read.
        read: opens one.
        weights: version of the prior that draws them.
    """

    source: str
    name: str
    origin: str
    files: list[Path]
    read: Callable[[Path], Image.Image] = images.read
    weights: str | None = None

    def digest(self, chosen: list[Path]) -> str:
        """Tells these faces from others; of faces that are yet to be drawn the names and the prior say all."""
        if self.weights:
            return hashlib.sha256("\n".join(file.name for file in chosen).encode()).hexdigest()[:16]
        return digest_of_files(chosen)


def faces_of(source: str | Path, data: Path | None, size: int, limit: int | None) -> CleanFaces:
    """The faces of a source; arguments and errors as for `build`."""
    if limit is not None and limit < 1:
        raise ValueError(f"`limit` must be a number of pictures from 1; got {limit}.")
    if source == "sampled":
        files = sampled.files(sampled.COUNT if limit is None else limit, size)
        return CleanFaces(
            "sampled", "sampled", "sampled from the embedded prior", files, sampled.read, sampled.version()
        )
    if source == "celeba":
        return CleanFaces("celeba", "celeba", "of CelebA-Test", _celeba(data, size))
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(
            f"the source '{source}' is unknown; sampled, celeba or a folder of aligned faces are accepted."
        )
    name = folder.resolve().name
    return CleanFaces("folder", name, f"of {name}", folders.find([folder]))


def _celeba(data: Path | None, size: int) -> list[Path]:
    """The first 4,000 PNG files of CelebA-HQ by name, those of CelebA-Test."""
    if size != CELEBA_SIZE:
        raise ValueError(f"CelebA-Test has {CELEBA_SIZE} pixels; got {size}: give the folder itself as the source.")
    if data is None:
        raise ValueError("'celeba' needs the folder of CelebA-HQ's PNG files at 512 pixels; got none: pass `data`.")
    files, wanted = sorted(Path(data).glob("*.png")), len(grid(size))
    if len(files) < wanted:
        raise ValueError(
            f"{data} holds {len(files):,} PNG files; CelebA-Test takes the first {wanted:,} of CelebA-HQ: put them all "
            "there, or give the folder itself as the source."
        )
    return files[:wanted]


def _on_grid(faces: CleanFaces, size: int, limit: int | None, seed: int) -> Plan:
    """Every face with its cell of the grid."""
    every = grid(size)
    files = faces.files[: len(every)]
    chosen = cells(size, len(files) if limit is None else min(limit, len(files)), seed)
    if len(files) < len(every):
        return list(zip(files, chosen, strict=False))
    wanted = set(chosen)
    return [(file, cell) for file, cell in zip(files, every, strict=True) if cell in wanted]


def _degraded(degradation: Degradation | None, size: int, count: int, seed: int) -> str:
    """How, for the label."""
    if degradation is None:
        return f"Eq. 17 grid at {size} pixels" + (f", seed {seed}" if count < len(grid(size)) else "")
    d = degradation
    return (
        f"Eq. 17 with s = {d.scale:g}, sigma = ({d.sigma_x:g}, {d.sigma_y:g}), theta = {d.theta:.2f}, "
        f"delta = {d.noise:g}, q = {d.jpeg_quality}" + (", grey" if d.grey else "")
    )
