"""The FFHQ template of five points, and the warp that brings a face's points onto a template."""

from math import ceil

import cv2
import numpy as np
from skimage.transform import SimilarityTransform

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
        resized(transform, times),
        (size * times, size * times),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else large


def resized(transform: SimilarityTransform, ratio: float) -> np.ndarray:
    """(2, 3) matrix of a transform whose result is then resized: pixel i, centred at i + 0.5, goes to (i + 0.5) ratio - 0.5."""
    matrix = transform.params[:2] * ratio
    matrix[:, 2] += (ratio - 1) / 2
    return matrix


def turn_of(points: np.ndarray) -> float:
    """By how many degrees a face is turned clockwise from upright, in (-180, 180]: of the similarity to `FFHQ_TEMPLATE`.

    Args:
        points: (5, 2), x and y in pixels, in the order of `FFHQ_TEMPLATE`.
    """
    return -float(np.degrees(SimilarityTransform.from_estimate(points, FFHQ_TEMPLATE).rotation))
