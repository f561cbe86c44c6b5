"""Who it is: the angle between ArcFace embeddings of two aligned faces."""

from functools import lru_cache

import numpy as np
import torch

from difface.faces import FFHQ_TEMPLATE, warp
from difface.images import to_uint8
from difface.metrics.base import PairMetric

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
