"""DiffPIR (Zhu et al., CVPRW 2023; yuanzhi-zhu/DiffPIR)."""

from math import sqrt
from typing import Literal

import torch
from torch.nn import functional

from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain
from difface.methods.resizer import shrink
from difface.models.unet import UNet
from difface.operators import BlockMeans, KnownPixels
from difface.schedulers import NUM_TRAIN_TIMESTEPS, respaced

CUBIC_STEP = 0.01
"""Of the rule "cubic" (gamma in the official code)."""


class DiffPIR(ChainMethod[KnownPixels | BlockMeans]):
    """Half-quadratic splitting: every x0_hat is clipped, moved to the solution of a data problem, and noised again.

    Timesteps are "quad", t = 999 - int(sqrt(linspace(0, 10^6, n))), the last one 0. With sig_t = sqrt((1 - abar_t) /
    abar_t) and rho = lam sigma^2 / sig_t^2, sigma = max(0.001, noise level), for each but the last (s the next one):

        x0_hat <- data step
        eps    <- (x - sqrt(abar_t) x0_hat) / sqrt(1 - abar_t)
        x      <- sqrt(abar_s) x0_hat + sqrt(1 - abar_s) (sqrt(1 - zeta) eps + sqrt(zeta) z)

    The result is x at t = 0, with noise of about 0.01; what the network says of it is thrown away in the official code,
    so it is not asked here. The data step is one of:

        closed   x0_hat + q^2 / (q^2 + rho) (H^+ y - PI x0_hat), with a mask (q = 1) or means of blocks (q = 1 / s)
        blur     per channel, with F the Fourier transform, B that of a kernel k, y = every s-th pixel of k * x_0:
                 F x0_hat + conj(B) tile((F y - alias(B F x0_hat)) / (alias |B|^2 + rho)), in [0, 1]
        cubic    x0_hat + 0.01 / (1 + rho) nearest_up(y - shrink(x0_hat)), with the resizer of ILVR and DPS

    Start: with a mask e y + sqrt(1 - abar_999 - e^2 (1 - abar_{t_y})) z, e = sqrt(abar_999 / abar_{t_y}), where
    sig_{t_y} is nearest to twice the noise level and y is -1 on missing pixels; with a scale Q(y enlarged bicubically,
    t_999; z).

    deepinv's class has rho twice as large and another start (3e-4 off the official result with noise in y, 0.04 with
    its rho), and one seed for a whole batch.

    Args:
        steps: n; None: the official 20 with a mask, 100 with a scale.
        zeta: 0 to 1, share of new noise; None: the official 1.0 with a mask, 0.1 with a scale.
        noise_level: of y, for pictures in [0, 1]; None: the official 0 with a mask, 12.75 / 255 with a scale.
        lam: lambda.
        down: data step with a scale: "blur" (the official default), "cubic" or "mean" (closed, for means of blocks).
        kernel: k of "blur", (k, k), sum 1; None: that of bicubic shrinking by s. (The official file holds an estimate
            of it for s = 2, 3 and 4 that differs by up to 0.002.)
    """

    name = "DiffPIR"
    tasks = ("inpainting", "super-resolution")

    def __init__(
        self,
        unet: UNet,
        steps: int | None = None,
        zeta: float | None = None,
        noise_level: float | None = None,
        lam: float = 1.0,
        down: Literal["blur", "cubic", "mean"] = "blur",
        kernel: torch.Tensor | None = None,
    ):
        super().__init__(unet)
        if down not in ("blur", "cubic", "mean"):
            raise ValueError(f"`down` must be 'blur', 'cubic' or 'mean'; got {down!r}.")
        self.count, self.zeta, self.noise_level = steps, zeta, noise_level
        self.lam, self.down, self.kernel = lam, down, kernel

    def timesteps(self, task: Task) -> list[int]:
        steps = (20 if task == "inpainting" else 100) if self.count is None else self.count
        respaced(steps)  # refuses what is no number of steps
        last = NUM_TRAIN_TIMESTEPS - 1
        grid = [last - int(sqrt(k * NUM_TRAIN_TIMESTEPS**2 / (steps - 1))) for k in range(steps)]
        grid[-1] = 0
        if len(set(grid)) < steps:
            raise ValueError(f"`steps` = {steps} gives some timesteps twice; take fewer.")
        return grid

    def calls(self, task: Task) -> int:
        return len(self.timesteps(task)) - 1

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels | BlockMeans) -> torch.Tensor:
        inpainting = isinstance(known, KnownPixels)
        zeta = (1.0 if inpainting else 0.1) if self.zeta is None else self.zeta
        level = (0.0 if inpainting else 12.75 / 255) if self.noise_level is None else self.noise_level
        x = self._start(chain, y, known, level)
        for i in range(len(chain) - 1, 0, -1):
            variance = (1 - chain.abar(i)) / chain.abar(i)
            rho = self.lam * max(0.001, level) ** 2 / variance
            x_0 = self._data_step(chain.predict(x, i).clipped().x_0, y, known, rho)
            noise = sqrt(1 - zeta) * chain.eps(x, x_0, i) + sqrt(zeta) * chain.noise()
            x = chain.noised(x_0, i - 1, noise)
            chain.end_step(i, x, x_0)
        return x

    def _start(self, chain: Chain, y: torch.Tensor, known: KnownPixels | BlockMeans, level: float) -> torch.Tensor:
        top, z = len(chain) - 1, chain.noise()
        if not isinstance(known, KnownPixels):
            return chain.noised(functional.interpolate(y, scale_factor=known.scale, mode="bicubic"), top, z)
        table = chain.scheduler.alphas_cumprod.double()
        t_y = int((((1 - table) / table).sqrt() - 2 * level).abs().argmin())
        e = sqrt(chain.abar(top) / table[t_y])
        return e * (y - known.mask) + sqrt(1 - chain.abar(top) - e**2 * (1 - table[t_y])) * z

    def _data_step(
        self, x_0: torch.Tensor, y: torch.Tensor, known: KnownPixels | BlockMeans, rho: float
    ) -> torch.Tensor:
        if isinstance(known, KnownPixels) or self.down == "mean":
            weight = known.singular**2 / (known.singular**2 + rho)
            return x_0 + weight * (known.spread(y) - known.project(x_0))
        if self.down == "cubic":
            return x_0 + CUBIC_STEP / (1 + rho) * known.spread(y - shrink(x_0, known.scale))
        kernel = _cubic_kernel(known.scale) if self.kernel is None else self.kernel
        return 2 * _deblurred(x_0 / 2 + 0.5, y / 2 + 0.5, kernel.to(x_0), known.scale, rho) - 1


def _deblurred(x_0: torch.Tensor, y: torch.Tensor, kernel: torch.Tensor, scale: int, rho: float) -> torch.Tensor:
    """The rule "blur": argmin_x ||y - (k * x) every s-th pixel||^2 + rho ||x - x_0||^2."""
    height, width = x_0.shape[-2:]
    blur = torch.fft.fft2(_wrapped(kernel, height, width))
    spectrum = torch.fft.fft2(x_0)
    off = torch.fft.fft2(y) - _alias(blur * spectrum, scale)
    correction = off / (_alias((blur.abs() ** 2)[None, None], scale) + rho)
    return torch.fft.ifft2(spectrum + blur.conj() * correction.repeat(1, 1, scale, scale)).real


def _alias(spectrum: torch.Tensor, scale: int) -> torch.Tensor:
    """The mean over the s x s frequencies that are one after every s-th pixel is taken."""
    batch, channels, height, width = spectrum.shape
    return spectrum.view(batch, channels, scale, height // scale, scale, width // scale).mean((2, 4))


def _wrapped(kernel: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A (k, k) kernel on a (height, width) torus, its middle at the origin."""
    side = torch.arange(len(kernel), device=kernel.device) - len(kernel) // 2
    placed = torch.zeros(height, width, dtype=kernel.dtype, device=kernel.device)
    rows, columns = torch.meshgrid(side % height, side % width, indexing="ij")
    return placed.index_put((rows, columns), kernel, accumulate=True)


def _cubic_kernel(scale: int) -> torch.Tensor:
    """Bicubic (a = -0.5) shrinking by s as a kernel (6 s + 1, 6 s + 1): every s-th pixel of k * x is the result."""
    # What the small picture's pixel at 6, far from all borders, takes of each pixel in its row.
    rows = torch.eye(12 * scale)[:, None, None, :].expand(-1, 1, 12 * scale, -1)
    weights = shrink(rows, scale)[:, 0, 6, 6]
    line = weights[3 * scale : 9 * scale + 1].flip(0)
    return torch.outer(line, line)
