"""GDP (Fei et al., CVPR 2023; Fayeben/GenerativeDiffusionPrior)."""

import torch

from difface.methods.base import ChainMethod
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import KnownPixels, Operator


class GDP(ChainMethod[Operator]):
    """The mean of every ancestral step is moved towards the data, by a gradient with respect to x0_hat (clipped):

        x <- P(x; z) + g,  g = -scale / (6 H W) PI(x0_hat - H^+ y)

    at the last step too, neither multiplied by the variance nor through the network. It is the gradient of
    -scale * MSE in [0, 1] over all 3 H W pixels of the whole picture, so it is weaker for larger pictures.

    Args:
        steps: of the respaced chain.
        guidance_scale: None: the official 4000 with a mask and 2000 with a scale.
    """

    name = "GDP"
    tasks = ("inpainting", "super-resolution")

    def __init__(self, unet: UNet, steps: int = 1000, guidance_scale: float | None = None):
        super().__init__(unet)
        self.steps, self.guidance_scale = steps, guidance_scale

    def _sample(self, chain: Chain, y: torch.Tensor, known: Operator) -> torch.Tensor:
        y, x = known.spread(y), chain.noise()
        scale = self.guidance_scale
        if scale is None:
            scale = 4000 if isinstance(known, KnownPixels) else 2000
        pull = -scale / (6 * x.shape[-2] * x.shape[-1])
        for i in reversed(range(len(chain))):
            predicted = chain.predict(x, i).clipped()
            g = pull * (known.project(predicted.x_0) - y)
            x = chain.ancestral(x, i, predicted, chain.noise()) + g
            chain.end_step(i, x, predicted.x_0)
        return x
