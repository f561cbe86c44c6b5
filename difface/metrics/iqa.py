"""Quality without a truth, through pyiqa: NIQE, NRQM, and PI of the two."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from difface.metrics.base import ImageMetric

NIQE_PARAMETERS = "niqe_modelparameters.mat"
NRQM_FOREST = "NRQM_model.mat"
NIQE_SIDE, NRQM_SIDE = 96, 64
"""Least sides in pixels."""

Scorer = Callable[[torch.Tensor], torch.Tensor]


@lru_cache(maxsize=4)
def _scorer(name: str, weights: str, device: torch.device) -> Scorer:
    """pyiqa's metric of that name with its defaults: on Y of YIQ, nothing cropped."""
    try:
        from pyiqa import create_metric
    except ImportError as error:
        raise ImportError(
            f"{name.upper()} needs the package pyiqa ({error}); get it with: pip install -r requirements-paper.txt"
        ) from error
    from difface.weights import find

    return create_metric(name, device=device, pretrained_model_path=str(find(weights)))


def _measured(name: str, weights: str, images: torch.Tensor, smallest: int) -> torch.Tensor:
    """(B, 3, H, W) -> (B,); pyiqa gives a batch of one no dimension."""
    if images.ndim != 4 or min(images.shape[-2:]) < smallest:
        raise ValueError(
            f"{name.upper()} takes (B, 3, H, W) with sides from {smallest}; got {tuple(images.shape)}. "
            "Use a profile of larger images."
        )
    return _scorer(name, weights, images.device)(images.clamp(0, 1)).reshape(-1)


class _OfPyiqa(ImageMetric):
    """A metric of pyiqa's name, of each image, averaged."""

    family = "PI"

    def score(self, restored: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,).

        Raises:
            ValueError: the images are smaller than `smallest`.
            ImportError: pyiqa is not installed.
            difface.weights.WeightMissing: its parameters are not there.
        """
        return _measured(self.name.lower(), self.needs[0], restored, self.smallest)


class NIQE(_OfPyiqa):
    """NIQE (Mittal et al., 2013), from 0; sides from 96, which is the side of its blocks."""

    name = "NIQE"
    higher_is_better = False
    needs = (NIQE_PARAMETERS,)
    smallest = NIQE_SIDE


class NRQM(_OfPyiqa):
    """NRQM (Ma et al., 2017), about 0 to 10; some 90 seconds per image of 512 pixels on one CPU core."""

    name = "NRQM"
    higher_is_better = True
    needs = (NRQM_FOREST,)
    smallest = NRQM_SIDE


class PI(ImageMetric):
    """Perceptual index of each image, 0.5 ((10 - NRQM) + NIQE) (Blau et al., 2018), averaged.

    It is made of the `NIQE` and `NRQM` of this module. pyiqa's own `pi` is another number: it crops 4 pixels off each
    side and takes Y of YCbCr. The formula is linear: where a table has both, its PI is that of the two means.

    Args:
        niqe, nrqm: scorers, (B, 3, H, W) in [0, 1] -> (B,); None for theirs.
    """

    name = "PI"
    higher_is_better = False
    needs = (NIQE_PARAMETERS, NRQM_FOREST)
    smallest = max(NIQE_SIDE, NRQM_SIDE)
    parts = ("NIQE", "NRQM")

    def __init__(self, niqe: Scorer | None = None, nrqm: Scorer | None = None):
        super().__init__()
        self.niqe, self.nrqm = niqe or NIQE().score, nrqm or NRQM().score

    def score(self, restored: torch.Tensor) -> torch.Tensor:
        """(B,)."""
        return self.combined(nrqm=self.nrqm(restored), niqe=self.niqe(restored))

    @staticmethod
    def combined(niqe: Any, nrqm: Any) -> Any:
        """The index of these scores, numbers or arrays.

        Example:
            >>> PI.combined(niqe=4.0, nrqm=8.0)
            3.0
        """
        return ((10 - nrqm) + niqe) / 2
