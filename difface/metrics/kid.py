"""Kernel distance (Binkowski et al., 2018): the squared maximum mean discrepancy of features, unbiased."""

import numpy as np

from difface.metrics.frechet import FrechetDistance
from difface.metrics.on_features import OnFeatures

BLOCK = 1024
"""Vectors of either set whose kernels are in memory at once: a square of 8 MB, however many pictures there are."""


class KernelDistance(OnFeatures):
    """KID on the features of a Frechet distance, with the kernel k(x, y) = (x . y / d + 1)^3 of the paper.

    mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean k(x_i, y_j): its expectation does not
    depend on the number of images, so that sets of several sizes compare, and it may come out below 0 for equal
    distributions. All pairs are taken, where others take the mean over random subsets.

    Args:
        of: the Frechet distance whose features and kind of reference these are; its name with KID for FD or FID is this
            one's.
    """

    title, least = "KID", 2

    def __init__(self, of: FrechetDistance):
        super().__init__(of)
        self._among_real: float | None = None
        self._found: tuple[np.ndarray, np.ndarray, float] | None = None

    def add(self, vectors: np.ndarray, real: bool = False) -> None:
        """Add the features of images, (B, d), to the reference (`real`) or to the scored set."""
        super().add(vectors, real)
        self._among_real = None if real else self._among_real
        self._found = None

    def compute(self) -> float:
        """The discrepancy.

        Raises:
            ValueError: a set has fewer than two images.
        """
        own, other, among = self._sums()
        n = len(own)
        return float(own.sum() / (n * (n - 1)) + among - 2 * other.mean())

    def without(self) -> np.ndarray:
        """(n,) the discrepancy without each of the n scored images in turn, NaN for two; errors as for `compute`."""
        own, other, among = self._sums()
        n = len(own)
        if n < 3:
            return np.full(n, np.nan)
        return (own.sum() - 2 * own) / ((n - 1) * (n - 2)) + among - 2 * (other.sum() - other) / (n - 1)

    def _sums(self) -> tuple[np.ndarray, np.ndarray, float]:
        """For each scored image, the sum of its kernels with the other scored ones and their mean with the reference;
        and the mean kernel within the reference."""
        if self._found is None:
            real, scored = self._sets()
            if self._among_real is None:
                self._among_real = _with_others(real).sum() / (len(real) * (len(real) - 1))
            self._found = _with_others(scored), _kernel_sums(scored, real) / len(real), self._among_real
        return self._found


def _with_others(vectors: np.ndarray) -> np.ndarray:
    """(n,) the sum of the kernels of each vector with the others."""
    own = (np.square(vectors.astype(np.float64)).mean(1) + 1) ** 3
    return _kernel_sums(vectors, vectors) - own


def _kernel_sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) the sum of the kernels of each vector of (n, d) with all of (m, d), a block at a time."""
    sums = np.zeros(len(a))
    for row in range(0, len(a), BLOCK):
        some = a[row : row + BLOCK].astype(np.float64) / a.shape[1]
        for column in range(0, len(b), BLOCK):
            kernels = some @ b[column : column + BLOCK].T.astype(np.float64)
            kernels += 1
            kernels *= kernels * kernels  # ** 3 takes the slow way of any power
            sums[row : row + BLOCK] += kernels.sum(1)
    return sums
