"""Train SR3: predict eps in x = sqrt(abar) x_0 + sqrt(1 - abar) eps from x, its noise level and the small picture."""

from pathlib import Path

import torch
from torch.nn import functional

from difface.methods.sr3 import TOTAL, enlarged, noise_level, schedule
from difface.models.unet import UNet
from difface.training import prior
from difface.training.data import Batch, Faces, TrainingError
from difface.training.loop import LossFunction, Settings, fit, gaussian, mirrored, warm_start

SCALE = 8
"""The paper's SR3 was trained for it alone."""


def train_sr3(faces: Faces, output: Path, settings: Settings, init: Path | None = None, scale: int = SCALE) -> None:
    """Train a `UNet` with six input channels, of an embedded shape, on aligned faces (or any pictures of one size).

    Args:
        faces: the training pictures; their size sets the network's.
        output: receives the network and what resumes its training.
        settings: the options.
        init: folder of a trained SR3, or of a prior, to start from; a prior sees nothing of the small picture at first.
        scale: how many times as long the sides become.

    Raises:
        TrainingError: a size that the network or the scale does not divide, or `init` or a checkpoint of another
            network.
    """
    if scale < 2 or faces.size % scale:
        raise TrainingError(f"`scale` must be a whole number from 2 that divides `size` {faces.size}; got {scale}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        unet = warm_start(UNet, init, sample_size=faces.size) if init else prior.network(faces.size, in_channels=6)
    if unet.config.in_channels == 3:
        unet = widened(unet)
    told = {"size": faces.size, "init": init, "scale": scale}
    fit(unet, faces, sr3_loss(scale), settings, output, told=told)


def widened(trained: UNet) -> UNet:
    """A prior's network with three more input channels before its own, which change nothing yet."""
    unet = UNet.from_config(trained.config, in_channels=6)
    weights = trained.state_dict()
    first = weights["conv_in.weight"]
    unet.load_state_dict(weights | {"conv_in.weight": torch.cat([torch.zeros_like(first), first], dim=1)})
    return unet


def sr3_loss(scale: int) -> LossFunction:
    """L1 on eps; sqrt(abar) is uniform between those of two neighbours on the chain, as in the usual code."""
    levels = torch.cat([torch.ones(1), schedule().alphas_cumprod]).sqrt()

    def compute_loss(model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        x_0 = 2 * mirrored(batch.x_0, generator) - 1
        y = enlarged(functional.avg_pool2d(x_0, scale), x_0.shape[-1])
        t = prior.spread(batch.soft, 0, TOTAL, generator)
        share = torch.rand(len(t), generator=generator)
        level = (levels[t] + share * (levels[t + 1] - levels[t])).to(x_0.device)
        eps = gaussian(x_0, generator)
        signal = level[:, None, None, None]
        x = signal * x_0 + (1 - signal**2).sqrt() * eps
        seen = torch.cat([y, x], dim=1).contiguous(memory_format=torch.channels_last)
        return (model(seen, noise_level(level**2)).sample.float() - eps).abs().mean()

    return compute_loss
