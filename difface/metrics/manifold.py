"""Precision and recall of a set against real pictures (Kynkaanniemi et al., NeurIPS 2019), on features of a network.

Each set's manifold is the union of balls around its features, each as large as the distance to its third neighbour in
that set. Precision is the share of scored pictures in the manifold of the real ones: do they look real? Recall is the
share of real ones in the manifold of the scored ones: is everything that is real among them?
"""

from collections.abc import Iterator

import numpy as np

from difface.metrics.on_features import OnFeatures

NEIGHBOURS = 3
"""k of the paper."""
BLOCK = 1024
"""Vectors whose distances are in memory at once."""


class Precision(OnFeatures):
    """Share of the scored pictures in the real ones' manifold, 0 to 1."""

    higher_is_better = True
    title, least = "precision", NEIGHBOURS + 2

    def compute(self) -> float:
        """The share.

        Raises:
            ValueError: a set has fewer than five images.
        """
        return float(self._inside().mean())

    def without(self) -> np.ndarray:
        """(n,) the share without each of the n scored images; errors as for `compute`."""
        inside = self._inside()
        return (inside.sum() - inside) / (len(inside) - 1)

    def _inside(self) -> np.ndarray:
        real, scored = self._sets()
        return _covered(scored, real)


class Recall(OnFeatures):
    """Share of the real pictures in the scored ones' manifold, 0 to 1."""

    higher_is_better = True
    title, least = "recall", NEIGHBOURS + 2

    def compute(self) -> float:
        """The share.

        Raises:
            ValueError: a set has fewer than five images.
        """
        real, scored = self._sets()
        return float(_covered(real, scored).mean())

    def without(self) -> np.ndarray:
        """(n,) of NaN: without an image the balls of its neighbours grow, which nobody follows here."""
        return np.full(len(self._sets()[1]), np.nan)


def _covered(vectors: np.ndarray, around: np.ndarray) -> np.ndarray:
    """(n,) 1.0 where a vector lies in a ball around one of others, else 0.0."""
    radius = np.concatenate([np.partition(d, NEIGHBOURS, 1)[:, NEIGHBOURS] for d in _distances(around, around)])
    return np.concatenate([(d < radius).any(1) for d in _distances(vectors, around)]).astype(float)


def _distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances (n, m), some rows at a time."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    for first in range(0, len(a), BLOCK):
        part = a[first : first + BLOCK]
        yield (np.square(part).sum(1)[:, None] + np.square(b).sum(1) - 2 * part @ b.T).clip(0)
