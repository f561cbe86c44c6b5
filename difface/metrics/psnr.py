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


class PSNRMatched(PSNR):
    """The same after each channel of the restored image was given the truth's mean and standard deviation.

    So does VQFR's script unless it is changed; its numbers are higher than plain PSNR, and blind to a wrong tint.

    Example:
        >>> metric, truth = PSNRMatched(), torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> metric.update(0.5 * truth + 0.2, truth)
        >>> metric.compute() > 100
        True
    """

    name = "PSNR (colours matched)"

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(B,) in dB."""
        restored, truth = restored.double(), truth.double()
        (mean, spread), (wanted, whole) = (
            (x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)) for x in (restored, truth)
        )
        return super().score((restored - mean) * (whole / spread.clamp(min=1e-8)) + wanted, truth)
