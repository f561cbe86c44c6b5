"""N for each picture by how bad it is: the smallest at which Eq. 12 tells p(x_N|y) and q(x_N|x_0) apart no further."""

from dataclasses import dataclass

from torch import Tensor

from difface.contraction import contraction

LEAST, MOST = 100, 450
"""Between these N is chosen."""
TOLERATED = 0.0122
"""KL divergence of Eq. 12 for each value of the picture, in nats."""


@dataclass(frozen=True)
class Doubt:
    """How far an estimator's f(y) is from the truth, told by how far it moved the picture: a plain picture is hardly
    changed and hardly wrong. The mean of (x_0 - f(y))^2 is about factor * (mean of (f(y) - y)^2)^power, all in [-1, 1].

    `python -m eval starts` finds both numbers on training faces, and what they are worth on test faces.

    Attributes:
        factor, power: of the law.
    """

    factor: float
    power: float

    def error(self, y: Tensor, estimates: Tensor) -> Tensor:
        """The expected mean square of x_0 - f(y) in [-1, 1]^2, (B,) float64.

        Args:
            y, estimates: the inputs and f(y) as the networks see them, (B, 3, H, W) in [0, 1].
        """
        moved = (2 * (estimates - y).double()).square().flatten(1).mean(1)
        return self.factor * moved**self.power

    def begin_index(self, y: Tensor, estimates: Tensor, tolerated: float = TOLERATED) -> list[int]:
        """N for each picture: the smallest at which kappa_N / 2 times the expected error (Eq. 12) is tolerated.

        Args:
            y, estimates: as for `error`.
            tolerated: nats for each value of a picture.

        Example:
            >>> doubt, y = Doubt(factor=0.3, power=0.65), torch.full((2, 3, 8, 8), 0.5)
            >>> doubt.begin_index(y, torch.stack([y[0] + 0.02, y[1] + 0.1]))  # f(y) mends the second more
            [126, 299]
        """
        kl = contraction().kappa / 2 * self.error(y, estimates)[:, None]
        first = (kl > tolerated).sum(1)  # kappa falls with t
        return first.clamp(LEAST, MOST).tolist()
