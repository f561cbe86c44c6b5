"""Metrics: one file each, with the small interface of torchmetrics: `name`, `higher_is_better`, `needs`, `update`, `compute`."""

from difface.metrics.frechet import FrechetIdentity
from difface.metrics.identity import IdentityAngle
from difface.metrics.psnr import PSNR

METRICS = {metric.name: metric for metric in (PSNR, IdentityAngle, FrechetIdentity)}
"""Name in a table -> class."""

__all__ = ["METRICS", "PSNR", "FrechetIdentity", "IdentityAngle"]
