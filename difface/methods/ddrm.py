"""DDRM (Kawar et al., NeurIPS 2022; bahjat-kawar/ddrm)."""

from math import sqrt

import torch

from difface.methods.base import ChainMethod
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import Operator
from difface.schedulers import every


class DDRM(ChainMethod[Operator]):
    """What H measures and what it does not are denoised each with its own noise, in the coordinates of H's SVD.

    All singular values of our H are q or 0, so the SVD is not needed: PI x is what is measured. With
    sig_t = sqrt((1 - abar_t) / abar_t), s the next lower timestep, sigma_0 = 2 sigma_y and x0_hat not clipped:

        start     x = [PI(H^+ y) + sqrt(sig_T^2 - (sigma_0 / q)^2) PI z + sig_T (z - PI z)] / sig_T
        free      = x0_hat + sqrt(1 - eta^2) sig_s eps + eta sig_s z
        measured  = etaB H^+ y + (1 - etaB) x0_hat + sqrt(sig_s^2 - etaB^2 (sigma_0 / q)^2) z  if q sig_s > sigma_0
                  = x0_hat + sqrt(1 - eta^2) sig_s q (H^+ y - x0_hat) / sigma_0 + eta sig_s z  if q sig_s < sigma_0
                  = free                                                                       if they are equal
        x         = sqrt(abar_s) [free - PI free + PI measured]

    The last step has sig_s = 0, so without noise (sigma_y = 0) it is `free`: the result is the network's x0_hat, and
    what is known is close to y, not y. Where y has more noise than x_T (q sig_T <= sigma_0) the start is noise alone.

    deepinv's class of the same name draws noise smaller by sqrt(2) and starts at sqrt(abar_T) x; with the noise mended
    it is 3e-4 off the official results.

    Args:
        steps: a divisor of T; every T / steps-th timestep is taken.
        eta: 0 to 1, noise of what is not measured.
        eta_b: 0 to 1, how far what is measured goes to y.
        sigma_y: standard deviation of y's noise, for pictures in [0, 1].
    """

    name = "DDRM"
    tasks = ("inpainting", "super-resolution")
    grid = staticmethod(every)

    def __init__(self, unet: UNet, steps: int = 20, eta: float = 0.85, eta_b: float = 1.0, sigma_y: float = 0.0):
        super().__init__(unet)
        self.steps, self.eta, self.eta_b, self.sigma_y = steps, eta, eta_b, sigma_y

    def _sample(self, chain: Chain, y: torch.Tensor, known: Operator) -> torch.Tensor:
        y = known.spread(y)
        x = self._start(chain, y, known)
        for i in reversed(range(len(chain))):
            predicted = chain.predict(x, i)
            sigma, z = _sigma(chain, i - 1), chain.noise()
            free = predicted.x_0 + sqrt(1 - self.eta**2) * sigma * predicted.eps + self.eta * sigma * z
            measured = self._measured(predicted.x_0, y, sigma, z, known.singular)
            x = free if measured is None else free - known.project(free) + known.project(measured)
            x = sqrt(chain.abar(i - 1)) * x
            chain.end_step(i, x, predicted.x_0)
        return x

    def _start(self, chain: Chain, y: torch.Tensor, known: Operator) -> torch.Tensor:
        z, sigma = chain.noise(), _sigma(chain, len(chain) - 1)
        noise = 2 * self.sigma_y / known.singular
        if sigma <= noise:
            return z
        seen = known.project(z)
        return (y + sqrt(sigma**2 - noise**2) * seen + sigma * (z - seen)) / sigma

    def _measured(
        self, x_0: torch.Tensor, y: torch.Tensor, sigma: float, z: torch.Tensor, q: float
    ) -> torch.Tensor | None:
        """What is measured, as in the docstring; None where it is `free`."""
        noise = 2 * self.sigma_y
        if q * sigma > noise:
            spread = sqrt(sigma**2 - (noise / q * self.eta_b) ** 2)
            return self.eta_b * y + (1 - self.eta_b) * x_0 + spread * z
        if q * sigma < noise:
            return x_0 + sqrt(1 - self.eta**2) * sigma * q / noise * (y - x_0) + self.eta * sigma * z
        return None


def _sigma(chain: Chain, i: int) -> float:
    """sig at position i."""
    return sqrt((1 - chain.abar(i)) / chain.abar(i))
