"""Peak signal-to-noise ratio."""

import torch

from difface.metrics.base import PairMetric


class PSNR(PairMetric):
    """PSNR = 10 log10(1 / MSE) in dB, over all three channels of RGB in [0, 1], averaged over images (not over errors).

    Equal images score inf.

    Example:
        >>> metric, truth = PSNR(), torch.full((2, 3, 8, 8), 0.5)
        >>> metric.update(truth + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1), truth)
        >>> [round(value, 3) for value in metric.values], round(metric.compute(), 3)
        ([20.0, 40.0], 30.0)
    """

    name = "PSNR"
    higher_is_better = True

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(B,) in dB."""
        return -10 * (restored.double() - truth.double()).square().flatten(1).mean(1).log10()
