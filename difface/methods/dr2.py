"""DR2 (Wang et al., CVPR 2023; Kaldwin0106/DR2_Drgradation_Remover)."""

from collections.abc import Callable

import torch

from difface.methods.base import Call, ChainMethod, Task, check_divides_side
from difface.methods.chain import Chain
from difface.methods.resizer import low_pass
from difface.models.unet import UNet
from difface.schedulers import respaced

OFFICIAL_SIDE = 256
Enhancer = Callable[[torch.Tensor], torch.Tensor]


class DR2(ChainMethod[None]):
    """The picture's low frequencies lead a short chain to a smooth, clean face, which an enhancer sharpens.

    From x = Q(ref, t_omega; z), for i = omega, omega - 1, ..., with x0_hat clipped in the ancestral step P:

        x' = P(x; z),  q = Q(ref, t_{i-1}; z'),  x <- x' - phi_N(x') + phi_N(q),  or x <- q for N = 1

    until i = tau, where x0_hat is the result. The official pair (N, tau) is (4, 22), (8, 35) or (16, 35) by how bad the
    pictures are, at 256 pixels; omega = tau + 5, 10, 20, 25 or 30 for N = 1, up to 2, up to 4, up to 8, or more.

    Args:
        steps: of the respaced chain.
        n: None: the official 8 at 256 pixels, in proportion at other sizes, but not below 4, the smallest official one
            above 1: with 2, noise of its middle frequencies is left in the result.
        tau: position of the result.
        omega: position of the start; None: by the official rule (for N at 256 pixels), at most the last one. (The
            official rule can give 100 of 100, which its code does not have.)
        enhancer: a second network, (B, 3, H, W) -> (B, 3, H, W) in [0, 1]; None leaves the smooth face. The official
            one is SPARNetHD, VQFR or CodeFormer at 512 pixels.
    """

    name = "DR2"
    tasks = ("blind",)

    def __init__(
        self,
        unet: UNet,
        steps: int = 100,
        n: int | None = None,
        tau: int = 35,
        omega: int | None = None,
        enhancer: Enhancer | None = None,
    ):
        super().__init__(unet)
        respaced(steps)  # refuses what is no number of steps
        side = unet.config.sample_size
        self.n = check_divides_side(unet, "n", max(4, 8 * side // OFFICIAL_SIDE) if n is None else n)
        self.steps, self.tau, self.enhancer = steps, tau, enhancer
        self.omega = min(tau + _ahead(self.n * OFFICIAL_SIDE // side), steps - 1) if omega is None else omega
        if not 0 <= tau <= self.omega < steps:
            raise ValueError(f"0 <= tau <= omega < steps must hold; got {tau}, {self.omega} and {steps}.")

    def calls(self, task: Task) -> int:
        return self.omega - self.tau + 1

    def _restore(self, call: Call) -> torch.Tensor:
        smooth = super()._restore(call)
        return smooth if self.enhancer is None else self.enhancer(smooth)

    def _sample(self, chain: Chain, y: torch.Tensor, known: None) -> torch.Tensor:
        x = chain.noised(y, self.omega, chain.noise())
        for i in range(self.omega, self.tau - 1, -1):
            z = chain.noise()
            predicted = chain.predict(x, i).clipped()
            if i > self.tau:
                led = chain.noised(y, i - 1, chain.noise())
                x = chain.ancestral(x, i, predicted, z)
                x = led if self.n == 1 else x + low_pass(led - x, self.n)
            chain.end_step(i, x if i > self.tau else predicted.x_0, predicted.x_0)
        return predicted.x_0


def _ahead(n: int) -> int:
    """omega - tau."""
    return next((ahead for largest, ahead in ((1, 5), (2, 10), (4, 20), (8, 25)) if n <= largest), 30)
