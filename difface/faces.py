"""Faces in photos: find them, align them by five points as FFHQ is aligned, paste them back."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import cv2
import numpy as np
from PIL import Image
from skimage.transform import SimilarityTransform

from difface.images import ImageError

DETECTOR = "scrfd_2.5g_bnkps.onnx"

FFHQ_TEMPLATE = (
    np.array(
        [
            [192.98138, 239.94708],
            [318.90277, 240.1936],
            [256.63416, 314.01935],
            [201.26117, 371.41043],
            [313.08905, 371.15118],
        ]
    )
    / 512
)
"""Left eye, right eye, nose tip and mouth corners (left and right as seen in the picture) in an aligned face of side 1."""


@dataclass(frozen=True)
class Face:
    """A face found in a photo; all in pixels of that photo.

    Attributes:
        box: left, top, right, bottom.
        points: (5, 2) in the order of `FFHQ_TEMPLATE`.
        score: the detector's confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    points: np.ndarray
    score: float

    @property
    def side(self) -> float:
        """Side of the face's aligned square, in pixels of the photo."""
        return 1 / SimilarityTransform.from_estimate(self.points, FFHQ_TEMPLATE).scale


@lru_cache(maxsize=1)
def _detector():
    from insightface.model_zoo.scrfd import SCRFD

    from difface.weights import find

    detector = SCRFD(str(find(DETECTOR)))
    detector.prepare(ctx_id=-1, input_size=(640, 640))
    return detector


def find_faces(image: Image.Image, threshold: float = 0.5) -> list[Face]:
    """All faces of a photo by InsightFace's SCRFD, the surest first.

    The detector sees the photo scaled so that its longer side is 640 pixels: small photos are enlarged.

    Args:
        image: upright RGB photo.
        threshold: least confidence in [0, 1].

    Raises:
        difface.weights.WeightMissing: the detector's weights are not there.
    """
    bgr = np.asarray(image.convert("RGB"))[:, :, ::-1]
    boxes, points = _detector().detect(np.ascontiguousarray(bgr), det_thresh=threshold)
    return [Face(tuple(map(float, box[:4])), five, float(box[4])) for box, five in zip(boxes, points, strict=True)]


def largest(faces: list[Face]) -> Face:
    """The face with the largest box.

    Raises:
        ImageError: there is none.
    """
    if not faces:
        raise ImageError("no face was found; a photo with a face is accepted: use another.")
    return max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))


def align(image: Image.Image, points: np.ndarray, size: int) -> Image.Image:
    """Crop a face so that its points come to lie on the FFHQ template.

    Args:
        image: upright RGB photo.
        points: (5, 2) in pixels of the photo, in the order of `FFHQ_TEMPLATE`.
        size: side of the crop in pixels.

    Returns:
        RGB crop, `size` x `size`; what lies outside the photo repeats its edge.
    """
    return Image.fromarray(warp(np.asarray(image.convert("RGB")), points, FFHQ_TEMPLATE * size, size))


def warp(array: np.ndarray, points: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Map `points` of an image onto `target` by the least-squares similarity (rotation, scale, shift).

    Args:
        array: (H, W, 3) uint8.
        points, target: (n, 2), x and y in pixels, of the image and of the result.
        size: side of the result.

    Returns:
        (size, size, 3) uint8. When the image shrinks, it is warped at a multiple of the size and then averaged, so
        that nothing aliases.
    """
    transform = SimilarityTransform.from_estimate(points, target)
    times = max(1, ceil(1 / transform.scale))
    large = cv2.warpAffine(
        array,
        _resized(transform, times),
        (size * times, size * times),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else large


def paste(photo: np.ndarray, crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Put an aligned crop back where it came from, its edge fading into the photo.

    Args:
        photo: (H, W, 3) uint8.
        crop: (size, size, 3) uint8, in FFHQ alignment.
        points: (5, 2), the face's points in the photo.

    Returns:
        (H, W, 3) uint8.
    """
    transform = SimilarityTransform.from_estimate(points, FFHQ_TEMPLATE * len(crop))
    size, (height, width) = max(1, len(crop) // max(1, int(transform.scale))), photo.shape[:2]
    to_crop = _resized(transform, size / len(crop))
    if size < len(crop):  # the face is smaller in the photo: average first, so that nothing aliases
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(crop, to_crop, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(_feather(size), to_crop, (width, height), flags=flags)[..., None]
    return np.rint(alpha * back + (1 - alpha) * photo).astype(np.uint8)


def _resized(transform: SimilarityTransform, ratio: float) -> np.ndarray:
    """(2, 3) matrix of a transform whose result is then resized: pixel i, centred at i + 0.5, goes to (i + 0.5) ratio - 0.5."""
    matrix = transform.params[:2] * ratio
    matrix[:, 2] += (ratio - 1) / 2
    return matrix


def _feather(size: int) -> np.ndarray:
    """(size, size) in [0, 1]: 0 at the edge, 1 from an eighth of the side inwards, smooth between."""
    inwards = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size)) / size * 8
    ramp = np.clip(inwards, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return np.outer(ramp, ramp).astype(np.float32)
