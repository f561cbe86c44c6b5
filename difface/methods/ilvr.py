"""ILVR (Choi et al., ICCV 2021; jychoi118/ilvr_adm)."""

import torch

from difface.methods.base import ChainMethod, check_divides_side
from difface.methods.chain import Chain
from difface.methods.resizer import enlarge, low_pass
from difface.models.unet import UNet
from difface.operators import BlockMeans


class ILVR(ChainMethod[BlockMeans | None]):
    """After every ancestral step, what the low-pass phi_N keeps is the reference's: with x0_hat clipped,

        x' = P(x; z),  x <- x' - phi_N(x') + phi_N(Q(ref, t_i; z'))   while i > range_t

    at the level t_i that the step started from. phi_N is the bicubic shrinking by N and enlarging again of
    `difface.methods.resizer`. The reference is the picture itself, or with `scale` the small picture enlarged, where N
    is the scale.

    Args:
        steps: of the respaced chain.
        down_n: N without a scale; None: an eighth of the prior's side, which is the official 32 at 256 pixels.
        range_t: position below which the chain is left alone, 20 of 100 as in the official example.
    """

    name = "ILVR"
    tasks = ("super-resolution", "blind")

    def __init__(self, unet: UNet, steps: int = 100, down_n: int | None = None, range_t: int = 20):
        super().__init__(unet)
        self.steps, self.range_t = steps, range_t
        self.down_n = check_divides_side(unet, "down_n", unet.config.sample_size // 8 if down_n is None else down_n)

    def _sample(self, chain: Chain, y: torch.Tensor, known: BlockMeans | None) -> torch.Tensor:
        n = self.down_n if known is None else known.scale
        reference = y if known is None else enlarge(y, n)
        x = chain.noise()
        for i in reversed(range(len(chain))):
            predicted = chain.predict(x, i).clipped()
            x = chain.ancestral(x, i, predicted, chain.noise())
            if i > self.range_t:
                x = x + low_pass(chain.noised(reference, i, chain.noise()) - x, n)
            chain.end_step(i, x, predicted.x_0)
        return x
