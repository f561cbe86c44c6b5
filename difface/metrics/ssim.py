"""Structural similarity."""

import torch
from torch.nn import functional

from difface.metrics.base import PairMetric

_LUMA = (0.299, 0.587, 0.114)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class SSIM(PairMetric):
    """SSIM (Wang et al., 2004) of luma, Y of YIQ rounded to 0..255: pyiqa's `ssim`, which the authors measured with.

    11 x 11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, valid region only; averaged over images. As in pyiqa
    0.1.16, the contrast-structure term is clamped at 0 before the mean. Scikit-image and torchmetrics do not clamp it:
    up to 0.006 a picture lower on sharp results, the same on blurred ones. The authors named the package and not the
    version or options.

    Example:
        >>> truth = torch.linspace(0, 1, 16).repeat(1, 3, 16, 1)
        >>> SSIM().score(truth, truth).item(), SSIM().score(1 - truth, truth).item()
        (1.0, 0.0)
    """

    name = "SSIM"
    higher_is_better = True
    smallest = 11
    version = "as in pyiqa 0.1.16"

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(B,) in [0, 1]."""
        return ssim(_luma(restored), _luma(truth))


class SSIMRGB(PairMetric):
    """SSIM of R, G and B, rounded to 0..255, averaged over all three and images: pyiqa's `ssimc`; else as `SSIM`."""

    name = "SSIM (RGB)"
    higher_is_better = True
    smallest = 11
    version = "as in pyiqa 0.1.16"

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(B,) in [0, 1]."""
        channels = [(image.double() * 255).round().flatten(0, 1)[:, None] for image in (restored, truth)]
        return ssim(*channels).view(-1, 3).mean(1)


def ssim(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean SSIM over the valid region of single-channel images (B, 1, H, W) in 0..255 -> (B,).

    Example:
        >>> flat = torch.full((1, 1, 11, 11), 100.0)
        >>> f"{ssim(flat, flat + 50).item():.3f}"  # of the luminance alone: 2 * 100 * 150 / (100^2 + 150^2), nearly
        '0.923'
    """
    taps = torch.arange(11, dtype=x.dtype, device=x.device) - 5
    window = torch.exp(-(taps**2) / (2 * 1.5**2))
    window = (window / window.sum())[None, None]

    def local(image: torch.Tensor) -> torch.Tensor:
        """The window is a product of one down and one across, which takes an eighth of the time."""
        return functional.conv2d(functional.conv2d(image, window[..., None]), window[:, :, None])

    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    return (luminance * structure.clamp(min=0)).flatten(1).mean(1)


def _luma(image: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 1, H, W), whole numbers in 0..255."""
    weights = torch.tensor(_LUMA, dtype=torch.float64, device=image.device).view(1, 3, 1, 1)
    return (image.double() * 255 * weights).sum(1, keepdim=True).round()
