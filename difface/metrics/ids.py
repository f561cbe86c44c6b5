"""Identity as the paper measures it: IDS ("Deg") with VQFR's grey ResNet-18, and the angle by InsightFace's ResNet-50."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch

from difface.images import to_uint8
from difface.metrics.base import PairMetric
from difface.metrics.identity import IdentityAngle, angle

RESNET_18 = "resnet18_110.pth"
RESNET_50 = "w600k_r50.onnx"


@lru_cache(maxsize=2)
def _network(name: str, device: torch.device) -> torch.nn.Module:
    from difface.models.arcface18 import ArcFace18
    from difface.weights import find, load_state_dict

    network = ArcFace18()
    network.load_state_dict(load_state_dict(find(name)))
    return network.eval().to(device)


def embed_grey(faces: torch.Tensor, weights: str = RESNET_18) -> np.ndarray:
    """Embeddings by ResNet-18 of whole grey pictures: nothing is detected, aligned or cropped.

    Args:
        faces: (B, 3, H, W) in [0, 1].
        weights: file name of a checkpoint of `difface.models.arcface18.ArcFace18`.

    Returns:
        (B, 512) float32, not normalised.

    Raises:
        difface.weights.WeightMissing: the checkpoint is not there.
    """
    network = _network(weights, faces.device)
    grey = torch.from_numpy(np.stack([_grey(face) for face in faces])).to(faces.device)
    with torch.inference_mode():
        return network((grey[:, None] - 127.5) / 127.5).cpu().numpy()


def _grey(face: torch.Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (128, 128) float32 in 0..255: a PNG read as grey by OpenCV, bilinear to 128.

    It goes through the PNG codec because that rounds grey down, where `cv2.cvtColor` rounds to nearest.
    """
    _, png = cv2.imencode(".png", to_uint8(face)[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    grey = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (128, 128), interpolation=cv2.INTER_LINEAR).astype(np.float32)


class IDS(PairMetric):
    """Angle in degrees between the embeddings of the restored and the true face, by the protocol of VQFR's script.

    Its network is `resnet18_110.pth`. GFPGAN's release has `arcface_resnet18.pth` of the same architecture, at a
    direct address; whether the numbers in the two files are equal is unverified: a table made with it says so.

    Attributes:
        values: all angles; the mean leaves out those below `IDENTICAL` degrees.

    Args:
        weights: file name of a checkpoint of `difface.models.arcface18.ArcFace18`.
    """

    name = "IDS"
    higher_is_better = False
    needs = (RESNET_18,)

    IDENTICAL = 1.0
    """Degrees below which the protocol takes two files for the same one."""

    def __init__(self, weights: str = RESNET_18):
        super().__init__()
        self.weights = weights

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
        """(B,) in degrees."""
        return angle(*(embed_grey(images, self.weights) for images in (restored, truth)))

    @classmethod
    def mean(cls, values: Sequence[float]) -> float:
        """Mean over the pairs that are not identical; NaN where there is none."""
        return super().mean([value for value in values if not value < cls.IDENTICAL])


class IDSR50(IdentityAngle):
    """`IdentityAngle` by InsightFace's ResNet-50: on faces in FFHQ alignment, on another scale than the paper's IDS."""

    name = "IDS-r50"
    needs = (RESNET_50,)

    def __init__(self, weights: str = RESNET_50):
        super().__init__(weights)
