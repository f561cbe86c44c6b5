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


def niqe(images: torch.Tensor) -> torch.Tensor:
    """NIQE (Mittal et al., 2013) by pyiqa's `niqe`.

    Args:
        images: (B, 3, H, W) in [0, 1], sides from 96, which is the side of its blocks.

    Returns:
        (B,), from 0, the lower the better.

    Raises:
        ValueError: the images are smaller.
        ImportError: pyiqa is not installed.
        difface.weights.WeightMissing: its parameters are not there.
    """
    return _measured("niqe", NIQE_PARAMETERS, images, NIQE_SIDE)


def nrqm(images: torch.Tensor) -> torch.Tensor:
    """NRQM (Ma et al., 2017) by pyiqa's `nrqm`; some 90 seconds per image of 512 pixels on one CPU core.

    Args:
        images: (B, 3, H, W) in [0, 1], sides from 64.

    Returns:
        (B,), about 0 to 10, the higher the better.

    Raises:
        ValueError: the images are smaller.
        ImportError: pyiqa is not installed.
        difface.weights.WeightMissing: its random forest is not there.
    """
    return _measured("nrqm", NRQM_FOREST, images, NRQM_SIDE)


def _measured(name: str, weights: str, images: torch.Tensor, smallest: int) -> torch.Tensor:
    """(B, 3, H, W) -> (B,); pyiqa gives a batch of one no dimension."""
    if images.ndim != 4 or min(images.shape[-2:]) < smallest:
        raise ValueError(
            f"{name.upper()} takes (B, 3, H, W) with sides from {smallest}; got {tuple(images.shape)}. "
            "Use a profile of larger images."
        )
    return _scorer(name, weights, images.device)(images.clamp(0, 1)).reshape(-1)


class NIQE(ImageMetric):
    """`niqe` of each image, averaged."""

    name = "NIQE"
    family = "PI"
    higher_is_better = False
    needs = (NIQE_PARAMETERS,)
    smallest = NIQE_SIDE

    def score(self, restored: torch.Tensor) -> torch.Tensor:
        """(B,)."""
        return niqe(restored)


class NRQM(ImageMetric):
    """`nrqm` of each image, averaged."""

    name = "NRQM"
    family = "PI"
    higher_is_better = True
    needs = (NRQM_FOREST,)
    smallest = NRQM_SIDE

    def score(self, restored: torch.Tensor) -> torch.Tensor:
        """(B,)."""
        return nrqm(restored)


class PI(ImageMetric):
    """Perceptual index of each image, 0.5 ((10 - NRQM) + NIQE) (Blau et al., 2018), averaged.

    It is made of the `NIQE` and `NRQM` of this module. pyiqa's own `pi` is another number: it crops 4 pixels off each
    side and takes Y of YCbCr. The formula is linear: where a table has both, its PI is that of the two means.

    Args:
        niqe, nrqm: scorers, (B, 3, H, W) in [0, 1] -> (B,).
    """

    name = "PI"
    higher_is_better = False
    needs = (NIQE_PARAMETERS, NRQM_FOREST)
    smallest = max(NIQE_SIDE, NRQM_SIDE)
    parts = ("NIQE", "NRQM")

    def __init__(self, niqe: Scorer = niqe, nrqm: Scorer = nrqm):
        super().__init__()
        self.niqe, self.nrqm = niqe, nrqm

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
