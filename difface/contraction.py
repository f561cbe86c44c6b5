"""Error contraction in numbers: abar_t, its square root and the KL divergence between p(x_N|y) and q(x_N|x_0)."""

from dataclasses import dataclass

import torch

from difface.schedulers import build_scheduler


@dataclass(frozen=True)
class Contraction:
    """The quantities of Eq. 12-13 along the chain, each a float64 tensor (T,) indexed by timestep 0..T-1.

    Attributes:
        alphas_cumprod: abar_t.
        factor: sqrt(abar_t), by which the estimate's error e = x_0 - f(y) is shrunk in x_t (Eq. 13).
        kappa: abar_t / (1 - abar_t), the signal-to-noise ratio; strictly falling (Fig. 4).

    Example:
        >>> error, chain = torch.full((1, 3, 4, 4), 0.2), contraction()
        >>> round(float(chain.factor[400] * 0.2), 3)  # what is left of an error of 0.2 in x_400
        0.088
        >>> [round(float(chain.kl(error, t)), 3) for t in (100, 400, 700)]
        [8.195, 0.23, 0.007]
    """

    alphas_cumprod: torch.Tensor

    @property
    def factor(self) -> torch.Tensor:
        return self.alphas_cumprod.sqrt()

    @property
    def kappa(self) -> torch.Tensor:
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    def kl(self, error: torch.Tensor, timestep: int) -> torch.Tensor:
        """KL[p(x_t|y) || q(x_t|x_0)] = kappa_t / 2 ||e||^2 (Eq. 12), in nats.

        Args:
            error: e = x_0 - f(y), (B, 3, H, W), both in [-1, 1].
            timestep: t in 0..T-1.

        Returns:
            (B,) float64.

        Example:
            >>> error = torch.full((1, 3, 4, 4), 0.5)  # ||e||^2 = 48 * 0.25 = 12
            >>> chain = contraction()
            >>> round(float(chain.kl(error, 400) / chain.kappa[400]), 6)
            6.0
        """
        return self.kappa[timestep] / 2 * error.double().square().flatten(1).sum(1)


def contraction() -> Contraction:
    """`Contraction` of the noise schedule that all priors have.

    Example:
        >>> chain = contraction()
        >>> len(chain.factor), f"{chain.factor[0]:.5f}", f"{chain.factor[400]:.3f}", f"{chain.factor[999]:.4f}"
        (1000, '0.99995', '0.440', '0.0064')
    """
    betas = build_scheduler("ddim").betas.double()
    return Contraction(torch.cumprod(1 - betas, dim=0))
