"""Frechet distance between two sets of feature vectors: the base of all such metrics, and the one on face embeddings."""

from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch

from difface.files import whole_file
from difface.metrics.base import SetMetric
from difface.metrics.identity import EMBEDDING, embed
from difface.weights.formats import load_checkpoint


def frechet_distance(mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau, 1982).

    The trace of the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric, so that eigenvalues do.

    Args:
        mean_1, mean_2: (d,).
        cov_1, cov_2: (d, d), symmetric and positive semi-definite.
    """
    values, vectors = np.linalg.eigh(cov_1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_2 @ root).clip(0)).sum()
    return float(np.square(mean_1 - mean_2).sum() + np.trace(cov_1) + np.trace(cov_2) - 2 * cross)


class Moments:
    """Mean and covariance of vectors that come in batches, in float64; the vectors are not kept.

    Attributes:
        count: vectors so far, n.
        mean: (d,).
        scatter: sum of (v - mean)(v - mean)^T, (d, d).
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

    Numbers are comparable at equal counts of images only: with few, the covariance is of low rank and the distance too high.

    Attributes:
        reference: whose images are the reference: "faces", clean faces that are none of the test's, or "truth", the
            ground truth of the scored set.
    """

    higher_is_better = False
    reference: str = "faces"

    def __init__(self):
        self._real, self._scored = Moments(), Moments()
        self._loaded: tuple[np.ndarray, np.ndarray] | None = None

    @abstractmethod
    def features(self, images: torch.Tensor) -> torch.Tensor | np.ndarray:
        """(B, 3, H, W) in [0, 1] -> (B, d)."""

    def update(self, images: torch.Tensor, real: bool = False) -> None:
        """Add images (B, 3, H, W) in [0, 1] to the reference (`real`) or to the scored set.

        Raises:
            ValueError: `real`, after statistics were loaded as the reference.
        """
        if real and self._loaded:
            raise ValueError(f"the reference of {self.name} was loaded and takes no images: make another {self.name}.")
        vectors = torch.as_tensor(self.features(images)).double().cpu().numpy()
        (self._real if real else self._scored).add(vectors)

    def reset(self) -> None:
        """Forget the scored set."""
        self._scored = Moments()

    def compute(self) -> float:
        """Distance between the two sets.

        Raises:
            ValueError: a set has fewer than two images, or the loaded statistics are of other features.
        """
        real, scored = self._reference_statistics(), self._scored.statistics
        if real[0].shape != scored[0].shape:
            raise ValueError(
                f"the reference of {self.name} has {len(real[0])} dimensions and its features {len(scored[0])}: "
                "load the statistics of the same network."
            )
        return frechet_distance(*real, *scored)

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

    def save_reference(self, path: str | Path) -> None:
        """Write the reference's statistics as an .npz with `mu` and `sigma`, as pytorch-fid does.

        Raises:
            ValueError: another suffix, or fewer than two images in the reference.
        """
        if Path(path).suffix != ".npz":
            raise ValueError(f"statistics are written as .npz; got {path}: change the suffix.")
        mean, cov = self._reference_statistics()
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, mu=mean, sigma=cov)

    def _reference_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return self._loaded or self._real.statistics


def _read_statistics(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance out of either kind of file."""
    if path.suffix not in _KEYS:
        raise ValueError(f"statistics are read from {' and '.join(_KEYS)} files; got {path}.")
    keys = _KEYS[path.suffix]
    stored = np.load(path) if path.suffix == ".npz" else load_checkpoint(path)
    if any(key not in stored for key in keys):
        raise ValueError(f"{path} must hold {' and '.join(keys)}; got {', '.join(map(str, stored))}.")
    return tuple(stored[key] for key in keys)


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

    def features(self, images: torch.Tensor) -> np.ndarray:
        """(B, 3, H, H) -> (B, 128)."""
        return embed(images, self.weights)
