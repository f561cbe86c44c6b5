"""Who it is: the angle between ArcFace embeddings of two aligned faces."""

from functools import lru_cache

import numpy as np
import torch

from difface.faces import FFHQ_TEMPLATE, warp
from difface.images import to_uint8
from difface.metrics.base import PairMetric, SetMetric

EMBEDDING = "mobilefacenet.onnx"

ARCFACE_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""InsightFace's five points at 112 pixels, in the order of `difface.faces.FFHQ_TEMPLATE`."""


@lru_cache(maxsize=2)
def _network(name: str):
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    from difface.weights import find

    return ArcFaceONNX(str(find(name)))


def embed(faces: torch.Tensor, weights: str = EMBEDDING) -> np.ndarray:
    """Raw (not normalised) embeddings of faces in FFHQ alignment.

    The faces are warped from the FFHQ template's points to ArcFace's; nothing is detected, so that a face which no
    detector would find is scored as well.

    Args:
        faces: (B, 3, H, H) in [0, 1].
        weights: file name of an ArcFace ONNX model.

    Returns:
        (B, dimensions) float32.

    Raises:
        difface.weights.WeightMissing: the model is not there.
    """
    side = faces.shape[-1]
    crops = [warp(to_uint8(face), FFHQ_TEMPLATE * side, ARCFACE_TEMPLATE, 112)[:, :, ::-1] for face in faces]
    return np.concatenate([_network(weights).get_feat([np.ascontiguousarray(crop)]) for crop in crops])


class IdentityAngle(PairMetric):
    """Angle in degrees between the embeddings of the restored and the true face; 0 is the same person, 90 a stranger.

    This is not the paper's IDS, which uses another network: the file name of the network belongs to the number. Images
    are in FFHQ alignment.

    Args:
        weights: file name of an ArcFace ONNX model.
    """

    name = "ID angle"
    higher_is_better = False
    needs = (EMBEDDING,)

    def __init__(self, weights: str = EMBEDDING):
        super().__init__()
        self.weights = weights

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
        """(B,) in degrees."""
        return angle(*(embed(images, self.weights) for images in (restored, truth)))


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between rows, (n, d) and (n, d) -> (n,) in degrees.

    Example:
        >>> angle(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 0.0]]))
        array([90.,  0.])
    """
    a, b = (
        vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1)[:, None] for vectors in (a, b)
    )
    return np.degrees(np.arccos((a * b).sum(1).clip(-1, 1)))


class NearestPerson(SetMetric):
    """The share of pictures whose embedding is nearest to that of their own truth among the truths of all pictures.

    Rank-1 identification with as many people as there are pictures: 1 is everyone found, 1 / n is by chance. Images are
    in FFHQ alignment.

    Args:
        weights: file name of an ArcFace ONNX model.
    """

    name = "nearest person"
    higher_is_better = True
    needs = (EMBEDDING,)
    reference = "truth"

    def __init__(self, weights: str = EMBEDDING):
        self.weights = weights
        self._real: list[np.ndarray] = []
        self._scored: list[np.ndarray] = []

    @property
    def family(self) -> str:
        """The network."""
        return self.weights

    def features(self, images: torch.Tensor) -> np.ndarray:
        """(B, 3, H, H) -> (B, 128)."""
        return embed(images, self.weights)

    def add(self, vectors: np.ndarray, real: bool = False) -> None:
        """Add the features of images, (B, d), to the truths (`real`) or to the scored set, in the same order."""
        (self._real if real else self._scored).append(np.asarray(vectors, np.float64))

    def compute(self) -> float:
        """The share, 0 to 1.

        Raises:
            ValueError: the sets do not belong together, or are empty.

        Example:
            >>> metric = NearestPerson()
            >>> metric.add(np.array([[1.0, 0.0], [0.0, 1.0]]), real=True)
            >>> metric.add(np.array([[2.0, 1.0], [3.0, 1.0]]))  # both are nearest to the first
            >>> metric.compute()
            0.5
        """
        return float(self._found().mean())

    def without(self) -> np.ndarray:
        """(n,) the share without each of the n pictures in turn, NaN for one; the truths stay; errors as `compute`."""
        found = self._found()
        n = len(found)
        return (found.sum() - found) / (n - 1) if n > 1 else np.full(n, np.nan)

    def _found(self) -> np.ndarray:
        """(n,) 1 where a picture is nearest to its own truth, else 0."""
        real, scored = (np.concatenate(vectors or [np.zeros((0, 1))]) for vectors in (self._real, self._scored))
        if len(real) != len(scored) or not len(real):
            raise ValueError(f"{self.name} needs a truth for each picture; got {len(real)} for {len(scored)}.")
        real, scored = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (real, scored))
        return ((scored @ real.T).argmax(1) == np.arange(len(real))).astype(float)
