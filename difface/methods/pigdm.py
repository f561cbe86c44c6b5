"""PiGDM (Song et al., ICLR 2023; NVlabs/RED-diff, algos/pgdm.py)."""

from math import sqrt

import torch

from difface.methods.base import ChainMethod
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import KnownPixels, Operator
from difface.schedulers import every


class PiGDM(ChainMethod[Operator]):
    """DDIM, led by the gradient through the network of how well x0_hat fits y by the pseudo-inverse.

    From x = Q(H^+ y, t_T; z), with s the next lower timestep and x0_hat not clipped:

        g  = grad_x <r, x0_hat>,  r = H^+ y - PI x0_hat without gradient
        c1 = eta sqrt((1 - abar_t / abar_s)(1 - abar_s) / (1 - abar_t)),  c2 = sqrt(1 - abar_s - c1^2)
        x  = sqrt(abar_s) x0_hat + c1 z + c2 eps + sqrt(abar_s) sqrt(abar_t) w g

    Without `adaptive` ("awd" in the official code) the last factor is (sqrt(abar_s) - c2 sqrt(abar_t) / sqrt(1 -
    abar_t)) sqrt(abar_t) w, and eps is computed anew from x and x0_hat. (The paper has sqrt(abar_t) w, which diverges
    in 10 steps.)

    Args:
        steps: a divisor of T; every T / steps-th timestep is taken.
        eta: 0 to 1. The official configuration says 0, its scripts 1.
        weight: w.
        adaptive: see above.
        keep_known: with a mask: after g, x0_hat <- y on known pixels, and g acts on missing ones ("in2").
    """

    name = "PiGDM"
    tasks = ("inpainting", "super-resolution")
    grid = staticmethod(every)

    def __init__(
        self,
        unet: UNet,
        steps: int = 100,
        eta: float = 1.0,
        weight: float = 1.0,
        adaptive: bool = True,
        keep_known: bool = False,
    ):
        super().__init__(unet)
        self.steps, self.eta, self.weight = steps, eta, weight
        self.adaptive, self.keep_known = adaptive, keep_known

    def _sample(self, chain: Chain, y: torch.Tensor, known: Operator) -> torch.Tensor:
        y = known.spread(y)
        x = chain.noised(y, len(chain) - 1, chain.noise())
        for i in reversed(range(len(chain))):
            predicted, g = chain.predict_and_pull(x, i, lambda x_0: (y - known.project(x_0)).detach() * x_0)
            x_0, eps = predicted.x_0, predicted.eps
            if self.keep_known and isinstance(known, KnownPixels):
                x_0, g = known.mask * x_0 + y, known.mask * g
            if not self.adaptive:
                eps = chain.eps(x, x_0, i)
            c1, c2, factor = self._factors(chain.abar(i), chain.abar(i - 1))
            x = sqrt(chain.abar(i - 1)) * x_0 + c1 * chain.noise() + c2 * eps + factor * g
            chain.end_step(i, x, x_0)
        return x

    def _factors(self, abar: float, before: float) -> tuple[float, float, float]:
        """c1, c2 and the factor of g."""
        c1 = self.eta * sqrt((1 - abar / before) * (1 - before) / (1 - abar))
        c2 = sqrt(max(1 - before - c1**2, 0))
        lead = sqrt(before) if self.adaptive else sqrt(before) - c2 * sqrt(abar) / sqrt(1 - abar)
        return c1, c2, lead * sqrt(abar) * self.weight
