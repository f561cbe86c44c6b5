"""DifFace on diffusers: blind face restoration with diffused error contraction (Yue and Loy, TPAMI 2024)."""

from difface.constraints import Downsampled, Grey, Masked
from difface.degradation import Degradation, degrade
from difface.images import ImageError
from difface.models.estimator import FaceEstimator
from difface.models.unet import UNet
from difface.pipeline import DifFaceOutput, DifFacePipeline
from difface.schedulers import build_scheduler

__all__ = [
    "Degradation",
    "DifFaceOutput",
    "DifFacePipeline",
    "Downsampled",
    "FaceEstimator",
    "Grey",
    "ImageError",
    "Masked",
    "UNet",
    "build_scheduler",
    "degrade",
]
