"""The metrics of the tables: those of `difface.metrics`, and those that need more than the two pictures."""

import torch

from difface import metrics
from difface.metrics.base import PerImageMetric


class HolePSNR(PerImageMetric):
    """PSNR in dB over the missing pixels alone: 10 log10(1 / MSE), where the mean is over all channels of the hole.

    Known pixels, which a composite makes exact, say nothing about an answer and would raise it with the smallness of
    the hole.
    """

    name = "PSNR in hole"
    higher_is_better = True

    def update(self, restored: torch.Tensor, truth: torch.Tensor, masks: torch.Tensor) -> None:
        """Add images, (B, 3, H, W) in [0, 1], with their masks (B, 1, H, W), 1 = missing.

        Raises:
            ValueError: a mask without a missing pixel.
        """
        if not masks.flatten(1).any(1).all():
            raise ValueError(f"{self.name} needs a missing pixel in every mask; got a mask without: take another.")
        masks = masks.to(restored.device).double()
        errors = ((restored.double() - truth.double()).square().mean(1, keepdim=True) * masks).flatten(1).sum(1)
        self.values += (-10 * (errors / masks.flatten(1).sum(1)).log10()).tolist()


class IndRMSE(PerImageMetric):
    """Root mean square difference to f(y) in levels of 255: an error measure that needs no truth (of PMRF, Ohayon et
    al., ICLR 2025), since f(y) is near the mean of all faces that fit the photo.

    Here a mean over pictures of each one's root; PMRF takes the root over all.
    """

    name = "IndRMSE"
    higher_is_better = False

    def update(self, restored: torch.Tensor, estimates: torch.Tensor) -> None:
        """Add images and f(y) of their inputs, both (B, 3, H, W) in [0, 1]."""
        apart = (restored.double() - estimates.double()).square().mean((1, 2, 3)).sqrt()
        self.values += (255 * apart).tolist()


METRICS = metrics.METRICS | {of.name: of for of in (HolePSNR, IndRMSE)}
"""Name in a table -> its constructor, as in `difface.metrics.METRICS`."""
