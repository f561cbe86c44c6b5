"""The prior's chain on a grid of timesteps, as the methods walk it: the network, its noise levels, the common steps."""

from collections.abc import Callable, Iterable
from math import exp, log, sqrt
from typing import NamedTuple

import torch
from diffusers import DDPMScheduler
from diffusers.utils.torch_utils import randn_tensor

from difface.models.unet import UNet

Noise = Callable[[], torch.Tensor]
"""The next standard normal draw, (B, 3, H, W)."""


class Prediction(NamedTuple):
    """What the network says of x_t.

    Attributes:
        eps: its noise, (B, 3, H, W).
        x_0: (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), not clipped.
        variance: v of a network with six output channels, else None.
    """

    eps: torch.Tensor
    x_0: torch.Tensor
    variance: torch.Tensor | None

    def clipped(self) -> "Prediction":
        """The same with x_0 in [-1, 1]."""
        return self._replace(x_0=self.x_0.clamp(-1, 1))


def drawn(generators: list[torch.Generator], shape: tuple[int, ...], device: torch.device) -> Noise:
    """Noise of which picture k comes from generator k alone."""
    return lambda: randn_tensor(shape, generator=generators, device=device, dtype=torch.float32)


def recorded(draws: Iterable[torch.Tensor], shape: tuple[int, ...], device: torch.device) -> Noise:
    """Given noise, in the order in which a method asks for it.

    Raises (when it is asked for):
        ValueError: there is no more, or a draw has another shape.
    """
    left, taken = iter(draws), 0

    def following() -> torch.Tensor:
        nonlocal taken
        z = next(left, None)
        if z is None:
            raise ValueError(f"`draws` ended after {taken}; this method asks for more: hand over all of them.")
        if z.shape != shape:
            raise ValueError(f"each of `draws` must be {tuple(shape)}; number {taken} is {tuple(z.shape)}.")
        taken += 1
        return z.to(device, torch.float32)

    return following


class Chain:
    """One walk down the chain.

    Positions count from below: i = 0 is the smallest timestep t_0, i = len(timesteps) - 1 the largest, and i = -1 the
    clean picture, with abar = 1. beta_i = 1 - abar_i / abar_{i-1} is that of the grid.

    Args:
        unet: predicts eps from (x_t, t), with three output channels or with six (eps, v).
        scheduler: its betas are those of the training chain, its timesteps the grid, largest first.
        shape: of a state, (B, 3, H, W).
        noise: standard normal draws.
        on_call: called after every network call.
        on_step: called with (position, x, x0_hat) by `end_step`.
    """

    def __init__(
        self,
        unet: UNet,
        scheduler: DDPMScheduler,
        shape: tuple[int, ...],
        noise: Noise,
        on_call: Callable[[], object],
        on_step: Callable[[int, torch.Tensor, torch.Tensor], object],
    ):
        self.unet = unet
        self.scheduler = scheduler
        self.timesteps = scheduler.timesteps.tolist()[::-1]
        self.shape = shape
        self.noise = noise
        self.end_step = on_step
        self._on_call = on_call
        # In float64 from the stock betas: the scheduler's own table loses digits of 1 - abar near t = 0.
        self._abar = (1 - self.scheduler.betas.double()).cumprod(0)[self.timesteps].tolist()

    def __len__(self) -> int:
        return len(self.timesteps)

    def abar(self, i: int) -> float:
        """abar at position i; 1 at -1."""
        return 1.0 if i < 0 else self._abar[i]

    def beta(self, i: int) -> float:
        """beta_i of the grid."""
        return 1 - self.abar(i) / self.abar(i - 1)

    def network(self, x: torch.Tensor, timestep: int | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(eps, v) in float32 at any timestep, also between whole ones; v is None for a network with three channels."""
        output = self.unet(x.to(self.unet.dtype), timestep).sample.float()
        self._on_call()
        return output[:, :3], output[:, 3:] if output.shape[1] == 6 else None

    def predict(self, x: torch.Tensor, i: int) -> Prediction:
        """What the network says of x at position i."""
        eps, variance = self.network(x, self.timesteps[i])
        return Prediction(eps, self.x_0(x, eps, i), variance)

    def predict_and_pull(
        self, x: torch.Tensor, i: int, objective: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[Prediction, torch.Tensor]:
        """The same, and the gradient with respect to x, through the network, of the sum of objective(x_0).

        Args:
            objective: x_0 (B, 3, H, W) -> any shape; a picture's value depends on that picture alone.
        """
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            predicted = self.predict(x, i)
            (gradient,) = torch.autograd.grad(objective(predicted.x_0).sum(), x)
        variance = None if predicted.variance is None else predicted.variance.detach()
        return Prediction(predicted.eps.detach(), predicted.x_0.detach(), variance), gradient

    def x_0(self, x: torch.Tensor, eps: torch.Tensor, i: int) -> torch.Tensor:
        """The clean picture of x at position i if its noise is eps."""
        abar = self.abar(i)
        return (x - sqrt(1 - abar) * eps) / sqrt(abar)

    def eps(self, x: torch.Tensor, x_0: torch.Tensor, i: int) -> torch.Tensor:
        """The noise of x at position i if its clean picture is x_0."""
        abar = self.abar(i)
        return (x - sqrt(abar) * x_0) / sqrt(1 - abar)

    def noised(self, x_0: torch.Tensor, i: int, z: torch.Tensor) -> torch.Tensor:
        """Q(x_0, t_i; z) = sqrt(abar_i) x_0 + sqrt(1 - abar_i) z (Eq. 2); x_0 itself at -1."""
        abar = self.abar(i)
        return sqrt(abar) * x_0 + sqrt(1 - abar) * z

    def ancestral(self, x: torch.Tensor, i: int, predicted: Prediction, z: torch.Tensor) -> torch.Tensor:
        """P: x at position i -> i - 1, with noise z; without at i = 0 (Eq. 8-9).

        It is `DDPMScheduler.step` (variance type "learned_range", or "fixed_small" without v) on the grid; that step
        draws its noise itself and takes none, and `DDPMParallelScheduler`'s without noise knows only even grids.

        Args:
            predicted: of x; its x_0 as it is to be used, clipped or not.
        """
        abar, before, beta = self.abar(i), self.abar(i - 1), self.beta(i)
        mean = sqrt(before) * beta / (1 - abar) * predicted.x_0 + sqrt(1 - beta) * (1 - before) / (1 - abar) * x
        if i == 0:
            return mean
        smallest, largest = log(beta * (1 - before) / (1 - abar)), log(beta)
        if predicted.variance is None:
            return mean + exp(smallest / 2) * z
        share = (predicted.variance + 1) / 2
        return mean + torch.exp((share * largest + (1 - share) * smallest) / 2) * z


def jumps(steps: int, length: int, repeats: int) -> list[int]:
    """Positions in the order in which RePaint and DDNM visit them, from steps - 1 to -1.

    Downwards, but the first `repeats` - 1 times a multiple of `length` below steps - length is reached, up by `length`.

    Raises:
        ValueError: `length` or `repeats` is no whole number from 1.
    """
    for name, value in (("jump length", length), ("number of repeats", repeats)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"the {name} must be a whole number from 1; got {value!r}.")
    left = dict.fromkeys(range(0, steps - length, length), repeats - 1)
    times = [steps - 1]
    while times[-1] >= 0:
        if left.get(times[-1], 0):
            left[times[-1]] -= 1
            times += range(times[-1] + 1, times[-1] + length + 1)
        times.append(times[-1] - 1)
    return times
