"""How far the landmarks of a face have moved: the paper's LMD, and the same by InsightFace's 106 points."""

from functools import lru_cache

import cv2
import numpy as np
import torch

from difface.images import to_uint8
from difface.metrics.base import PairMetric

FAN = "alignment_WFLW_4HG.pth"
LANDMARKS_106 = "2d106det.onnx"

FACE_BOX = (0.24, 0.17, 0.77, 0.92)
"""Left, top, right, bottom of the face in FFHQ alignment, of side 1: the mean of SCRFD's boxes of 105 portraits, whose
standard deviation is 0.03."""


@lru_cache(maxsize=2)
def _fan(device: torch.device) -> torch.nn.Module:
    """The stacked hourglasses, (B, 3, 256, 256) in [0, 1] -> list of (B, 99, 64, 64) and what else is not used here."""
    try:
        from facexlib.alignment.awing_arch import FAN as Network
    except ImportError as error:
        raise ImportError(
            f"LMD needs the package facexlib ({error}); get it with: pip install -r requirements-paper.txt"
        ) from error
    from difface.weights import find, load_state_dict

    network = Network(num_modules=4, num_landmarks=98, device=device)
    network.load_state_dict(load_state_dict(find(FAN)))
    return network.eval().to(device)


@lru_cache(maxsize=1)
def _landmarks_106():
    from insightface.model_zoo.landmark import Landmark

    from difface.weights import find

    return Landmark(str(find(LANDMARKS_106)))


def points_98(images: torch.Tensor) -> torch.Tensor:
    """The 98 landmarks of WFLW by the adaptive wing FAN, as VQFR's script has them: on the whole picture, not cropped.

    Args:
        images: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 98, 2) float64, x and y in pixels of the images.

    Raises:
        ImportError: facexlib is not installed.
        difface.weights.WeightMissing: the checkpoint is not there.
    """
    network = _fan(images.device)
    resized = np.stack([cv2.resize(to_uint8(image), (256, 256)) for image in images])
    with torch.inference_mode():
        stacks, _ = network(torch.from_numpy(resized).to(images.device).permute(0, 3, 1, 2).float() / 255)
    height, width = images.shape[-2:]
    return decode(stacks[-1][:, :-1]) * torch.tensor([width, height], dtype=torch.float64, device=images.device) / 64


def decode(heatmaps: torch.Tensor) -> torch.Tensor:
    """Peaks of heatmaps: the largest pixel, a quarter towards the larger of its two neighbours, plus a half.

    At the border, where one neighbour is missing, there is no step along that axis.

    Args:
        heatmaps: (B, K, H, W).

    Returns:
        (B, K, 2) float64, x and y in pixels of the heatmaps, the centre of the first pixel at 0.5.

    Example:
        >>> heatmap = torch.zeros(1, 1, 5, 5)
        >>> heatmap[0, 0, 2, 3], heatmap[0, 0, 2, 2] = 1.0, 0.5  # the peak at x 3, y 2, and its left neighbour
        >>> decode(heatmap)
        tensor([[[3.2500, 2.5000]]], dtype=torch.float64)
    """
    height, width = heatmaps.shape[-2:]
    flat = heatmaps.flatten(2)
    peak = flat.argmax(2)
    x, y = peak % width, peak // width

    def step(at: torch.Tensor, stride: int, size: int) -> torch.Tensor:
        inside = (at > 0) & (at < size - 1)
        before, after = (flat.gather(2, (peak + k * inside)[..., None])[..., 0] for k in (-stride, stride))
        return (after - before).sign() / 4

    return torch.stack([x + step(x, 1, width), y + step(y, width, height)], 2).double() + 0.5


def points_106(faces: torch.Tensor) -> np.ndarray:
    """InsightFace's 106 landmarks of faces in FFHQ alignment; the box is `FACE_BOX`, nothing is detected.

    Args:
        faces: (B, 3, H, H) in [0, 1].

    Returns:
        (B, 106, 2), x and y in pixels of the images.

    Raises:
        difface.weights.WeightMissing: the model is not there.
    """
    from insightface.app.common import Face

    box = np.array(FACE_BOX) * faces.shape[-1]
    crops = (np.ascontiguousarray(to_uint8(face)[:, :, ::-1]) for face in faces)
    return np.stack([_landmarks_106().get(crop, Face(bbox=box)) for crop in crops])


class LMD(PairMetric):
    """Mean distance between the 98 landmarks of the restored and the true face, in pixels of the given images.

    LMD = (1 / 98) sum_k |p_k - q_k| by the protocol of VQFR's script; the paper's images have 512 pixels. It is not
    divided by the distance between the eyes.
    """

    name = "LMD"
    higher_is_better = False
    needs = (FAN,)

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(B,) in pixels."""
        return (points_98(restored) - points_98(truth)).norm(dim=2).mean(1)


class LMD106(PairMetric):
    """Mean distance between InsightFace's 106 landmarks, in pixels of the given images, which are in FFHQ alignment.

    This is not the paper's LMD, which has other points of another network.
    """

    name = "LMD-106"
    higher_is_better = False
    needs = (LANDMARKS_106,)

    def score(self, restored: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
        """(B,) in pixels."""
        return np.linalg.norm(points_106(restored) - points_106(truth), axis=2).mean(1)
