"""Networks of the paper's sizes with random weights: they cost what the real ones cost, and draw nothing."""

from typing import Any

import torch

from difface import profiles
from difface.models.estimator import LAMA_256, SWINIR_512, FaceEstimator
from difface.models.unet import UNet
from difface.pipeline import DifFacePipeline
from difface.precision import torch_dtype
from difface.schedulers import build_scheduler

_PRIORS: dict[str, dict[str, Any]] = {
    "ffhq512": {
        "sample_size": 512,
        "block_out_channels": tuple(32 * times for times in (1, 2, 4, 8, 8, 16, 16)),
        "layers_per_block": (1, 2, 2, 2, 2, 3, 4),
        "attending": 3,
    },
    "ffhq256-inpaint": {
        "sample_size": 256,
        "block_out_channels": tuple(128 * times for times in (1, 1, 2, 2, 4, 4)),
        "layers_per_block": 2,
        "attending": 2,
    },
}
"""Profile -> shape of its prior (its official options); `attending` counts the levels with attention, deepest first."""
_ESTIMATORS = {"ffhq512": ("swinir", SWINIR_512), "ffhq256-inpaint": ("lama", LAMA_256)}


def stand_in(profile: str, scheduler: str, device: str, dtype: str) -> DifFacePipeline:
    """A pipeline of a profile's size, whose weights are random.

    Args:
        profile: "ffhq512" or "ffhq256-inpaint".
        scheduler, device, dtype: as in `difface.profiles.load`.

    Raises:
        ValueError: another profile.
    """
    if profile not in _PRIORS:
        raise ValueError(f"there is no stand-in for '{profile}'; {', '.join(_PRIORS)} are accepted: choose one.")
    place, kind = profiles.resolve_device(device), torch_dtype(dtype, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = _prior(profile)
        estimator = FaceEstimator(*_ESTIMATORS[profile])
    # torch's own `to`: that of diffusers warns of modules to keep in float32, of which there are none.
    torch.nn.Module.to(unet, place, kind, memory_format=torch.channels_last)
    torch.nn.Module.to(estimator, place, kind)
    sampler = build_scheduler(scheduler)
    return DifFacePipeline(unet.eval(), sampler, estimator.eval(), profiles.profile(profile).begin_index)


def _prior(profile: str) -> UNet:
    shape = dict(_PRIORS[profile])
    levels, attending = len(shape["block_out_channels"]), shape.pop("attending")
    plain = levels - attending
    return UNet(
        **shape,
        out_channels=6,
        down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",) * attending,
        up_block_types=("AttnUpBlock2D",) * attending + ("UpBlock2D",) * plain,
        attention_head_dim=64,
        norm_num_groups=32,
        attn_norm_num_groups=32,
    )
