"""DDNM and DDNM+ (Wang, Yu and Zhang, ICLR 2023; wyhuai/DDNM)."""

from itertools import pairwise
from math import sqrt

import torch
from torch.nn import functional

from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain, Prediction, jumps
from difface.models.unet import UNet
from difface.operators import BlockMeans, Operator
from difface.schedulers import every


class DDNM(ChainMethod[Operator]):
    """Of every x0_hat (not clipped) what H measures is replaced by y; the rest, H's null space, stays. With s the next
    lower timestep, a = sqrt(abar_s), u = sqrt(1 - abar_s), q the singular value of H and sigma_0 = 2 sigma_y:

        DDNM                      x = a (x0_hat - (PI x0_hat - H^+ y)) + u (eta z + sqrt(1 - eta^2) eps)
        DDNM+  (sigma_y > 0)      x = a (x0_hat - lam (PI x0_hat - H^+ y)) + noise
            lam                   1, or q u sqrt(1 - eta^2) / (a sigma_0) where u < a sigma_0 / q
            noise, not measured   u (eta z + sqrt(1 - eta^2) eps)
            noise, measured       sqrt(u^2 - (a sigma_0 / q)^2) z, or u eta z where u < a sigma_0 / q
        simplified                u' = sqrt(1 - abar_s^2); if u' >= abar_s sigma_0:
                                  lam = 1, gam = sqrt(u'^2 - (abar_s sigma_0)^2);
                                  else lam = u' / (abar_s sigma_0), gam = 0;
                                  x = a (x0_hat - lam (PI x0_hat - H^+ y)) + gam u (eta z + sqrt(1 - eta^2) eps)

    Without noise in y the result agrees with it exactly. Time travel goes up s -> t by x = sqrt(abar_t) x0_hat +
    sqrt(1 - abar_t) z with the last x0_hat as the network gave it, on the schedule of RePaint (`chain.jumps`).

    DDNM+'s noise of a small picture is as the official code has it: it takes the pixels of z and eps in a block for
    coordinates of H's SVD, the measured one first, and turns them by V, which for eps is no identity.

    Args:
        steps: a divisor of T; every T / steps-th timestep is taken.
        eta: 0 to 1.
        sigma_y: standard deviation of y's noise, for pictures in [0, 1]; above 0 it is DDNM+.
        simplified: the form that the official demo runs (`--simplified`), whatever sigma_y is.
        travel_length, travel_repeat: how far and how often time travel goes; 1 and 1: never.
    """

    name = "DDNM"
    grid = staticmethod(every)
    tasks = ("inpainting", "super-resolution")

    def __init__(
        self,
        unet: UNet,
        steps: int = 100,
        eta: float = 0.85,
        sigma_y: float = 0.0,
        simplified: bool = False,
        travel_length: int = 1,
        travel_repeat: int = 1,
    ):
        super().__init__(unet)
        self.steps, self.eta, self.sigma_y, self.simplified = steps, eta, sigma_y, simplified
        self.times = jumps(len(every(steps)), travel_length, travel_repeat)

    def calls(self, task: Task) -> int:
        return sum(there < here for here, there in pairwise(self.times))

    def _sample(self, chain: Chain, y: torch.Tensor, known: Operator) -> torch.Tensor:
        y, x = known.spread(y), chain.noise()
        predicted: Prediction | None = None
        step = self._simplified if self.simplified else self._plus if self.sigma_y > 0 else self._plain
        for here, there in pairwise(self.times):
            z = chain.noise()
            if there > here:
                assert predicted is not None, "the first jump leads down"
                x = chain.noised(predicted.x_0, there, z)
                continue
            predicted = chain.predict(x, here)
            x = step(predicted, known.project(predicted.x_0) - y, z, chain.abar(there), known)
            chain.end_step(here, x, predicted.x_0)
        return x

    def _mixed(self, predicted: Prediction, z: torch.Tensor) -> torch.Tensor:
        return self.eta * z + sqrt(1 - self.eta**2) * predicted.eps

    def _plain(
        self, predicted: Prediction, off: torch.Tensor, z: torch.Tensor, abar: float, known: Operator
    ) -> torch.Tensor:
        return sqrt(abar) * (predicted.x_0 - off) + sqrt(1 - abar) * self._mixed(predicted, z)

    def _plus(
        self, predicted: Prediction, off: torch.Tensor, z: torch.Tensor, abar: float, known: Operator
    ) -> torch.Tensor:
        a, u = sqrt(abar), sqrt(1 - abar)
        limit = a * 2 * self.sigma_y / known.singular
        enough = u >= limit
        lam = 1.0 if enough else u * sqrt(1 - self.eta**2) / limit
        measured = (sqrt(u**2 - limit**2) if enough else u * self.eta) * z
        return a * (predicted.x_0 - lam * off) + _joined(measured, u * self._mixed(predicted, z), known)

    def _simplified(
        self, predicted: Prediction, off: torch.Tensor, z: torch.Tensor, abar: float, known: Operator
    ) -> torch.Tensor:
        u, limit = sqrt(1 - abar**2), abar * 2 * self.sigma_y
        lam, gamma = (1.0, sqrt(u**2 - limit**2)) if u >= limit else (u / limit, 0.0)
        noise = gamma * sqrt(1 - abar) * self._mixed(predicted, z)
        return sqrt(abar) * (predicted.x_0 - lam * off) + noise


def _joined(measured: torch.Tensor, unmeasured: torch.Tensor, known: Operator) -> torch.Tensor:
    """Noise whose measured coordinates are those of one picture and whose others are those of another."""
    if not isinstance(known, BlockMeans):
        return known.project(measured) + unmeasured - known.project(unmeasured)
    batch, channels, height, width = measured.shape
    blocks = (batch, channels, known.scale**2, height // known.scale, width // known.scale)
    first, others = (functional.pixel_unshuffle(x, known.scale).view(blocks) for x in (measured, unmeasured))
    coordinates = torch.cat([first[:, :, :1], others[:, :, 1:]], dim=2)
    turned = torch.einsum("kj,bcjhw->bckhw", _basis(known.scale).to(coordinates), coordinates)
    return functional.pixel_shuffle(turned.flatten(1, 2), known.scale)


def _basis(scale: int) -> torch.Tensor:
    """V of the SVD of one block's mean, (s^2, s^2), measured first: LAPACK's reflection of -e_1 onto the mean."""
    count = scale**2
    normal = torch.full((count,), -1 / scale)
    normal[0] -= 1
    return torch.eye(count) - 2 * torch.outer(normal, normal) / normal.dot(normal)
