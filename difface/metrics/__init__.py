"""Metrics: one file each, with the small interface of torchmetrics: `name`, `higher_is_better`, `needs`, `update`, `compute`."""

from difface.metrics.frechet import FrechetIdentity
from difface.metrics.identity import IdentityAngle
from difface.metrics.psnr import PSNR
from difface.metrics.ssim import SSIM, SSIMRGB

METRICS = {metric.name: metric for metric in (PSNR, SSIM, SSIMRGB, IdentityAngle, FrechetIdentity)}
"""Name in a table -> class."""

__all__ = ["METRICS", "PSNR", "SSIM", "SSIMRGB", "FrechetIdentity", "IdentityAngle"]
