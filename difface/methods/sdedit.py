"""SDEdit (Meng et al., ICLR 2022; ermongroup/SDEdit)."""

import torch

from difface.constraints import Masked
from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import KnownPixels
from difface.schedulers import respaced


class SDEdit(ChainMethod[KnownPixels | None]):
    """The picture is noised to the middle of the chain and denoised again, several times in a row:

        x = Q(x_0, t_n; e), then for i = n, ..., 0: x' = P(x; z), x <- m_k Q(x_0, t_i; e) + (1 - m_k) x'
        x_0 <- m_k x_0 + (1 - m_k) x

    with one e per round and x0_hat not clipped in P. Without a mask all is drawn anew (m_k = 0): the official strokes
    to pictures. With one, what is missing is first painted in the colour of the nearest known pixel, as strokes would
    be, and known pixels end as Q(x_0, t_0; e), with noise of about 0.01.

    Args:
        steps: of the respaced chain.
        start: timesteps that are gone through, of 1000.
        rounds: how often ("sample_step"). 500 and 3 as in the official examples, 1,500 network calls.
    """

    name = "SDEdit"
    tasks = ("inpainting", "blind")

    def __init__(self, unet: UNet, steps: int = 1000, start: int = 500, rounds: int = 3):
        super().__init__(unet)
        if not 1 <= start <= 1000:
            raise ValueError(f"`start` must be in 1..1000; got {start}. The official examples use 500.")
        self.steps, self.start, self.rounds = steps, start, rounds
        if len(self.timesteps("blind")) < 2:
            raise ValueError(
                f"{steps} steps leave fewer than two calls below `start` = {start}; take more, or a larger `start`."
            )

    def timesteps(self, task: Task) -> list[int]:
        return [t for t in respaced(self.steps) if t < self.start]

    def calls(self, task: Task) -> int:
        return self.rounds * len(self.timesteps(task))

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels | None) -> torch.Tensor:
        free = 1 if known is None else known.mask
        x_0 = y if known is None else painted(y, known)
        for _ in range(self.rounds):
            e = chain.noise()
            x = chain.noised(x_0, len(chain) - 1, e)
            for i in reversed(range(len(chain))):
                predicted = chain.predict(x, i)
                x = chain.ancestral(x, i, predicted, chain.noise())
                x = free * x + (1 - free) * chain.noised(x_0, i, e)
                chain.end_step(i, x, predicted.x_0)
            x_0 = free * x + (1 - free) * x_0
        return x


def painted(y: torch.Tensor, known: KnownPixels) -> torch.Tensor:
    """y with every missing pixel in the colour of the nearest known one."""
    return torch.stack(Masked(known.mask.cpu()).prepared(list(y.cpu()), y.shape[-1])).to(y)
