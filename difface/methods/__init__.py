"""The methods that the paper compares with, and what came since, on any prior of the catalog: one file each.

Each is `Method(unet, ...).restore(lq, *, mask=None, scale=None, generator=None) -> (B, 3, H, W)`; its update rule is
in its docstring, and the official defaults are its constructor's.
"""

from difface.methods.base import Method
from difface.methods.repaint import RePaint

METHODS: dict[str, type[Method]] = {
    "repaint": RePaint,
}
"""Name on the command line -> class."""

__all__ = ["METHODS", "Method", "RePaint"]
