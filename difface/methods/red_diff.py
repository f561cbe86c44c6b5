"""RED-diff (Mardani et al., ICLR 2024; NVlabs/RED-diff, algos/reddiff.py)."""

from math import sqrt

import torch

from difface.methods.base import ChainMethod
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import Operator
from difface.schedulers import every


class REDDiff(ChainMethod[Operator]):
    """A picture mu is optimised, from H^+ y, so that it fits y and the network finds in it no noise but what was added.

    For every timestep from the largest down, x_t = sqrt(abar_t) mu + sqrt(1 - abar_t) z and one step of Adam
    (betas 0.9 and 0.99) on

        1/2 mean((y - H mu)^2) + lam sqrt((1 - abar_t) / abar_t) mean((eps(x_t, t) - z) mu),

    where eps - z has no gradient. The means are each picture's own, over y's pixels (missing ones count as 0) and mu's.
    The official code also draws a noise of mu, whose deviation is 0, and returns mu as it was before the last step.

    Args:
        steps: a divisor of T; every T / steps-th timestep is taken. The official script takes 100 (the configuration
            50).
        learning_rate: of Adam; 0.1 in the official configuration, 0.5 in the script.
        weight: lam.
    """

    name = "RED-diff"
    tasks = ("inpainting", "super-resolution")
    grid = staticmethod(every)

    def __init__(self, unet: UNet, steps: int = 100, learning_rate: float = 0.1, weight: float = 0.25):
        super().__init__(unet)
        self.steps, self.learning_rate, self.weight = steps, learning_rate, weight

    def _sample(self, chain: Chain, y: torch.Tensor, known: Operator) -> torch.Tensor:
        mu = known.spread(y).requires_grad_()
        adam = torch.optim.Adam([mu], lr=self.learning_rate, betas=(0.9, 0.99))
        for i in reversed(range(len(chain))):
            result, z, abar = mu.detach().clone(), chain.noise(), chain.abar(i)
            predicted = chain.predict(chain.noised(result, i, z), i)
            with torch.enable_grad():
                fit = (y - known.measure(mu)).square().flatten(1).mean(1) / 2
                prior = ((predicted.eps - z) * mu).flatten(1).mean(1)
                (fit + self.weight * sqrt((1 - abar) / abar) * prior).sum().backward()
            adam.step()
            adam.zero_grad()
            chain.end_step(i, result, predicted.x_0)
        return result
