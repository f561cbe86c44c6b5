"""What is known of a picture: y = H x_0 with its pseudo-inverse H^+ and the projection PI = H^+ H."""

from typing import Protocol

import torch
from torch.nn import functional


class Operator(Protocol):
    """A linear H whose singular values are all equal (`singular`) or zero, on pictures (B, 3, H, W) of any range."""

    singular: float

    def measure(self, x: torch.Tensor) -> torch.Tensor:
        """H x."""

    def spread(self, y: torch.Tensor) -> torch.Tensor:
        """H^+ y, of the whole picture's size."""

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """PI x, what of x is measured; x - PI x is what H does not see."""


class KnownPixels:
    """Some pixels are known (Eq. 14): H, H^+ and PI all set the missing ones to 0.

    Args:
        mask: (B, 1, H, W) or (1, 1, H, W), binary, 1 = missing.
    """

    singular = 1.0

    def __init__(self, mask: torch.Tensor):
        self.mask = mask

    @property
    def known(self) -> torch.Tensor:
        """1 on known pixels, 0 on missing ones."""
        return 1 - self.mask

    def measure(self, x: torch.Tensor) -> torch.Tensor:
        return self.known * x

    spread = project = measure


class BlockMeans:
    """The mean of each block of s x s pixels is known; H^+ repeats it s x s times.

    Args:
        scale: s.
    """

    def __init__(self, scale: int):
        self.scale = scale
        self.singular = 1 / scale

    def measure(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, self.scale)

    def spread(self, y: torch.Tensor) -> torch.Tensor:
        return y.repeat_interleave(self.scale, dim=-2).repeat_interleave(self.scale, dim=-1)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        return self.spread(self.measure(x))
