"""A face's five points: where FFHQ has them, and how a face is cut out and pasted back by them."""

from math import ceil

import cv2
import numpy as np
from PIL import Image
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
"""Left eye, right eye, nose tip and mouth corners (left and right as seen) in an aligned face of side 1."""
JITTER_SCALE, JITTER_ANGLE, JITTER_SHIFT = 0.025, 0.025, 0.012
"""Standard deviations of what `jittered` does: to the size (as a part of it), to the angle (in radians) and to the
place (as a part of the aligned square's side). They are small, so that samples do not show them."""


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
    transform = similarity(points, target)
    times = max(1, ceil(1 / transform.scale))
    large = cv2.warpAffine(
        array,
        resized(transform, times),
        (size * times, size * times),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else large


def similarity(points: np.ndarray, target: np.ndarray) -> SimilarityTransform:
    """The least-squares similarity (rotation, scale, shift) that maps `points` onto `target`, both (n, 2).

    Raises:
        ValueError: the points are all one.
    """
    transform = SimilarityTransform.from_estimate(points, target)
    if not isinstance(transform, SimilarityTransform):
        raise ValueError(f"a face's points must be different ones; got {np.asarray(points).tolist()}: choose others.")
    return transform


def resized(transform: SimilarityTransform, ratio: float) -> np.ndarray:
    """(2, 3) matrix of a transform and a resize: pixel i, centred at i + 0.5, goes to (i + 0.5) ratio - 0.5."""
    matrix = transform.params[:2] * ratio
    matrix[:, 2] += (ratio - 1) / 2
    return matrix


def turn_of(points: np.ndarray) -> float:
    """By how many degrees a face is turned clockwise from upright, (-180, 180]: of the similarity to `FFHQ_TEMPLATE`.

    Args:
        points: (5, 2), x and y in pixels, in the order of `FFHQ_TEMPLATE`.
    """
    return -float(np.degrees(similarity(points, FFHQ_TEMPLATE).rotation))


def align(image: Image.Image, points: np.ndarray, size: int, margin: bool = False) -> Image.Image:
    """Crop a face so that its points come to lie on the FFHQ template.

    Args:
        image: upright RGB photo.
        points: (5, 2) in pixels of the photo, in the order of `FFHQ_TEMPLATE`.
        size: side of the crop in pixels.
        margin: cut a crop with a margin instead, see `margin_side`.

    Returns:
        RGB crop, `size` x `size`, or `margin_side(size)` each way; what lies outside the photo repeats its edge.
    """
    target, side = (margin_points(size), margin_side(size)) if margin else (FFHQ_TEMPLATE * size, size)
    return Image.fromarray(warp(np.asarray(image.convert("RGB")), points, target, side))


def margin_side(size: int) -> int:
    """Side of a crop with a margin, for training at `size` pixels: the aligned square at twice that size, and an eighth
    of its side around it."""
    return 5 * size // 2


def margin_points(size: int) -> np.ndarray:
    """Where the face's points are in a crop with a margin: (5, 2), in pixels of the crop."""
    return FFHQ_TEMPLATE * 2 * size + size / 4


def jittered(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points that align a face slightly differently, as if it came from another photo; for training.

    Args:
        points: (5, 2) in pixels of the photo.
        rng: of the normal deviations: `JITTER_SCALE` of the size, `JITTER_ANGLE` of the rotation, `JITTER_SHIFT` of the
            place.

    Returns:
        (5, 2), the points turned, scaled and shifted together.
    """
    scale, angle = 1 + JITTER_SCALE * rng.standard_normal(), JITTER_ANGLE * rng.standard_normal()
    side = 1 / similarity(points, FFHQ_TEMPLATE).scale
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = points.mean(0)
    return (points - centre) @ turn.T + centre + JITTER_SHIFT * side * rng.standard_normal(2)


def paste(photo: np.ndarray, crop: np.ndarray, points: np.ndarray, strength: float = 1.0) -> None:
    """Put an aligned crop back where it came from, into `photo` itself, its edge fading into what is there.

    Args:
        photo: (H, W, 3) uint8; changed within the face's square only.
        crop: (size, size, 3) uint8, in FFHQ alignment.
        points: (5, 2), the face's points in the photo.
        strength: in [0, 1], how much of the crop is seen; the rest is the photo's own.
    """
    transform = similarity(points, FFHQ_TEMPLATE * len(crop))
    size = max(1, len(crop) // max(1, int(transform.scale)))
    to_crop = resized(transform, size / len(crop))
    if size < len(crop):  # the face is smaller in the photo: average first, so that nothing aliases
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    left, top, right, bottom = _extent(to_crop, size, photo.shape)
    if right <= left or bottom <= top:
        return
    part = photo[top:bottom, left:right]
    to_crop[:, 2] += to_crop[:, :2] @ [left, top]
    flags, shape = cv2.WARP_INVERSE_MAP, part.shape[1::-1]
    back = cv2.warpAffine(crop, to_crop, shape, flags=flags | cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(feather(size), to_crop, shape, flags=flags | cv2.INTER_LINEAR)[..., None]
    alpha = strength * alpha
    part[...] = np.rint(alpha * back + (1 - alpha) * part)


def _extent(to_crop: np.ndarray, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of a photo (H, W, 3) that a (2, 3) matrix maps into such a crop."""
    from_crop = cv2.invertAffineTransform(to_crop)
    corners = np.array([[x, y, 1] for x in (-1, size) for y in (-1, size)]) @ from_crop.T
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, shape[1::-1])
    return left, top, right, bottom


def feather(size: int) -> np.ndarray:
    """(size, size) in [0, 1]: 1 on the head, 0 in the corners and at the edge, smooth between.

    The head is a superellipse |x|^3 + |y|^3 = 1 as high as the square and 0.92 of its width, what is around it remains
    the photo's own; the outer quarter of its radius fades.
    """
    y, x = np.abs(np.mgrid[:size, :size] + 0.5 - size / 2) / (np.array([0.5, 0.46])[:, None, None] * size)
    ramp = np.clip((1 - np.cbrt(x**3 + y**3)) / 0.25, 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
