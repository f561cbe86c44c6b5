"""The faces of a figure: degraded inputs, their truth where there is one, and other methods' answers to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from difface import folders, images
from difface.degradation import Ranges, cells, degrade
from eval.datasets import name_seed, noise_of
from eval.gallery import EXAMPLES, clean_faces

BATCH = 16
"""Pictures of a reference that are in memory at once."""


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

    def generators(self, answers: int = 1) -> list[torch.Generator]:
        """One per output picture for the sampler, `answers` for each face: answer k has the seed of the face's name plus k."""
        seeds = [name_seed(name) + k for name in self.names for k in range(answers)]
        return [torch.Generator().manual_seed(seed) for seed in seeds]


def default_faces(count: int = 3) -> Faces:
    """Faces that anybody may use and that need no download: the astronaut and samples of the embedded prior, 64 pixels.

    They are degraded at the gallery's three levels by turns. The samples are the prior's own, so that numbers on them are
    kinder to it than numbers on strangers' faces.

    Args:
        count: how many, from 2.

    Raises:
        ValueError: fewer than two.
    """
    if count < 2:
        raise ValueError(f"`count` must be 2 or more, the astronaut and samples; got {count}.")
    clean = clean_faces(list(range(count - 1)))
    names, hq = tuple(clean), torch.stack(list(clean.values()))
    levels = [list(EXAMPLES.values())[(k + 1) % len(EXAMPLES)] for k in range(count)]  # middle first, as in the gallery
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
    truth = None if hq is None else read_results(hq, names, size)
    if lq is not None:
        return Faces(names, truth, read_results(lq, names, size))
    parameters = cells(Ranges.nearest(size).size, len(names))
    return Faces(names, truth, degrade(truth, parameters, noises(names)))


def read_results(folder: Path, names: tuple[str, ...], size: int) -> Tensor:
    """The pictures of these names, (B, 3, size, size) in [0, 1]; also how another method's answers come in.

    Raises:
        difface.images.ImageError: the folder does not hold a picture of each name.
    """
    files = {file.stem: file for file in folders.find([folder])}
    missing = [name for name in names if name not in files]
    if missing:
        raise images.ImageError(
            f"the folder {folder} has no picture of {missing[0]} ({len(missing)} of {len(names)} are missing); one for each "
            "face, of the same name, is accepted: add them."
        )
    return torch.stack([images.fit_square(images.to_tensors(images.read(files[name]))[0], size) for name in names])


@dataclass(frozen=True)
class Reference:
    """Pictures, read batch by batch whenever they are asked for: there may be 70,000.

    Attributes:
        files: the pictures.
        size: side in pixels that each is fitted to.
    """

    files: tuple[Path, ...]
    size: int

    def __iter__(self) -> Iterator[Tensor]:
        """(B, 3, size, size) in [0, 1]."""
        for first in range(0, len(self.files), BATCH):
            pictures = [images.to_tensors(images.read(file))[0] for file in self.files[first : first + BATCH]]
            yield torch.stack([images.fit_square(picture, self.size) for picture in pictures])


def noises(names: tuple[str, ...]) -> list[torch.Generator]:
    """One for the degradation of each face, apart from those of `Faces.generators`."""
    return [noise_of(name) for name in names]
