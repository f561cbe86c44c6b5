"""Frechet distance between two sets of feature vectors: the base of all such metrics, and that on embeddings."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from difface.metrics.base import SetMetric
from difface.metrics.identity import EMBEDDING, embed
from difface.weights.formats import load_checkpoint


def frechet_distance(mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau, 1982).

    The trace of the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric, so that eigenvalues do.

    Args:
        mean_1, mean_2: (d,).
        cov_1, cov_2: (d, d), symmetric and positive semi-definite.

    Example:
        >>> one, two = (np.array([0.0]), np.array([[1.0]])), (np.array([3.0]), np.array([[4.0]]))
        >>> frechet_distance(*one, *two)  # in one dimension: (0 - 3)^2 + (1 - 2)^2
        10.0
    """
    values, vectors = np.linalg.eigh(cov_1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_2 @ root).clip(0)).sum()
    return float(np.square(mean_1 - mean_2).sum() + np.trace(cov_1) + np.trace(cov_2) - 2 * cross)


def distances_without(mean: np.ndarray, cov: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`frechet_distance` of a reference to vectors without each of them in turn, exactly, by one decomposition.

    Without vector i the scored covariance C2 loses one rank, and so does M = C1^(1/2) C2 C1^(1/2): up to a factor it is
    M - r y y^T with y = C1^(1/2) (v_i - m2). By the determinant lemma and sqrt(l) = (1 / pi) int l / (l + s) s^(-1/2)
    ds, tr M^(1/2) - tr (M - r y y^T)^(1/2) = -(1 / pi) int_0^inf log(1 - r y^T (M + u^2)^(-1) y) du; with u = exp(x)
    the trapezoidal rule finds this integral to rounding, as its integrand is analytic for |Im x| < pi / 2.

    Args:
        mean, cov: of the reference, (d,) and (d, d).
        vectors: (n, d), n from 3.

    Returns:
        (n,).

    Example:
        >>> vectors = np.array([[0.0], [1.0], [2.0], [5.0]])
        >>> without_the_last = distances_without(np.array([0.0]), np.array([[1.0]]), vectors)[3]
        >>> round(float(without_the_last), 6)  # of 0, 1, 2 to N(0, 1): mean 1, variance 1
        1.0
    """
    n = len(vectors)
    centred = vectors - vectors.mean(0)
    values, basis = np.linalg.eigh(cov)
    left, singular, _ = np.linalg.svd(centred @ (basis * np.sqrt(values.clip(0))), full_matrices=False)
    kept = singular > 1e-7 * singular[0]
    left, root = left[:, kept], singular[kept] / (n - 1) ** 0.5  # of M: its eigenvalues' roots
    u = root[0] * np.exp(np.arange(-22, 22, _STEP))
    weights = np.square(left * singular[kept])  # of y y^T in the eigenvectors of M
    inverse = n / (n - 1) ** 2 / (np.square(root)[:, None] + np.square(u))
    parts = [weights[first : first + _BLOCK] for first in range(0, n, _BLOCK)]  # flat in memory
    lost = -np.concatenate([np.log((1 - part @ inverse).clip(1e-15)) @ u for part in parts]) * _STEP / np.pi
    cross = ((n - 1) / (n - 2)) ** 0.5 * (root.sum() - lost)
    squares = np.square(centred).sum(1)
    trace = (squares.sum() - n / (n - 1) * squares) / (n - 2)
    means = vectors.mean(0) - centred / (n - 1)
    return np.square(means - mean).sum(1) + np.trace(cov) + trace - 2 * cross


_STEP = 0.25
"""Of the trapezoidal rule: its error is about exp(-pi^2 / step)."""
_BLOCK = 1024
"""Vectors whose integrands are in memory at once."""


class Moments:
    """Mean and covariance of vectors that come in batches, in float64; the vectors are not kept.

    Attributes:
        count: vectors so far, n.
        mean: (d,).
        scatter: sum of (v - mean)(v - mean)^T, (d, d).

    Example:
        >>> moments = Moments()
        >>> moments.add(np.array([[0.0, 1.0], [2.0, 1.0]]))
        >>> moments.add(np.array([[4.0, 4.0]]))
        >>> mean, covariance = moments.statistics
        >>> mean, covariance
        (array([2., 2.]), array([[4., 3.],
               [3., 3.]]))
    """

    def __init__(self):
        self.count = 0
        self.mean = self.scatter = np.zeros(())

    def add(self, vectors: np.ndarray) -> None:
        """Add (n, d), n from 1 (Chan, Golub and LeVeque, 1983: nothing cancels, unlike in a sum of squares)."""
        mean = vectors.mean(0)
        centred, shift, total = vectors - mean, mean - self.mean, self.count + len(vectors)
        between = np.outer(shift, shift) * (self.count * len(vectors) / total)
        self.scatter = self.scatter + centred.T @ centred + between
        self.mean = self.mean + shift * (len(vectors) / total)
        self.count = total

    @property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d), divided by n - 1.

        Raises:
            ValueError: fewer than two vectors.
        """
        if self.count < 2:
            raise ValueError(f"a Frechet distance needs two images in each set; got {self.count} in one: add images.")
        return self.mean, self.scatter / (self.count - 1)


class FrechetDistance(SetMetric):
    """Frechet distance between the features of a set and those of its reference; a subclass has the `features`.

    Numbers are comparable at equal counts of images only: with few, the covariance is of low rank and the distance too
    high.
    """

    def __init__(self):
        self._real = Moments()
        self._scored: list[np.ndarray] = []
        self._loaded: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, vectors: np.ndarray, real: bool = False) -> None:
        """Add the features of images, (B, d), to the reference (`real`) or to the scored set.

        Raises:
            ValueError: `real`, after statistics were loaded as the reference.
        """
        if real and self._loaded:
            raise ValueError(f"the reference of {self.name} was loaded and takes no images: make another {self.name}.")
        if real:
            self._real.add(vectors.astype(np.float64))
        else:
            self._scored.append(vectors.astype(np.float64))

    def compute(self) -> float:
        """Distance between the two sets.

        Raises:
            ValueError: a set has fewer than two images, or the loaded statistics are of other features.
        """
        scored = Moments()
        for vectors in self._scored:
            scored.add(vectors)
        mean, cov = scored.statistics
        return frechet_distance(*self._reference_of(len(mean)), mean, cov)

    def without(self) -> np.ndarray:
        """(n,) the distance without each of the n scored images in turn, NaN for two; errors as for `compute`."""
        vectors = np.concatenate(self._scored or [np.zeros((0, 1))])
        if len(vectors) < 3:
            return np.full(len(vectors), np.nan)
        return distances_without(*self._reference_of(vectors.shape[1]), vectors)

    def load_reference(self, path: str | Path) -> None:
        """Take the reference's statistics from a file, instead of images.

        Args:
            path: an .npz with `mu` and `sigma` (pytorch-fid's), or a .pth with `mean` and `cov` (BasicSR's, VQFR's).

        Raises:
            ValueError: another kind of file, or statistics of shapes other than (d,) and (d, d).
        """
        mean, cov = (np.asarray(one, np.float64) for one in _read_statistics(Path(path)))
        if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
            raise ValueError(f"{path} must hold a mean (d,) and a covariance (d, d); got {mean.shape} and {cov.shape}.")
        self._loaded = mean, cov

    def _reference_of(self, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
        """The reference's statistics, if they are of features of so many dimensions."""
        real = self._reference_statistics()
        if len(real[0]) != dimensions:
            raise ValueError(
                f"the reference of {self.name} has {len(real[0])} dimensions and its features {dimensions}: "
                "load the statistics of the same network."
            )
        return real

    def _reference_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return self._loaded or self._real.statistics


def _read_statistics(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance out of either kind of file."""
    if path.suffix not in _KEYS:
        raise ValueError(f"statistics are read from {' and '.join(_KEYS)} files; got {path}.")
    mean, covariance = keys = _KEYS[path.suffix]
    stored = np.load(path) if path.suffix == ".npz" else load_checkpoint(path)
    if not isinstance(stored, Mapping) or any(key not in stored for key in keys):
        held = ", ".join(map(str, stored)) if isinstance(stored, Mapping) else type(stored).__name__
        raise ValueError(f"{path} must hold {' and '.join(keys)}; got {held}.")
    return stored[mean], stored[covariance]


_KEYS = {".npz": ("mu", "sigma"), ".pth": ("mean", "cov")}


class FrechetIdentity(FrechetDistance):
    """Frechet distance of raw face embeddings to those of reference faces: how face-like a set is, whoever it shows.

    This is not FID, whose features are Inception's: the file name of the network belongs to the number. Images are in
    FFHQ alignment.

    Args:
        weights: file name of an ArcFace ONNX model.
    """

    name = "FD identity"
    needs = (EMBEDDING,)

    def __init__(self, weights: str = EMBEDDING):
        super().__init__()
        self.weights = weights

    @property
    def family(self) -> str:
        """The network."""
        return self.weights

    def features(self, images: torch.Tensor) -> np.ndarray:
        """(B, 3, H, H) -> (B, 128)."""
        return embed(images, self.weights)
