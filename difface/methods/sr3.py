"""SR3 (Saharia et al., TPAMI 2022; as in Janspiry/Image-Super-Resolution-via-Iterative-Refinement, its usual code)."""

from typing import Self

import numpy as np
import torch
from diffusers import DDPMScheduler

from difface import images, profiles, weights
from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain, Prediction
from difface.models.unet import UNet
from difface.operators import BlockMeans
from difface.precision import torch_dtype
from difface.schedulers import build_scheduler

TOTAL = 2000
"""T of SR3's chain; beta is linear from 1e-6 to 1e-2."""
_PRIOR_ABAR = build_scheduler("ddim").alphas_cumprod.double().numpy()


def schedule() -> DDPMScheduler:
    """Stock `DDPMScheduler` with SR3's chain; `set_timesteps(n)` spreads n of its timesteps from last to first."""
    return DDPMScheduler(
        num_train_timesteps=TOTAL,
        beta_start=1e-6,
        beta_end=1e-2,
        beta_schedule="linear",
        timestep_spacing="linspace",
    )


def noise_level(abar: torch.Tensor) -> torch.Tensor:
    """What the network is told of the noise in x = sqrt(abar) x_0 + sqrt(1 - abar) eps, for any abar in (0, 1], (B,).

    SR3 gives its network sqrt(abar) itself, on a scale of its own. Here it is the time at which a prior of the catalog
    has that abar, also between whole timesteps (-1 is the clean picture), so that a prior can be where a training
    starts.
    """
    times = np.interp(-abar.double().cpu().numpy(), -np.array([1.0, *_PRIOR_ABAR]), np.arange(-1, len(_PRIOR_ABAR)))
    return torch.from_numpy(times).to(abar.device, torch.float32)


def enlarged(small: torch.Tensor, side: int) -> torch.Tensor:
    """(B, 3, h, w) in [-1, 1] -> (B, 3, side, side), bicubic."""
    return 2 * images.resize(small / 2 + 0.5, side, side) - 1


class SR3(ChainMethod[BlockMeans]):
    """A chain of its own, whose network sees the small picture, enlarged, beside x at every step.

    From x = z, for i = T - 1, ..., 0 with T = 2000, beta linear 1e-6..1e-2, Y the small picture enlarged (bicubic) and
    the noise level sqrt(abar_i) told instead of i:

        eps = network([Y, x], sqrt(abar_i)),  x0_hat = clip((x - sqrt(1 - abar_i) eps) / sqrt(abar_i)),  x <- P(x; z)

    where P is the ancestral step with the variance beta_i (1 - abar_{i-1}) / (1 - abar_i). Nothing makes the result
    agree with the small picture. The network is trained for one scale (`python -m difface train sr3`; x8, as the
    paper's); at another it answers all the same, as it does in the paper's Table X.

    Args:
        unet: six input channels, of `train sr3`.
        steps: of the chain, 2 to T; the paper's own results took 100 with a schedule of their own.
    """

    name = "SR3"
    tasks = ("super-resolution",)

    def __init__(self, unet: UNet, steps: int = TOTAL):
        super().__init__(unet)
        if unet.config.in_channels != 6:
            raise ValueError(
                f"`unet` must have 6 input channels, [Y, x]; got {unet.config.in_channels}: use `train sr3`."
            )
        if isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= TOTAL:
            raise ValueError(f"`steps` must be a whole number in 2..{TOTAL}; got {steps!r}.")
        self.steps = steps

    @classmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        """With the network trained at the size of a profile, which lies in the folder sr3-SIZE of `$DIFFACE_WEIGHTS` or
        the cache.

        Raises:
            difface.weights.WeightMissing: it is in neither; the message has the command that trains it.
        """
        size = profiles.profile(profile).size
        folders = weights.places(f"sr3-{size}")
        found = next((folder for folder in folders if (folder / "config.json").is_file()), None)
        if found is None:
            raise weights.WeightMissing(
                f"SR3 has no published weights for {size} pixels, and $DIFFACE_WEIGHTS and the cache have no "
                f"folder sr3-{size}. Train it with: python -m difface train sr3 --data DIR --size {size} -o "
                f"WEIGHTS/sr3-{size}, and set DIFFACE_WEIGHTS=WEIGHTS"
            )
        place = profiles.resolve_device(device)
        unet = UNet.from_pretrained(found, torch_dtype=torch_dtype(dtype, place))
        return cls(unet.to(place, memory_format=torch.channels_last), **settings)

    def scheduler(self, task: Task) -> DDPMScheduler:
        scheduler = schedule()
        scheduler.set_timesteps(self.steps)
        return scheduler

    def timesteps(self, task: Task) -> list[int]:
        return self.scheduler(task).timesteps.tolist()

    def _sample(self, chain: Chain, y: torch.Tensor, known: BlockMeans) -> torch.Tensor:
        y, x = enlarged(y, self.unet.config.sample_size), chain.noise()
        for i in reversed(range(len(chain))):
            level = noise_level(torch.full((len(x),), chain.abar(i), device=x.device))
            eps, _ = chain.network(torch.cat([y, x], dim=1), level)
            predicted = Prediction(eps, chain.x_0(x, eps, i), None).clipped()
            x = chain.ancestral(x, i, predicted, chain.noise())
            chain.end_step(i, x, predicted.x_0)
        return x
