"""How sure a mean or a distance between sets is, and whether two methods differ on the same pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import bootstrap, norm, wilcoxon

RESAMPLES = 2000

SURE = 1.96
"""Standard errors in half a 95 % interval."""

Deviations = Mapping[str, float]
"""Name of a picture -> how far it moves a distance between sets (`deviations`)."""


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of per-picture scores, (n,), seeded; NaN for fewer than two."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    found = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=level, method="percentile", rng=rng
    ).confidence_interval
    return float(found.low), float(found.high)


def paired_p(values: np.ndarray, first: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on differences of paired scores, (n,) each; 1 where all are equal."""
    differences = np.asarray(values, float) - np.asarray(first, float)
    return float(wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def deviations(without: Mapping[str, float]) -> Deviations:
    """How far each picture moves a distance between sets, scaled to squares that add up to the jackknife's variance.

    sqrt((n - 1) / n) (d_(i) - mean of d_(i)), with d_(i) the distance without picture i (Efron and Stein, 1981). The
    reference is taken as given: what its own choice adds is the same for all methods and left out.
    """
    values = np.array(list(without.values()), float)
    scaled = (1 - 1 / len(values)) ** 0.5 * (values - values.mean()) if len(values) else values
    return dict(zip(without, scaled.tolist(), strict=True))


def error(of: Deviations) -> float:
    """The jackknife's standard error; NaN where a distance without a picture is unknown, or there is none."""
    return float(np.square(list(of.values())).sum() ** 0.5) if of else float("nan")


def error_of_difference(a: Deviations, b: Deviations) -> float:
    """The same of the difference of two distances, paired: what a picture of both sets moves in both cancels."""
    if not (a and b):
        return float("nan")
    return error({name: a.get(name, 0) - b.get(name, 0) for name in dict.fromkeys([*a, *b])})


def distance_p(a: float, moved_a: Deviations, b: float, moved_b: Deviations) -> float:
    """Two-sided p of the difference of two distances over its paired standard error, as of a normal deviate; 1 where
    the sets do not differ, NaN where the error is unknown."""
    found = error_of_difference(moved_a, moved_b)
    return float(2 * norm.sf(abs(a - b) / found)) if found else 1.0


def mean_of(parts: Sequence[Deviations]) -> Deviations:
    """Of the plain mean of several distances, whose sets may show the same faces or others; {} where one is unknown."""
    if not all(parts):
        return {}
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0) for part in parts) / len(parts) for name in names}
