"""How well a prior removes noise from unseen faces, step by step: what trials of its training are judged by."""

from pathlib import Path

import torch
from diffusers import DDPMScheduler

from difface import folders, images
from difface.models.unet import UNet

TIMESTEPS = (25, 50, 100, 150, 250, 400, 600, 800)
BATCH = 25


def denoising_psnr(weights: Path, data: Path, dtype: torch.dtype = torch.bfloat16) -> dict[int, float]:
    """PSNR of x0_hat = (x_t - sqrt(1 - abar_t) eps_theta) / sqrt(abar_t), clipped to [-1, 1], per timestep.

    Args:
        weights: folder of a `UNet`.
        data: folder of aligned faces of its size that it was not trained on.
        dtype: of the network.

    Returns:
        t -> dB of the mean squared error over all faces; the same noise for every network.
    """
    unet = UNet.from_pretrained(weights, torch_dtype=dtype).eval().to(memory_format=torch.channels_last)
    abar = DDPMScheduler(
        num_train_timesteps=1000, beta_schedule="linear", beta_start=1e-4, beta_end=0.02
    ).alphas_cumprod
    x_0 = torch.stack([2 * images.to_tensors(images.read(file))[0] - 1 for file in folders.find([data])])
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    result = {}
    for t in TIMESTEPS:
        x_t = abar[t].sqrt() * x_0 + (1 - abar[t]).sqrt() * eps
        with torch.inference_mode():
            parts = [unet(part.to(dtype), t).sample[:, :3].float() for part in x_t.split(BATCH)]
        x0_hat = ((x_t - (1 - abar[t]).sqrt() * torch.cat(parts)) / abar[t].sqrt()).clamp(-1, 1)
        result[t] = float(-10 * (((x0_hat - x_0) / 2) ** 2).mean().log10())
    return result
