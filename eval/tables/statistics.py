"""How sure a mean is, and whether two methods differ on the same pictures."""

import numpy as np
from scipy.stats import wilcoxon

RESAMPLES = 2000


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of per-picture scores, (n,), seeded; NaN for fewer than two."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_p(values: np.ndarray, first: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on the differences of paired scores, (n,) each; 1 where all are equal."""
    differences = np.asarray(values, float) - np.asarray(first, float)
    return float(wilcoxon(differences).pvalue) if np.any(differences) else 1.0
