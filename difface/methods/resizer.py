"""The bicubic resizer that ILVR, DR2, DPS and DiffPIR share.

Its kernel is the cubic with a = -0.5, widened by N when it shrinks, and pixels beyond a border are the picture mirrored
there, the outermost one repeated. Inside, that is torch's antialiased bicubic in both directions (a plain one
enlarges with a = -0.75); torch leaves out what lies beyond a border, so the mirrored pixels are put there first.
"""

import torch
from torch.nn import functional


def shrink(x: torch.Tensor, n: int) -> torch.Tensor:
    """(B, 3, H, W) -> (B, 3, H / n, W / n), differentiable."""
    return _cropped(_resize(_mirrored(x, 2 * n), 1 / n), 2)


def enlarge(x: torch.Tensor, n: int) -> torch.Tensor:
    """(B, 3, h, w) -> (B, 3, n h, n w)."""
    return _cropped(_resize(_mirrored(x, 3), n), 3 * n)


def low_pass(x: torch.Tensor, n: int) -> torch.Tensor:
    """phi_N: shrunk and enlarged again."""
    return enlarge(shrink(x, n), n)


def _resize(x: torch.Tensor, factor: float) -> torch.Tensor:
    size = [round(side * factor) for side in x.shape[-2:]]
    return functional.interpolate(x, size, mode="bicubic", antialias=True)


def _mirrored(x: torch.Tensor, width: int) -> torch.Tensor:
    for dimension in (-2, -1):
        side = x.shape[dimension]
        place = torch.arange(-width, side + width, device=x.device) % (2 * side)
        x = x.index_select(dimension, torch.minimum(place, 2 * side - 1 - place))
    return x


def _cropped(x: torch.Tensor, width: int) -> torch.Tensor:
    return x[..., width:-width, width:-width]
