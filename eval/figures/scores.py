"""Metrics by name, for curves and captions: what cannot be had becomes n/a with its reason, everything else goes on."""

import math
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor

from difface.metrics import METRICS
from difface.metrics.base import PairMetric, SetMetric
from difface.weights import WeightMissing

CURVES = ("PSNR", "ID angle", "FD-prior")
"""Shown by default in curves, those of them that exist: fidelity, identity, realism."""
PAIRS = ("PSNR", "SSIM", "ID angle")
"""In the tables of comparison sheets by default: those that a single face has."""

_UNITS = {"PSNR": "dB", "ID angle": "degrees", "IDS": "degrees", "IDS-r50": "degrees", "LMD": "px"}
_NEVER_TRUTH = ("FID-F", "KID-F")


def known(names: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    """The names asked for, or those of the default that exist.

    Raises:
        ValueError: an unknown name.
    """
    if names is None:
        return [name for name in default if name in METRICS]
    for name in names:
        if name not in METRICS:
            raise ValueError(f"the metric '{name}' is unknown; {', '.join(METRICS)} are accepted: choose of these.")
    return list(names)


def axis_label(name: str) -> str:
    """The metric with its unit and an arrow to the better end."""
    unit = f" ({_UNITS[name]})" if name in _UNITS else ""
    return f"{name}{unit} " + (r"$\uparrow$" if METRICS[name]().higher_is_better else r"$\downarrow$")


def caption(scores: dict[str, float]) -> str:
    """What stands below a picture: its PSNR, or nothing where it has none."""
    psnr = scores.get("PSNR", math.nan)
    return "" if math.isnan(psnr) else f"PSNR {psnr:.1f} dB"


def reason(error: Exception) -> str:
    """An error's first part, short enough for a panel."""
    return str(error).split(":")[0].split(";")[0]


class Scorer:
    """Scores sets of pictures by several metrics; the reference is read once for each metric of sets.

    Args:
        names: of `difface.metrics.METRICS`.
        truth: of the faces that will be scored, a set metric's reference where there is no other, (n, 3, H, H) in [0, 1].
        reference: clean faces that are none of these, for set metrics, in batches of the same shape but for n.

    Attributes:
        notes: name -> why a metric has no number.
    """

    def __init__(self, names: Sequence[str], truth: Tensor | None = None, reference: Iterable[Tensor] | None = None):
        self.names, self.notes, self._sets = list(names), {}, {}
        for name in self.names:
            self._try(name, lambda name=name: self._prepare(name, truth, reference))

    def __call__(self, answer: Tensor, truth: Tensor | None = None) -> dict[str, float]:
        """Name -> number over the whole set; NaN where there is none.

        Args:
            answer: (B, 3, H, H) in [0, 1].
            truth: the same shape; None without.
        """
        return {name: self._try(name, lambda name=name: self._score(name, answer, truth)) for name in self.names}

    def each(self, answers: Tensor, truth: Tensor | None = None) -> list[dict[str, float]]:
        """The same for every picture by itself."""
        return [self(answers[k][None], None if truth is None else truth[k][None]) for k in range(len(answers))]

    def _prepare(self, name: str, truth: Tensor | None, reference: Iterable[Tensor] | None) -> float:
        metric = METRICS[name]()
        if isinstance(metric, SetMetric):
            self._sets[name] = metric
            if name in _NEVER_TRUTH and reference is None:
                raise ValueError(f"{name} is a distance to faces that are none of the test's; none were given")
            if reference is None or metric.reference == "truth":
                reference = None if truth is None else [truth]
            for batch in reference or ():
                metric.update(batch, real=True)
        return math.nan

    def _score(self, name: str, answer: Tensor, truth: Tensor | None) -> float:
        metric = self._sets.get(name) or METRICS[name]()
        if isinstance(metric, PairMetric):
            if truth is None:
                raise ValueError("the faces have no truth")
            metric.update(answer, truth)
        else:
            if isinstance(metric, SetMetric):
                metric.reset()
            metric.update(answer)
        return metric.compute()

    def _try(self, name: str, call: Callable[[], float]) -> float:
        if name in self.notes:
            return math.nan
        try:
            return call()
        except (WeightMissing, ImportError, ValueError) as error:
            self.notes[name] = reason(error)
            return math.nan
