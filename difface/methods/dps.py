"""DPS (Chung et al., ICLR 2023; DPS2022/diffusion-posterior-sampling)."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch

from difface.methods.base import ChainMethod
from difface.methods.chain import Chain
from difface.methods.resizer import shrink
from difface.models.unet import UNet
from difface.operators import BlockMeans, KnownPixels


class DPS(ChainMethod[KnownPixels | BlockMeans]):
    """Every ancestral step is followed by a step down the gradient, through the network, of the distance to the data:

        n = ||y - A x0_hat||_2 (each picture's own; x0_hat clipped),  x <- P(x; z) - scale grad_x n

    at the last step too. A keeps the known pixels, or shrinks: bicubically (`difface.methods.resizer`) in the official
    code. There y has noise of 0.05 on all pixels in [-1, 1], missing ones too, and that noise counts in n. What a
    picture holds in its missing pixels is not seen here, so with a mask that noise is drawn, before all others.

    deepinv's class solves the continuous SDE and knows no learned variance.

    Args:
        steps: of the respaced chain.
        step_size: scale; None: the official 0.5 with a mask and 0.3 with a scale.
        noise_sigma: of y, in [-1, 1].
        down: "cubic", or "mean" where the small picture's pixels are means of blocks.
    """

    name = "DPS"
    tasks = ("inpainting", "super-resolution")

    def __init__(
        self,
        unet: UNet,
        steps: int = 1000,
        step_size: float | None = None,
        noise_sigma: float = 0.05,
        down: Literal["cubic", "mean"] = "cubic",
    ):
        super().__init__(unet)
        if down not in ("cubic", "mean"):
            raise ValueError(f"`down` must be 'cubic' or 'mean'; got {down!r}.")
        self.steps, self.step_size, self.noise_sigma, self.down = steps, step_size, noise_sigma, down

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels | BlockMeans) -> torch.Tensor:
        measure: Callable[[torch.Tensor], torch.Tensor] = known.measure
        if isinstance(known, KnownPixels):
            y = y + self.noise_sigma * known.mask * chain.noise()
        elif self.down != "mean":
            measure = partial(shrink, n=known.scale)
        size = (0.5 if isinstance(known, KnownPixels) else 0.3) if self.step_size is None else self.step_size
        x = chain.noise()
        for i in reversed(range(len(chain))):
            z = chain.noise()
            predicted, g = chain.predict_and_pull(
                x, i, lambda x_0: (y - measure(x_0.clamp(-1, 1))).flatten(1).norm(dim=1)
            )
            predicted = predicted.clipped()
            x = chain.ancestral(x, i, predicted, z) - size * g
            chain.end_step(i, x, predicted.x_0)
        return x
