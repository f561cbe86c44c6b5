"""Train the diffusion prior: predict eps in x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps (Ho et al., 2020, Eq. 14)."""

from pathlib import Path

import torch
from diffusers import DDIMScheduler
from diffusers.utils.torch_utils import randn_tensor

from difface.images import to_pil, write
from difface.models.unet import UNet
from difface.pipeline import DifFacePipeline
from difface.schedulers import build_scheduler
from difface.training.loop import Faces, Settings, TrainingError, fit, mirrored, warm_start

SIZE_STEP = 8
"""The network halves the side three times."""
COLOUR_JITTER = 0.06
"""Largest relative change of brightness, and half that of each channel: slight enough to stay within real photos."""


def train_prior(
    data: Path, output: Path, size: int, settings: Settings, init: Path | None = None, p2_gamma: float = 0.0
) -> None:
    """Train a `UNet` of the embedded shape on a folder of aligned faces.

    Args:
        data: folder of size x size pictures.
        output: receives the network and what resumes its training.
        size: side in pixels.
        settings: the options.
        init: folder of a trained `UNet` to start from, instead of random weights.
        p2_gamma: see `eps_loss`.

    Raises:
        TrainingError: a size that the network cannot halve three times, pictures of another size, or `init` or a
            checkpoint of another network.
    """
    if size % SIZE_STEP:
        raise TrainingError(f"`size` must be a multiple of {SIZE_STEP} for a prior; got {size}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        unet = warm_start(UNet, init, sample_size=size) if init else UNet(sample_size=size)
    scheduler = build_scheduler("ddim")

    def compute_loss(model, x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return eps_loss(model, scheduler, augment(x_0, generator), generator, p2_gamma)

    told = {"size": size, "init": init, "p2_gamma": p2_gamma}
    fit(unet, Faces(data, size), compute_loss, settings, output, preview, told)


def augment(x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] -> the same, each mirrored with probability 0.5, with slightly other brightness and colour."""
    count = len(x_0)
    x_0 = mirrored(x_0, generator)
    brightness = (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1) * COLOUR_JITTER
    colour = (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1) * COLOUR_JITTER / 2
    return (x_0 * (1 + brightness + colour).to(x_0.device)).clamp(0, 1)


def eps_loss(
    model, scheduler: DDIMScheduler, x_0: torch.Tensor, generator: torch.Generator, p2_gamma: float = 0.0
) -> torch.Tensor:
    """Mean squared error of the predicted noise, over timesteps spread evenly over the chain within the batch.

    One timestep from each of B equal parts of 0..T-1 has the expectation of B uniform draws and less variance. The
    error at t is weighted by (1 - abar_t) ** p2_gamma, scaled to a mean of 1 over the chain (P2 weighting with k = 1,
    Choi et al., CVPR 2022): gamma 0 is the plain loss, gamma 1 spends least on the last, hardly visible noise.

    Args:
        model: (x_t, timesteps) -> eps.
        scheduler: holds alphas_cumprod.
        x_0: (B, 3, H, W) in [0, 1].
        generator: of the timesteps and the noise.
        p2_gamma: exponent of the weight, 0 or more.
    """
    count, total = len(x_0), scheduler.config.num_train_timesteps
    position = torch.rand(1, generator=generator) + torch.randperm(count, generator=generator)
    timesteps = (position / count * total).long().clamp(max=total - 1).to(x_0.device)
    eps = randn_tensor(x_0.shape, generator=generator, device=x_0.device)
    x_t = scheduler.add_noise(2 * x_0 - 1, eps, timesteps).contiguous(memory_format=torch.channels_last)
    weights = (1 - scheduler.alphas_cumprod) ** p2_gamma
    weights = (weights / weights.mean()).to(x_0.device)[timesteps]
    error = (model(x_t, timesteps).sample[:, :3].float() - eps).square().mean((1, 2, 3))
    return (weights * error).mean()


def preview(unet: UNet, path: Path) -> None:
    """Sixteen samples from fixed seeds, as a 4 x 4 sheet."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(16)]
    samples = (
        DifFacePipeline(unet, build_scheduler("ddim"))
        .sample(16, num_inference_steps=50, generator=generators, output_type="pt")
        .images
    )
    rows = [torch.cat(list(samples[4 * row : 4 * row + 4]), dim=2) for row in range(4)]
    write(to_pil(torch.cat(rows, dim=1)), path)
