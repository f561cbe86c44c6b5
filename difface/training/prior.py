"""Train the diffusion prior: predict eps in x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps (Ho et al., 2020, Eq. 14)."""

import math
from pathlib import Path

import torch
from diffusers import DDIMScheduler

from difface.images import to_pil, write
from difface.models.means import Colours
from difface.models.unet import UNet
from difface.pipeline import DifFacePipeline
from difface.schedulers import build_scheduler
from difface.training.data import Batch, Faces, TrainingError
from difface.training.loop import Settings, fit, gaussian, mirrored, warm_start

SHAPES: dict[int, dict] = {
    64: {},
    128: {"patch_size": 2, "block_out_channels": (64, 128, 192, 256)},
}
"""Side in pixels up to which a shape serves -> the arguments of its `UNet`: 7.5 and 15.8 million parameters."""
PICTURE = 3
"""Channels of x_t."""
SIZE_STEP = 8
"""The network halves the side of a picture, or of its patches, three times."""
SOFT_FROM = 150
"""Least t at which soft pictures teach: there noise hides what they lack (Daras et al., "Ambient Diffusion", 2023)."""
COLOUR_JITTER = 0.06
"""Largest relative change of brightness, and half that of each channel: slight enough to stay within real photos."""


def network(size: int, in_channels: int = 3, colours: Colours | None = None) -> UNet:
    """A fresh network for pictures of `size` pixels: the smallest of `SHAPES` that serves, else the largest.

    Args:
        size: side in pixels.
        in_channels: more than a picture's 3 where it sees more than x_t.
        colours: see `difface.models.means.coloured`; None takes no part of eps from them.

    Raises:
        TrainingError: a size that the network cannot halve three times.
    """
    shape = SHAPES[min((served for served in SHAPES if size <= served), default=max(SHAPES))]
    step = SIZE_STEP * shape.get("patch_size", 1)
    if size % step:
        raise TrainingError(f"`size` must be a multiple of {step} for this prior; got {size}.")
    even = shape.get("patch_size", 1) > 1 and in_channels == PICTURE
    return UNet(sample_size=size, in_channels=in_channels, even_patches=even, colours=colours, **shape)


def train_prior(
    faces: Faces,
    output: Path,
    settings: Settings,
    init: Path | None = None,
    p2_gamma: float = 0.0,
    soft_from: int = SOFT_FROM,
) -> None:
    """Train a `UNet` of an embedded shape on aligned faces.

    Args:
        faces: the training pictures; their size sets the network's.
        output: receives the network and what resumes its training.
        settings: the options.
        init: folder of a trained `UNet` to start from, instead of random weights.
        p2_gamma: see `eps_loss`.
        soft_from: least t at which the soft pictures are used.

    Raises:
        TrainingError: a size that the network cannot halve three times, `init` or a checkpoint of another network, or
            no such `p2_gamma`.
    """
    if not 0 <= p2_gamma < math.inf:
        raise TrainingError(f"`p2_gamma` must be a number from 0 up; got {p2_gamma}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        unet = warm_start(UNet, init, sample_size=faces.size) if init else network(faces.size, colours=faces.colours())
    scheduler = build_scheduler("ddim")

    def compute_loss(model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        x_0 = augment(batch.x_0, generator)
        timesteps = spread(batch.soft, soft_from, scheduler.config.num_train_timesteps, generator)
        return eps_loss(model, scheduler, x_0, timesteps, generator, p2_gamma)

    told = {"size": faces.size, "init": init, "p2_gamma": p2_gamma, "soft_from": soft_from}
    fit(unet, faces, compute_loss, settings, output, preview, told)


def augment(x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] -> the same, each mirrored half the time, its brightness and colours slightly changed."""
    count = len(x_0)
    x_0 = mirrored(x_0, generator)
    brightness = (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1) * COLOUR_JITTER
    colour = (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1) * COLOUR_JITTER / 2
    return (x_0 * (1 + brightness + colour).to(x_0.device)).clamp(0, 1)


def spread(soft: torch.Tensor, soft_from: int, total: int, generator: torch.Generator) -> torch.Tensor:
    """Timesteps of a batch, spread evenly over the chain: one from each of B equal parts of 0..T-1, in random order.

    That has the expectation of B uniform draws and less variance. Soft pictures swap those below `soft_from` with sharp
    ones; only where these have none to give, further ones are drawn from `soft_from` on.

    Args:
        soft: (B,) bool.
        soft_from: least timestep of a soft picture.
        total: T.
        generator: of the draws.

    Returns:
        (B,) whole numbers.
    """
    count = len(soft)
    position = torch.rand(1, generator=generator) + torch.randperm(count, generator=generator)
    drawn = (position / count * total).long().clamp(max=total - 1)
    early, late = soft & (drawn < soft_from), ~soft & (drawn >= soft_from)
    pairs = min(early.sum(), late.sum())
    takes, gives = early.nonzero()[:pairs, 0], late.nonzero()[:pairs, 0]
    drawn[takes], drawn[gives] = drawn[gives], drawn[takes]
    further = torch.randint(soft_from, total, (count,), generator=generator)
    return torch.where(soft & (drawn < soft_from), further, drawn)


def eps_loss(
    model,
    scheduler: DDIMScheduler,
    x_0: torch.Tensor,
    timesteps: torch.Tensor,
    generator: torch.Generator,
    p2_gamma: float = 0.0,
) -> torch.Tensor:
    """Mean squared error of the predicted noise.

    The error at t is weighted by (1 - abar_t) ** p2_gamma, scaled to a mean of 1 over the chain (P2 weighting with k =
    1, Choi et al., CVPR 2022): gamma 0 is the plain loss, gamma 1 spends least on the last, hardly visible noise.

    Args:
        model: (x_t, timesteps) -> eps.
        scheduler: holds alphas_cumprod.
        x_0: (B, 3, H, W) in [0, 1].
        timesteps: (B,) in 0..T-1, see `spread`.
        generator: of the noise.
        p2_gamma: exponent of the weight, 0 or more.
    """
    timesteps = timesteps.to(x_0.device)
    eps = gaussian(x_0, generator)
    x_t = scheduler.add_noise(2 * x_0 - 1, eps, timesteps).contiguous(memory_format=torch.channels_last)
    weights = (1 - scheduler.alphas_cumprod) ** p2_gamma
    weights = (weights / weights.mean()).to(x_0.device)[timesteps]
    error = (model(x_t, timesteps).sample[:, :3].float() - eps).square().mean((1, 2, 3))
    return (weights * error).mean()


def preview(unet: UNet, path: Path) -> None:
    """Sixteen samples from fixed seeds, as a 4 x 4 sheet."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(16)]
    pipeline = DifFacePipeline(unet, build_scheduler("ddim"))
    samples = pipeline.sample(16, num_inference_steps=50, generator=generators, output_type="pt").images
    assert isinstance(samples, torch.Tensor)  # by its output type
    rows = [torch.cat(list(samples[4 * row : 4 * row + 4]), dim=2) for row in range(4)]
    write(to_pil(torch.cat(rows, dim=1)), path)
