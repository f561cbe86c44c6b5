"""Metrics: one file each, with torchmetrics' interface: `name`, `higher_is_better`, `needs`, `update`, `compute`."""

from functools import partial

from difface.metrics.adaface import AdaFaceCosine
from difface.metrics.fd_prior import FDPrior
from difface.metrics.fid import FID
from difface.metrics.frechet import FrechetIdentity
from difface.metrics.identity import IdentityAngle, NearestPerson
from difface.metrics.ids import IDS, IDSR50
from difface.metrics.iqa import CLIPIQA, DISTS, MANIQA, MUSIQ, NIQE, NRQM, PI, QAlign, TOPIQFace
from difface.metrics.kid import KernelDistance
from difface.metrics.lmd import LMD, LMD106
from difface.metrics.lpips import LPIPS
from difface.metrics.manifold import Precision, Recall
from difface.metrics.psnr import PSNR, PSNRMatched
from difface.metrics.runtime import RunTime, measure
from difface.metrics.ssim import SSIM, SSIMRGB

METRICS = {
    "PSNR": PSNR,
    "PSNR (colours matched)": PSNRMatched,
    "SSIM": SSIM,
    "SSIM (RGB)": SSIMRGB,
    "LPIPS": LPIPS,
    "LPIPS-alex": partial(LPIPS, "alex"),
    "LPIPS-squeeze": partial(LPIPS, "squeeze"),
    "IDS": IDS,
    "IDS-r50": IDSR50,
    "ID angle": IdentityAngle,
    "LMD": LMD,
    "LMD-106": LMD106,
    "AdaFace cosine": AdaFaceCosine,
    "nearest person": NearestPerson,
    "FD identity": FrechetIdentity,
    "KID identity": lambda: KernelDistance(FrechetIdentity()),
    "FD-prior": FDPrior,
    "KID-prior": lambda: KernelDistance(FDPrior()),
    "precision-prior": lambda: Precision(FDPrior()),
    "recall-prior": lambda: Recall(FDPrior()),
    "FID-F": FID,
    "FID-F (first 3,000)": partial(FID, most=3000),
    "KID-F": lambda: KernelDistance(FID()),
    "FID-G": partial(FID, "truth"),
    "KID-G": lambda: KernelDistance(FID("truth")),
    "precision-F": lambda: Precision(FID()),
    "recall-F": lambda: Recall(FID()),
    "NIQE": NIQE,
    "NRQM": NRQM,
    "PI": PI,
    "MUSIQ": MUSIQ,
    "MANIQA": MANIQA,
    "CLIP-IQA": CLIPIQA,
    "Q-Align": QAlign,
    "TOPIQ-face": TOPIQFace,
    "DISTS": DISTS,
}
"""Name in a table -> its constructor, which takes no arguments; a network is loaded when the first images come."""

__all__ = [
    "FID",
    "IDS",
    "IDSR50",
    "LMD",
    "LMD106",
    "LPIPS",
    "METRICS",
    "NIQE",
    "NRQM",
    "PI",
    "PSNR",
    "SSIM",
    "SSIMRGB",
    "FDPrior",
    "FrechetIdentity",
    "IdentityAngle",
    "KernelDistance",
    "NearestPerson",
    "RunTime",
    "measure",
]
