"""The pictures of a training: folders of aligned faces, sharp ones and soft ones, in memory or on disk."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from difface import faces, images
from difface.folders import find
from difface.models.means import Colours

MEMORY = 4.0
"""Decoded pictures are kept when all of them take up to so many GB (1e9 bytes); else each batch is read from disk."""


COUNTED = 2000
"""Pictures are enough to know how their colours are spread."""


class TrainingError(ValueError):
    """A training that cannot start or go on; the message is one line."""


class Batch(NamedTuple):
    """The pictures of one step.

    Attributes:
        x_0: (B, 3, size, size) in [0, 1].
        soft: (B,) bool, which of them are less sharp than the model's size asks.
    """

    x_0: torch.Tensor
    soft: torch.Tensor


class Faces:
    """The faces of some folders, folder by folder in order of name.

    A picture of `size` x `size` is taken as it is. A crop with a margin, of `faces.margin_side(size)` pixels as `align
    --margin` writes it, is turned, scaled and shifted a little (`faces.jittered`) each time that it is drawn.

    Args:
        folders: of pictures.
        size: side in pixels.
        soft: folders of pictures that are less sharp than `size` asks.
        memory: see `MEMORY`.

    Raises:
        TrainingError: a picture of another size, or `memory` is no number from 0 up.
        difface.images.ImageError: a folder without a picture, or a picture that cannot be read.
    """

    def __init__(self, folders: Sequence[Path], size: int, soft: Sequence[Path] = (), memory: float = MEMORY):
        if not memory >= 0:
            raise TrainingError(f"`memory` must be a number of GB from 0 up; got {memory}.")
        sharp, softer = find([*folders]), find([*soft])
        self.files, self.size = sharp + softer, size
        self.soft = torch.arange(len(self.files)) >= len(sharp)
        bytes_in_all = sum(3 * self._side(file) ** 2 for file in self.files)
        self._kept = [_decoded(file) for file in self.files] if bytes_in_all <= memory * 1e9 else None

    def _side(self, file: Path) -> int:
        with Image.open(file) as header:
            width, height = header.size
        accepted = (self.size, faces.margin_side(self.size))
        if width != height or width not in accepted:
            raise TrainingError(
                f"{file} is {width}x{height} pixels; aligned faces of {self.size}x{self.size} or, with a margin, "
                f"{accepted[1]}x{accepted[1]} are accepted: run `difface align {file.parent} -o DIR --size "
                f"{self.size}` first."
            )
        return width

    def batch(self, step: int, seed: int, batch_size: int, process: int = 0, processes: int = 1) -> Batch:
        """The pictures of one step; every epoch is a fresh permutation, and every draw follows from the arguments."""
        count = len(self.files)
        first = (step * processes + process) * batch_size
        places = [divmod(position, count) for position in range(first, first + batch_size)]
        indices = [int(_permutation(count, seed, epoch)[place]) for epoch, place in places]
        rng = np.random.default_rng([seed, step, process])
        x_0 = np.stack([self._picture(index, rng) for index in indices])
        return Batch(torch.from_numpy(x_0).permute(0, 3, 1, 2).float() / 255, self.soft[indices])

    def colours(self) -> Colours:
        """Mean and covariance of the mean colours of the sharp pictures, `COUNTED` at most, for `UNet(colours=...)`."""
        sharp = (~self.soft).nonzero()[:, 0].tolist()
        rng = np.random.default_rng(0)
        chosen = sharp[:: max(len(sharp) // COUNTED, 1)]
        means = np.stack([self._picture(index, rng).mean((0, 1)) / 127.5 - 1 for index in chosen])
        spread = np.cov(means.T) if len(means) > 1 else np.zeros((3, 3))
        return tuple(tuple(round(float(value), 5) for value in row) for row in (means.mean(0), *spread))

    def _picture(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """(size, size, 3) uint8."""
        picture = self._kept[index] if self._kept else _decoded(self.files[index])
        if len(picture) == self.size:
            return picture
        points = faces.jittered(faces.margin_points(self.size), rng)
        return faces.warp(picture, points, faces.FFHQ_TEMPLATE * self.size, self.size)


class Steps(Dataset):
    """The batches of a training by their step, for `torch.utils.data.DataLoader`.

    Args:
        faces: the pictures.
        seed, batch_size, process, processes: as in `Faces.batch`.
    """

    def __init__(self, faces: Faces, seed: int, batch_size: int, process: int = 0, processes: int = 1):
        self.faces, self.given = faces, (seed, batch_size, process, processes)

    def __getitem__(self, step: int) -> Batch:
        """The pictures of one step."""
        return self.faces.batch(step, *self.given)


def _decoded(file: Path) -> np.ndarray:
    return np.asarray(images.read(file))


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> torch.Tensor:
    return torch.randperm(count, generator=generator_of(seed, 1, epoch))


def generator_of(*parts: int) -> torch.Generator:
    """A CPU generator whose seed mixes the given numbers, so that every step and process has its own stream."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = ((state ^ (part + 0x632BE59BD9B4E019)) * 0xBF58476D1CE4E5B9) % 2**64
        state ^= state >> 31
    return torch.Generator().manual_seed(state % 2**63)
