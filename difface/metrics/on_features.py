"""What comparisons of two sets share that keep all features of both: whose features these are, and where they are."""

import numpy as np
import torch

from difface.metrics.base import SetMetric
from difface.metrics.frechet import FrechetDistance


class OnFeatures(SetMetric):
    """A comparison on the features of a Frechet distance.

    Args:
        of: whose features and kind of reference these are; `title` in the place of FD or FID of its name is this one's.

    Attributes:
        least: of images in each set.
    """

    title: str
    least: int

    def __init__(self, of: FrechetDistance):
        self.of, self.needs = of, of.needs
        self.name = self.title + of.name.removeprefix("FD").removeprefix("FID")
        self.reference, self.smallest = of.reference, of.smallest
        self._real: list[np.ndarray] = []
        self._scored: list[np.ndarray] = []

    @property
    def version(self) -> str:
        """That of the features' network."""
        return self.of.version

    @property
    def family(self) -> str:
        """The features' network."""
        return self.of.family

    def features(self, images: torch.Tensor) -> torch.Tensor | np.ndarray:
        """(B, 3, H, W) in [0, 1] -> (B, d)."""
        return self.of.features(images)

    def add(self, vectors: np.ndarray, real: bool = False) -> None:
        """Add the features of images, (B, d), to the reference (`real`) or to the scored set."""
        (self._real if real else self._scored).append(vectors.astype(np.float32))

    def _sets(self) -> tuple[np.ndarray, np.ndarray]:
        """The reference's features and the scored ones, (m, d) and (n, d).

        Raises:
            ValueError: a set has fewer than `least` images.
        """
        real, scored = (np.concatenate(vectors or [np.zeros((0, 1))]) for vectors in (self._real, self._scored))
        if min(len(real), len(scored)) < self.least:
            number = {2: "two", 5: "five"}[self.least]
            raise ValueError(
                f"{self.name} needs {number} images in each set; got {len(real)} and {len(scored)}: add images."
            )
        return real, scored
