"""Metrics by name, for curves and captions."""

import math
from collections.abc import Sequence

from eval.metrics import METRICS

CURVES = ("PSNR", "ID angle", "FD-prior")
"""Shown by default in curves: fidelity, identity, realism."""
PAIRS = ("PSNR", "SSIM", "ID angle")
"""In the tables of comparison sheets by default: those that a single face has."""

_UNITS = {"PSNR": "dB", "ID angle": "degrees", "IDS": "degrees", "IDS-r50": "degrees", "LMD": "px"}


def known(names: Sequence[str]) -> None:
    """Refuse what is no metric.

    Raises:
        ValueError: an unknown name.
    """
    for name in names:
        if name not in METRICS:
            raise ValueError(f"the metric '{name}' is unknown; {', '.join(METRICS)} are accepted: choose of these.")


def axis_label(name: str) -> str:
    """The metric with its unit and an arrow to the better end."""
    unit = f" ({_UNITS[name]})" if name in _UNITS else ""
    return f"{name}{unit} " + (r"$\uparrow$" if METRICS[name]().higher_is_better else r"$\downarrow$")


def caption(scores: dict[str, float]) -> str:
    """What stands below a picture: its PSNR, or nothing where it has none."""
    psnr = scores.get("PSNR", math.nan)
    return "" if math.isnan(psnr) else f"PSNR {psnr:.1f} dB"


def reason(problem: object) -> str:
    """An error's first part, short enough for a panel."""
    return str(problem).split(":")[0].split(";")[0]
