"""How a filled hole sits in its picture: the step at its border, and how much happens inside it."""

import torch


def across_border(images: torch.Tensor, masks: torch.Tensor) -> float:
    """Mean |difference| of neighbouring pixels of which one is missing and the other known, over all pictures together.

    Args:
        images: (B, 3, H, W) in [0, 1]; differences are averaged over the channels.
        masks: (B, 1, H, W), 1 = missing.
    """
    return _mean_difference(images, masks, missing=1)


def inside_hole(images: torch.Tensor, masks: torch.Tensor) -> float:
    """Mean |difference| of neighbouring pixels that are both missing; arguments as for `across_border`."""
    return _mean_difference(images, masks, missing=2)


def _mean_difference(images: torch.Tensor, masks: torch.Tensor, missing: int) -> float:
    """The mean over neighbours beside and below each other, so many of the two missing; NaN where there are none."""
    found = []
    for axis in (-1, -2):
        length = images.shape[axis] - 1
        (first, second), (one, other) = (
            (x.narrow(axis, 0, length), x.narrow(axis, 1, length)) for x in (images, masks)
        )
        found.append((first - second).abs().mean(1, keepdim=True)[one + other == missing])
    return torch.cat(found).double().mean().item()
