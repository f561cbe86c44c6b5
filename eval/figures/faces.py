"""The faces of a figure: degraded inputs, and their truth where there is one."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from difface import folders, images
from difface.degradation import Ranges, cells, degrade, level
from eval.datasets import generator_of, noise_of
from eval.gallery import TURNS, clean_faces


@dataclass(frozen=True)
class Faces:
    """What a figure is made from.

    Attributes:
        names: one for each face, without a suffix; the seeds come from them.
        hq: the truth x_0, (B, 3, H, H) in [0, 1]; None for real photos.
        lq: the input y, (B, 3, H, H) in [0, 1].
    """

    names: tuple[str, ...]
    hq: Tensor | None
    lq: Tensor

    def __post_init__(self) -> None:
        shape = (len(self.names), 3, *self.lq.shape[-1:] * 2)
        for given, batch in (("hq", self.hq), ("lq", self.lq)):
            if batch is not None and tuple(batch.shape) != shape:
                raise ValueError(
                    f"`{given}` must be one square picture for each of the {len(self.names)} names, {shape}; "
                    f"got {tuple(batch.shape)}."
                )

    @property
    def size(self) -> int:
        """Side in pixels."""
        return self.lq.shape[-1]

    def first(self, count: int) -> "Faces":
        """The first `count` of them, or all."""
        return Faces(self.names[:count], None if self.hq is None else self.hq[:count], self.lq[:count])

    def truth(self) -> Tensor:
        """`hq`, for a figure that cannot do without.

        Raises:
            ValueError: there is none.
        """
        if self.hq is None:
            raise ValueError("this figure compares with the truth, and the faces given have none: give clean faces.")
        return self.hq

    def generators(self) -> list[torch.Generator]:
        """One for each face's sampler, with the seed of its name."""
        return [generator_of(name) for name in self.names]


def default_faces(count: int = 3, profile: str = "tiny") -> Faces:
    """Faces that anybody may use and that need no download: the astronaut and samples of an embedded prior.

    They are degraded at the gallery's three levels by turns. The samples are the prior's own, so that numbers on them
    are kinder to it than numbers on strangers' faces.

    Args:
        count: how many, from 2.
        profile: whose prior, and whose size.

    Raises:
        ValueError: fewer than two.
    """
    if count < 2:
        raise ValueError(f"`count` must be 2 or more, the astronaut and samples; got {count}.")
    clean = clean_faces(list(range(count - 1)), profile)
    names, hq = tuple(clean), torch.stack(list(clean.values()))
    levels = [level(hq.shape[-1], TURNS[k % len(TURNS)]) for k in range(count)]
    return Faces(names, hq, degrade(hq, levels, noises(names)))


def read_faces(size: int, hq: Path | None = None, lq: Path | None = None, limit: int | None = None) -> Faces:
    """Aligned faces from folders, fitted to `size` pixels.

    Args:
        size: side in pixels, that of the profile.
        hq: folder of clean faces; None for real photos.
        lq: folder of inputs, paired with the clean faces by name; None degrades these with cells of the test grid.
        limit: only the first so many.

    Raises:
        difface.images.ImageError: a folder without pictures, or a clean face without its input.
        ValueError: neither folder is given.
    """
    if hq is None and lq is None:
        raise ValueError("a folder of clean faces, of inputs, or both are accepted; got neither: give one.")
    names = tuple(file.stem for file in folders.find([hq or lq])[:limit])
    truth = None if hq is None else _read(hq, names, size)
    if lq is not None:
        return Faces(names, truth, _read(lq, names, size))
    parameters = cells(Ranges.nearest(size).size, len(names))
    return Faces(names, truth, degrade(truth, parameters, noises(names)))


def _read(folder: Path, names: tuple[str, ...], size: int) -> Tensor:
    """The pictures of these names, (B, 3, size, size) in [0, 1].

    Raises:
        difface.images.ImageError: the folder does not hold a picture of each name.
    """
    files = {file.stem: file for file in folders.find([folder])}
    missing = [name for name in names if name not in files]
    if missing:
        raise images.ImageError(
            f"the folder {folder} has no picture of {missing[0]} ({len(missing)} of {len(names)} are missing); one for "
            "each face, of the same name, is accepted: add them."
        )
    return torch.stack([images.fit_square(images.to_tensors(images.read(files[name]))[0], size) for name in names])


def noises(names: tuple[str, ...]) -> list[torch.Generator]:
    """One for the degradation of each face, apart from those that restore it."""
    return [noise_of(name) for name in names]
