"""RePaint (Lugmayr et al., CVPR 2022; andreas128/RePaint)."""

from itertools import pairwise
from math import sqrt

import torch

from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain, jumps
from difface.models.unet import UNet
from difface.operators import KnownPixels
from difface.schedulers import respaced


class RePaint(ChainMethod[KnownPixels]):
    """Known pixels are put in before every step, and the chain goes up and down again so that both parts agree.

    Down i -> i - 1, for all steps but the first (the official code mixes at level t_i, Algorithm 1 of the paper at
    t_{i-1}), with m_k = 1 on known pixels, P the ancestral step and x0_hat clipped in it:

        x <- m_k Q(y, t_i; z') + (1 - m_k) x,  x <- P(x; z)

    Up i -> i + 1: x <- sqrt(1 - beta_{i+1}) x + sqrt(beta_{i+1}) z. What is known is not pasted at the end: it keeps
    the noise of Q(y, t_0), about 0.01.

    Args:
        steps: of the respaced chain.
        jump_length: how far it goes up.
        jump_n_sample: how often each part is gone through. 250, 10 and 10 make 2,410 network calls.
    """

    name = "RePaint"
    tasks = ("inpainting",)

    def __init__(self, unet: UNet, steps: int = 250, jump_length: int = 10, jump_n_sample: int = 10):
        super().__init__(unet)
        self.steps = steps
        self.times = jumps(len(respaced(steps)), jump_length, jump_n_sample)

    def calls(self, task: Task) -> int:
        return sum(there < here for here, there in pairwise(self.times))

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels) -> torch.Tensor:
        x, first = chain.noise(), True
        for here, there in pairwise(self.times):
            z = chain.noise()
            if there > here:
                beta = chain.beta(there)
                x = sqrt(1 - beta) * x + sqrt(beta) * z
                continue
            if not first:
                x = known.measure(chain.noised(y, here, chain.noise())) + known.mask * x
            first = False
            predicted = chain.predict(x, here).clipped()
            x = chain.ancestral(x, here, predicted, z)
            chain.end_step(here, x, predicted.x_0)
        return x
