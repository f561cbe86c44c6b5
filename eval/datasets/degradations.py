"""What made an input from its truth: Eq. 17, or a known degradation (a mask, grey, block means)."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional

from difface.degradation import Degradation, degrade, to_grey
from difface.masks import Mask


@dataclass(frozen=True)
class Grey:
    """The luminance alone is left."""


@dataclass(frozen=True)
class BlockMeans:
    """The mean of each block of s x s pixels, repeated, so that the input is as large as its truth.

    Attributes:
        scale: s, a divisor of the pictures' side.
    """

    scale: int


Known = Mask | Grey | BlockMeans


def worsen(truth: torch.Tensor, degradation: Degradation | Known, generator: torch.Generator) -> torch.Tensor:
    """The input y of a truth, both (3, H, W) in [0, 1]; the generator is for the noise of Eq. 17.

    Raises:
        ValueError: blocks that do not fill the picture.
    """
    match degradation:
        case Mask():
            return truth * (1 - degradation.paint(*truth.shape[-2:])[0])
        case Grey():
            return to_grey(truth)
        case BlockMeans(scale):
            if any(side % scale for side in truth.shape[-2:]):
                raise ValueError(
                    f"blocks of {scale}x{scale} pixels do not fill {truth.shape[2]}x{truth.shape[1]}; a divisor of the "
                    "sides is accepted: choose another scale."
                )
            return functional.interpolate(functional.avg_pool2d(truth[None], scale), scale_factor=scale)[0]
        case Degradation():
            return degrade(truth, degradation, generator)


def to_json(known: Known) -> dict[str, Any]:
    """Every parameter; `from_json` reads it back."""
    match known:
        case Mask():
            return asdict(known)
        case Grey():
            return {"kind": "grey"}
        case BlockMeans(scale):
            return {"kind": "means", "scale": scale}


def from_json(stored: dict[str, Any]) -> Known:
    """The degradation that `to_json` wrote."""
    match stored:
        case {"kind": "grey"}:
            return Grey()
        case {"kind": "means", "scale": scale}:
            return BlockMeans(scale)
    boxes, strokes = (tuple(map(tuple, stored[key])) for key in ("boxes", "strokes"))
    return Mask(stored["kind"], boxes, strokes)
