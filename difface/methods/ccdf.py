"""CCDF (Chung, Sim and Ye, CVPR 2022): our reading of the abstract, for no official code was found."""

from typing import Self

import torch

from difface import profiles
from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain
from difface.methods.resizer import enlarge, low_pass
from difface.methods.sdedit import painted
from difface.models.estimator import FaceEstimator
from difface.models.unet import UNet
from difface.operators import BlockMeans, KnownPixels
from difface.schedulers import respaced


class CCDF(ChainMethod[KnownPixels | BlockMeans]):
    """ "Come closer, diffuse faster": the chain starts low, from a first guess x' that is noised there once.

    x = Q(x', t_{n-1}; z) with n = t_0 * steps; then, for i = n - 1, ..., 0, an ancestral step (x0_hat clipped) and a
    non-expansive step towards the data at the level that it led to:

        x <- P(x; z),  with a mask   x <- m_k Q(y, t_{i-1}; z') + (1 - m_k) x
                       with a scale  x <- x - phi(x) + phi(Q(x', t_{i-1}; z')), phi as in ILVR, N the scale

    Two guesses that are e apart start sqrt(abar_{n-1}) e apart, and the data step brings no two states farther apart.
    The guess is an estimator's f(y), with which it is DifFace with the data put into x_t; without one it is the picture
    enlarged, or painted with the colours of the nearest known pixels, which so short a chain does not turn into a face.

    Args:
        steps: of the respaced chain.
        t_0: share of the chain that is walked.
        estimator: makes the guess where it fits: for masks if it takes one, else for small pictures enlarged. `load`
            gives that of the profile for masks, if there is one.
    """

    name = "CCDF"
    tasks = ("inpainting", "super-resolution")

    def __init__(self, unet: UNet, steps: int = 1000, t_0: float = 0.2, estimator: FaceEstimator | None = None):
        super().__init__(unet)
        respaced(steps)  # refuses what is no number of steps
        if not 2 <= round(t_0 * steps) <= steps:
            raise ValueError(f"`t_0` must leave 2..{steps} of {steps} steps; got {t_0}. The paper's is about 0.2.")
        self.steps, self.t_0, self.estimator = steps, t_0, estimator

    @classmethod
    def load(cls, profile: str = profiles.DEFAULT, device: str = "auto", dtype: str = "float32", **settings) -> Self:
        if "estimator" not in settings and profiles.profile(profile).inpainting:
            name = profiles.inpainting_estimator(profile)
            settings["estimator"] = profiles.load_estimator(profile, name, device, dtype)
        return super().load(profile, device, dtype, **settings)

    def timesteps(self, task: Task) -> list[int]:
        return respaced(self.steps)[-round(self.t_0 * self.steps) :]

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels | BlockMeans) -> torch.Tensor:
        guess = self._guess(y, known)
        x = chain.noised(guess, len(chain) - 1, chain.noise())
        for i in reversed(range(len(chain))):
            predicted = chain.predict(x, i).clipped()
            x = chain.ancestral(x, i, predicted, chain.noise())
            if isinstance(known, KnownPixels):
                x = known.mask * x + known.measure(chain.noised(y, i - 1, chain.noise()))
            else:
                x = x + low_pass(chain.noised(guess, i - 1, chain.noise()) - x, known.scale)
            chain.end_step(i, x, predicted.x_0)
        return x

    def _guess(self, y: torch.Tensor, known: KnownPixels | BlockMeans) -> torch.Tensor:
        mask = known.mask.expand(len(y), -1, -1, -1) if isinstance(known, KnownPixels) else None
        guess = painted(y, known) if isinstance(known, KnownPixels) else enlarge(y, known.scale)
        if self.estimator is None or self.estimator.takes_mask != (mask is not None):
            return guess
        seen = (guess / 2 + 0.5).clamp(0, 1).to(self.estimator.dtype)
        return 2 * self.estimator(seen, mask).float() - 1
