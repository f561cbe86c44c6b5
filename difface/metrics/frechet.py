"""Frechet distance between two sets of feature vectors, and the one on face embeddings."""

import numpy as np
import torch

from difface.metrics.base import SetMetric
from difface.metrics.identity import EMBEDDING, embed


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


class FrechetIdentity(SetMetric):
    """Frechet distance of raw face embeddings to those of reference faces: how face-like a set is, whoever it shows.

    This is not FID, whose features are Inception's: the file name of the network belongs to the number.

    Args:
        weights: file name of an ArcFace ONNX model.
    """

    name = "FD identity"
    higher_is_better = False
    needs = (EMBEDDING,)

    def __init__(self, weights: str = EMBEDDING):
        self.weights = weights
        self.features: dict[bool, list[np.ndarray]] = {True: [], False: []}

    def update(self, images: torch.Tensor, real: bool = False) -> None:
        """Add images (B, 3, H, H) in [0, 1], in FFHQ alignment, to the reference (`real`) or to the scored set."""
        self.features[real].append(embed(images, self.weights).astype(np.float64))

    def reset(self) -> None:
        """Forget the scored set."""
        self.features[False] = []

    def compute(self) -> float:
        """Distance between the two sets.

        Raises:
            ValueError: a set has fewer than two images.
        """
        sets = [
            np.concatenate(self.features[real]) if self.features[real] else np.empty((0, 1)) for real in (True, False)
        ]
        if min(map(len, sets)) < 2:
            raise ValueError(f"a Frechet distance needs two images in each set; got {len(sets[0])} and {len(sets[1])}.")
        return frechet_distance(*(stat for one in sets for stat in (one.mean(0), np.cov(one, rowvar=False))))
