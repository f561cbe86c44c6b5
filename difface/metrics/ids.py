"""Identity as the paper measures it: IDS ("Deg") with VQFR's grey ResNet-18, and InsightFace's ResNet-50 angle."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from difface.images import to_uint8
from difface.metrics.base import PairMetric
from difface.metrics.identity import IdentityAngle, angle
from difface.weights import WeightError, find_any, load_state_dict

RESNET_18 = ("resnet18_110.pth", "arcface_resnet18.pth")
"""File of VQFR's script, and one of the same architecture from GFPGAN's release; the first that is here is taken."""
RESNET_50 = "w600k_r50.onnx"


@lru_cache(maxsize=2)
def _network(file: Path, device: torch.device) -> torch.nn.Module:
    from difface.models.arcface18 import ArcFace18

    network = ArcFace18()
    network.load_state_dict(load_state_dict(file))
    return network.eval().to(device)


def embed_grey(faces: torch.Tensor) -> np.ndarray:
    """Embeddings by ResNet-18 of whole grey pictures: nothing is detected, aligned or cropped.

    Args:
        faces: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 512) float32, not normalised.

    Raises:
        difface.weights.WeightMissing: neither checkpoint of `RESNET_18` is there.
    """
    network = _network(find_any(*RESNET_18), faces.device)
    grey = torch.from_numpy(np.stack([_grey(face) for face in faces])).to(faces.device)
    with torch.inference_mode():
        return network((grey[:, None] - 127.5) / 127.5).cpu().numpy()


def _grey(face: torch.Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (128, 128) float32 in 0..255: a PNG read as grey by OpenCV, bilinear to 128.

    It goes through the PNG codec because that rounds grey down, where `cv2.cvtColor` rounds to nearest.
    """
    _, png = cv2.imencode(".png", to_uint8(face)[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    grey = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE)
    assert grey is not None, "a PNG of ours is one"
    return cv2.resize(grey, (128, 128), interpolation=cv2.INTER_LINEAR).astype(np.float32)


class IDS(PairMetric):
    """Angle in degrees between the embeddings of the restored and the true face, by the protocol of VQFR's script.

    Its network is `resnet18_110.pth`, where that is not here `arcface_resnet18.pth` of GFPGAN's release, which has the
    same architecture and a direct address. Whether the numbers in the two files are equal is unverified: a table made
    with the second says so, by `version`.

    Attributes:
        values: all angles; the mean leaves out those below `IDENTICAL` degrees.
    """

    name = "IDS"
    higher_is_better = False
    needs = RESNET_18

    IDENTICAL = 1.0
    """Degrees below which the protocol takes two files for the same one."""

    @property
    def version(self) -> str:
        """The network's name, where it is another than that of VQFR's script."""
        try:
            file = find_any(*self.needs)
        except WeightError:
            return ""
        return "" if file.name == self.needs[0] else file.stem

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
        """(B,) in degrees."""
        return angle(embed_grey(restored), embed_grey(truth))

    @staticmethod
    def counted(values: Sequence[float]) -> Sequence[float]:
        """The angles of the pairs that are not identical.

        Example:
            >>> IDS.counted([0.2, 31.0, 45.5])
            [31.0, 45.5]
        """
        return [value for value in values if not value < IDS.IDENTICAL]


class IDSR50(IdentityAngle):
    """`IdentityAngle` by InsightFace's ResNet-50: on faces in FFHQ alignment, on another scale than the paper's IDS."""

    name = "IDS-r50"
    needs = (RESNET_50,)

    def __init__(self, weights: str = RESNET_50):
        super().__init__(weights)
