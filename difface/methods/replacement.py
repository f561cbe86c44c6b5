"""Score-SDE's inpainting on a discrete chain (Song et al., ICLR 2021; "vanilla" in HJ-harry/MCG_diffusion)."""

import torch

from difface.methods.base import ChainMethod
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import KnownPixels


class Replacement(ChainMethod[KnownPixels]):
    """After every ancestral step the known pixels are y with noise: m_k = 1 there, x0_hat clipped,

        x <- (1 - m_k) P(x; z) + m_k Q(y, t_i; z')

    at the level t_i that the step started from (not the one it led to), also at the last step: known pixels end as
    Q(y, t_0), with noise of about 0.01.

    Args:
        steps: of the respaced chain.
    """

    name = "Score-SDE (replacement)"
    tasks = ("inpainting",)

    def __init__(self, unet: UNet, steps: int = 1000):
        super().__init__(unet)
        self.steps = steps

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels) -> torch.Tensor:
        x = chain.noise()
        for i in reversed(range(len(chain))):
            z, z_known = chain.noise(), chain.noise()
            x, x0_hat = self._step(chain, x, i, z, y, known)
            x = known.mask * x + known.measure(chain.noised(y, i, z_known))
            chain.end_step(i, x, x0_hat)
        return x

    def _step(
        self, chain: Chain, x: torch.Tensor, i: int, z: torch.Tensor, y: torch.Tensor, known: KnownPixels
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x at position i -> i - 1 in missing pixels, and x0_hat."""
        predicted = chain.predict(x, i).clipped()
        return chain.ancestral(x, i, predicted, z), predicted.x_0
