"""Quality through pyiqa: NIQE, NRQM, PI of the two, MUSIQ, MANIQA, CLIP-IQA, Q-Align, TOPIQ-face; DISTS to a truth."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from difface.metrics.base import ImageMetric, PairMetric

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


@lru_cache(maxsize=8)
def _own(name: str, device: torch.device) -> Callable[..., torch.Tensor]:
    """pyiqa's metric of that name with its defaults and its own weights, which it fetches and keeps by itself."""
    try:
        from pyiqa import create_metric
    except ImportError as error:
        raise ImportError(
            f"{name} needs the package pyiqa ({error}); get it with: pip install -r requirements-paper.txt"
        ) from error
    from difface.weights import WeightError

    try:
        return create_metric(name, device=device)
    except (OSError, RuntimeError) as error:  # no network, or half a file
        reason = str(error).splitlines()[0]
        raise WeightError(f"{name} of pyiqa has no weights here, and could not fetch them ({reason})") from error


class _Unseen(ImageMetric):
    """A learnt metric of pyiqa's name without a truth, of each image, averaged; the package gets the weights."""

    higher_is_better = True
    pyiqa: str

    def score(self, restored: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,).

        Raises:
            ImportError: pyiqa is not installed.
            difface.weights.WeightError: its weights are not there and cannot be had.
        """
        return _own(self.pyiqa, restored.device)(restored.clamp(0, 1)).reshape(-1)


class MUSIQ(_Unseen):
    """MUSIQ (Ke et al., ICCV 2021), about 0 to 100; weights of KonIQ-10k."""

    name, pyiqa = "MUSIQ", "musiq"


class MANIQA(_Unseen):
    """MANIQA (Yang et al., CVPRW 2022), about 0 to 1; weights of KonIQ-10k."""

    name, pyiqa, smallest = "MANIQA", "maniqa", 224


class CLIPIQA(_Unseen):
    """CLIP-IQA (Wang et al., AAAI 2023), 0 to 1."""

    name, pyiqa = "CLIP-IQA", "clipiqa"


class QAlign(_Unseen):
    """Q-Align (Wu et al., ICML 2024), quality from 1 to 5 by a language model of 8 billion parameters: for a GPU."""

    name, pyiqa = "Q-Align", "qalign"


class TOPIQFace(_Unseen):
    """TOPIQ trained for faces (Chen et al., TIP 2024; CGFIQA), 0 to 1; sees the picture at 512 pixels."""

    name, pyiqa = "TOPIQ-face", "topiq_nr-face"


class DISTS(PairMetric):
    """DISTS (Ding et al., TPAMI 2020) of each image and its truth, averaged: structure and texture, 0 is equal."""

    name = "DISTS"
    higher_is_better = False
    smallest = 32

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Both (B, 3, H, W) in [0, 1] -> (B,); errors as for `MUSIQ`."""
        return _own("dists", restored.device)(restored.clamp(0, 1), truth.clamp(0, 1)).reshape(-1)
