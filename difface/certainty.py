"""Where several answers to one face agree: their spread as a map, by region and in a sentence (Sec. VI-E)."""

import cv2
import numpy as np
import torch

from difface.degradation import to_grey
from difface.faces import FFHQ_TEMPLATE

FULL = 0.2
"""Spread from which the map is darkest, images in [0, 1]; every map has this scale, so that two can be compared."""
COLOUR = 0.7
"""Part of the map in the overlay; the rest is the face in grey."""

_EYES, _MOUTH = FFHQ_TEMPLATE[:2], FFHQ_TEMPLATE[3:]
_FACE = ((0.5, 0.57), (0.30, 0.40))
"""Centre and half axes (x, y) of the ellipse within which an aligned face lies, in sides of the picture."""


def spread(answers: torch.Tensor) -> torch.Tensor:
    """Standard deviation over the answers at every pixel, averaged over the colours.

    Args:
        answers: (K, 3, H, W) in [0, 1], K from 2.

    Returns:
        (H, W), with n - 1 in the denominator.

    Raises:
        ValueError: fewer than two answers, or another shape.
    """
    if answers.ndim != 4 or len(answers) < 2:
        raise ValueError(f"`answers` must be (K, 3, H, W) with K from 2, for a spread; got {tuple(answers.shape)}.")
    return answers.std(dim=0).mean(0)


def heat_map(values: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """Certainty in colours over a face in grey: bright where the answers agree, dark where they do not.

    Args:
        values: spread, (H, W), shown from 0 (bright) to `FULL` (dark).
        face: (3, H, W) in [0, 1].

    Returns:
        (3, H, W) in [0, 1].
    """
    colour = palette()[(1 - values / FULL).clamp(0, 1).mul(255).round().long()].permute(2, 0, 1)
    return COLOUR * colour + (1 - COLOUR) * to_grey(face)


def palette() -> torch.Tensor:
    """The map's colours from a spread of `FULL` to none: (256, 3) in [0, 1], ever brighter, told apart by every eye."""
    bgr = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0]
    return torch.from_numpy(bgr[:, ::-1].copy()).float() / 255


def regions(values: torch.Tensor) -> dict[str, float]:
    """Mean spread by region of a face in FFHQ alignment.

    Args:
        values: (H, H).

    Returns:
        Region -> mean of its pixels.
    """
    size = values.shape[-1]
    y, x = torch.meshgrid(*[(torch.arange(size) + 0.5) / size] * 2, indexing="ij")
    (x_0, y_0), (width, height) = _FACE
    inside = ((x - x_0) / width) ** 2 + ((y - y_0) / height) ** 2 <= 1
    features = {
        "the eyes": _box(x, y, _EYES, 0.09, 0.06),
        "the nose": _box(x, y, FFHQ_TEMPLATE[2:3], 0.07, 0.08),
        "the mouth": _box(x, y, _MOUTH, 0.04, 0.06),
    }
    skin = inside & ~torch.stack(list(features.values())).any(0)
    masks = features | {"the skin": skin, "hair and background": ~inside}
    return {name: values[mask].mean().item() for name, mask in masks.items()}


def _box(x: torch.Tensor, y: torch.Tensor, points: np.ndarray, across: float, down: float) -> torch.Tensor:
    """The pixels around these points, with margins."""
    (left, top), (right, bottom) = points.min(0) - (across, down), points.max(0) + (across, down)
    return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def sentence(values: torch.Tensor, count: int) -> str:
    """What a map means, in words.

    Args:
        values: spread of an aligned face, (H, H).
        count: how many answers it rests on.
    """
    by_region = regions(values)
    most, least = max(by_region, key=by_region.__getitem__), min(by_region, key=by_region.__getitem__)
    return (
        f"The {count} answers all fit the photo, yet they differ by ±{_levels(values.mean())} of 255 grey levels on "
        f"average: most in {most} (±{_levels(by_region[most])}), least in {least} (±{_levels(by_region[least])}). "
        "Where the map is dark the photo does not say, and the model invents; where it is bright they agree, which is "
        "no proof that they are right."
    )


def _levels(value: float | torch.Tensor) -> str:
    return f"{float(value) * 255:.1f}" if float(value) * 255 < 9.5 else f"{float(value) * 255:.0f}"
