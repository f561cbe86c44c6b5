"""The interface of every metric, small and after torchmetrics: `update` with batches, then `compute`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch


class Metric(ABC):
    """What all metrics have.

    Attributes:
        name: the column's title; the name of another network or definition is another name.
        higher_is_better: which end is good.
        needs: file names of weights, as in `difface.weights.CATALOG`.
        smallest: least side of the images, in pixels.
    """

    name: str
    higher_is_better: ClassVar[bool]
    needs: tuple[str, ...] = ()
    smallest: int = 1

    @property
    def version(self) -> str:
        """What tells kept scores from those of other weights or another definition of the same name; "" if nothing."""
        return ""

    @property
    def family(self) -> str:
        """Metrics of one family share what is slow: the features of a network, or the scores that one is made of."""
        return self.name

    @abstractmethod
    def compute(self) -> float:
        """The number of a table, over everything added so far."""


class PerImageMetric(Metric):
    """A metric that scores single images; the table's number is the mean of their scores.

    Attributes:
        values: one number per image, in the order of the updates.
    """

    def __init__(self):
        self.values: list[float] = []

    def compute(self) -> float:
        """Mean over all images so far; NaN before the first."""
        return self.mean(self.values)

    @classmethod
    def mean(cls, values: Sequence[float]) -> float:
        """The table's number for these scores: the mean of those that count; NaN where there is none.

        Example:
            >>> PerImageMetric.mean([20.0, 24.0]), PerImageMetric.mean([])
            (22.0, nan)
        """
        counted = cls.counted(values)
        return float(np.mean(counted)) if len(counted) else float("nan")

    @staticmethod
    def counted(values: Sequence[float]) -> Sequence[float]:
        """Those of the scores that the mean and its interval are of."""
        return values


class PairMetric(PerImageMetric):
    """A score of each restored image against its truth."""

    def update(self, restored: torch.Tensor, truth: torch.Tensor) -> None:
        """Add images, both (B, 3, H, W) in [0, 1], on one device.

        Raises:
            ValueError: the shapes differ, or are smaller than the metric can take.
        """
        if restored.shape != truth.shape or restored.ndim != 4 or min(truth.shape[-2:]) < self.smallest:
            raise ValueError(
                f"{self.name} compares two (B, 3, H, W) of one shape, sides from {self.smallest}; got "
                f"{tuple(restored.shape)} and {tuple(truth.shape)}."
            )
        self.values += torch.as_tensor(self.score(restored, truth)).double().tolist()

    @abstractmethod
    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor | np.ndarray:
        """The scores of a batch, (B,)."""


class ImageMetric(PerImageMetric):
    """A score of each image alone, without a truth.

    Attributes:
        parts: names of metrics from whose scores `combined` makes this one's.
    """

    parts: ClassVar[tuple[str, ...]] = ()

    def update(self, restored: torch.Tensor) -> None:
        """Add images, (B, 3, H, W) in [0, 1]."""
        self.values += torch.as_tensor(self.score(restored)).double().tolist()

    @abstractmethod
    def score(self, restored: torch.Tensor) -> torch.Tensor | np.ndarray:
        """The scores of a batch, (B,)."""


class SetMetric(Metric):
    """A distance between the features of a set of images and those of a reference set; single images have no score.

    Attributes:
        reference: whose images are the reference: "faces", clean faces that are none of the test's, or "truth", the
            ground truth of the scored set.
        most: how many pictures of the scored set are taken, the first by name; None: all.
    """

    higher_is_better = False
    reference: str = "faces"
    most: int | None = None

    @abstractmethod
    def features(self, images: torch.Tensor) -> torch.Tensor | np.ndarray:
        """(B, 3, H, W) in [0, 1] -> (B, d)."""

    def update(self, images: torch.Tensor, real: bool = False) -> None:
        """Add images (B, 3, H, W) in [0, 1] to the reference (`real`) or to the scored set."""
        self.add(torch.as_tensor(self.features(images)).cpu().numpy(), real)

    @abstractmethod
    def add(self, vectors: np.ndarray, real: bool = False) -> None:
        """The same with their features, (B, d)."""

    @abstractmethod
    def without(self) -> np.ndarray:
        """(n,) the distance of the scored set without each of its n images, in order, from the whole reference.

        What a jackknife's error is made of; NaN for two images.
        """
