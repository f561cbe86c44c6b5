"""Score-SDE's inpainting by predictor and corrector (Song et al., ICLR 2021; yang-song/score_sde_pytorch)."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import torch

from difface.methods.base import ChainMethod, Task
from difface.methods.chain import Chain
from difface.models.unet import UNet
from difface.operators import KnownPixels
from difface.schedulers import NUM_TRAIN_TIMESTEPS

BETA_MIN, BETA_MAX = 0.1, 20.0
"""Of the VP SDE; a thousandth of each is the discrete chain's."""


class ScoreSDE(ChainMethod[KnownPixels]):
    """The VP SDE run backwards; known pixels are y at the SDE's noise after every correction and every prediction.

    tau falls from 1 to 1e-5 in 1000 steps. The network is told 999 tau, between whole timesteps; beta and abar are
    those at j = floor(999 tau), and score = -eps / sqrt(1 - abar_j). From m_k y + (1 - m_k) z, each step is:

        correction  e = 2 (1 - beta_j) (snr ||z|| / ||score||)^2,  x <- x + e score + sqrt(2 e) z      (Langevin)
        known       x <- (1 - m_k) x + m_k (a y + sqrt(1 - a^2) z),  log a = -tau^2 (20 - 0.1) / 4 - 0.1 tau / 2
        prediction  x <- (2 - sqrt(1 - beta_j)) x + beta_j score + sqrt(beta_j) z                     ("reverse")
                    x <- (x + beta_j score) / sqrt(1 - beta_j) + sqrt(beta_j) z                       ("ancestral")
        known       as before

    The result has a y on known pixels (a is 1 - 5e-7 there) and in missing ones the last x, noise included. The norms
    are each picture's own; the official code averages them over the batch.

    Args:
        predictor: "reverse" (reverse diffusion) or "ancestral".
        corrector: whether each step is corrected first.
        snr: of the correction.
        indices: which of the 1000 steps are taken, in this order; leaving some out is no shorter sampler, but quick to
            test.
    """

    name = "Score-SDE (predictor-corrector)"
    tasks = ("inpainting",)

    def __init__(
        self,
        unet: UNet,
        predictor: Literal["reverse", "ancestral"] = "reverse",
        corrector: bool = True,
        snr: float = 0.16,
        indices: Sequence[int] = range(NUM_TRAIN_TIMESTEPS),
    ):
        super().__init__(unet)
        if predictor not in ("reverse", "ancestral"):
            raise ValueError(f"`predictor` must be 'reverse' or 'ancestral'; got {predictor!r}.")
        self.predictor, self.corrector, self.snr, self.indices = predictor, corrector, snr, indices

    def timesteps(self, task: Task) -> list[int]:
        return list(reversed(range(NUM_TRAIN_TIMESTEPS)))

    def calls(self, task: Task) -> int:
        return len(self.indices) * (2 if self.corrector else 1)

    def _sample(self, chain: Chain, y: torch.Tensor, known: KnownPixels) -> torch.Tensor:
        x = y + known.mask * chain.noise()
        taus = torch.linspace(1, 1e-5, NUM_TRAIN_TIMESTEPS)[list(self.indices)]
        for tau in taus:
            if self.corrector:
                x = self._corrected(chain, x, tau)
            x = _put_in(x, y, tau, known, chain.noise())
            x, x0_hat = self._predicted(chain, x, tau)
            x = _put_in(x, y, tau, known, chain.noise())
            if tau == taus[-1]:
                x = known.mask * x + _marginal(tau)[0] * y
            chain.end_step(_position(tau), x, x0_hat)
        return x

    def _corrected(self, chain: Chain, x: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        score = _score(chain, x, tau)
        z = chain.noise()
        ratio = self.snr * z.flatten(1).norm(dim=1) / score.flatten(1).norm(dim=1)
        e = (2 * (1 - _beta(chain, tau)) * ratio**2).view(-1, 1, 1, 1)
        return x + e * score + (2 * e).sqrt() * z

    def _predicted(self, chain: Chain, x: torch.Tensor, tau: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x one step on, and x0_hat."""
        score, beta, j = _score(chain, x, tau), _beta(chain, tau), _position(tau)
        x0_hat = chain.x_0(x, -sqrt(1 - chain.abar(j)) * score, j)
        if self.predictor == "reverse":
            mean = (2 - sqrt(1 - beta)) * x + beta * score
        else:
            mean = (x + beta * score) / sqrt(1 - beta)
        return mean + sqrt(beta) * chain.noise(), x0_hat


def _position(tau: torch.Tensor) -> int:
    """j."""
    return int(tau * (NUM_TRAIN_TIMESTEPS - 1))


def _beta(chain: Chain, tau: torch.Tensor) -> float:
    """beta_j."""
    return chain.beta(_position(tau))


def _score(chain: Chain, x: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
    eps, _ = chain.network(x, (tau * (NUM_TRAIN_TIMESTEPS - 1)).to(x.device))
    return -eps / sqrt(1 - chain.abar(_position(tau)))


def _marginal(tau: torch.Tensor) -> tuple[float, float]:
    """a and the standard deviation of x_tau given x_0."""
    log_a = -0.25 * tau.double() ** 2 * (BETA_MAX - BETA_MIN) - 0.5 * tau.double() * BETA_MIN
    return float(log_a.exp()), float((1 - (2 * log_a).exp()).sqrt())


def _put_in(x: torch.Tensor, y: torch.Tensor, tau: torch.Tensor, known: KnownPixels, z: torch.Tensor) -> torch.Tensor:
    a, deviation = _marginal(tau)
    return known.mask * x + known.measure(a * y + deviation * z)
