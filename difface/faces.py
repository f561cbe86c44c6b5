"""Faces in photos: find them, align them by five points as FFHQ is aligned, paste them back."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from skimage.transform import SimilarityTransform

from difface import detection
from difface.images import ImageError, to_rgb
from difface.search import search
from difface.template import FFHQ_TEMPLATE, resized, turn_of, warp

JITTER_SCALE, JITTER_ANGLE, JITTER_SHIFT = 0.025, 0.025, 0.012
"""Standard deviations of `jittered`: of 1, in radians, and of the aligned square's side: slight, so that samples do not show it."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face found in a photo; all in pixels of that photo.

    Attributes:
        box: left, top, right, bottom.
        points: (5, 2) in the order of `FFHQ_TEMPLATE`; None where no orientation agrees on which way is up.
        score: the detector's confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    points: np.ndarray | None
    score: float

    @property
    def side(self) -> float:
        """Side of the face's aligned square, in pixels of the photo; of its box, where there are no points."""
        if self.points is None:
            return max(self.box[2] - self.box[0], self.box[3] - self.box[1])
        return 1 / SimilarityTransform.from_estimate(self.points, FFHQ_TEMPLATE).scale

    @property
    def turn(self) -> float | None:
        """By how many degrees the face is turned clockwise from upright, in (-180, 180]; None where it is not known."""
        return None if self.points is None else turn_of(self.points)


def find_faces(image: Image.Image, threshold: float = 0.5, *, glance: bool = False) -> list[Face]:
    """All faces of a photo, however they are turned, in reading order, by the detector that `difface.detection` names.

    Args:
        image: a photo; small ones are enlarged for the detector, large ones are seen in tiles.
        threshold: least confidence in [0, 1].
        glance: look for faces that fill the picture only, which is quick.

    Raises:
        difface.weights.WeightError: SCRFD's file is there, but is not what it should be; or there is no detector at all.
    """
    boxes, scores, points = search(np.asarray(to_rgb(image)), detection.detector(), threshold, glance=glance)
    found = [
        Face(tuple(map(float, box)), None if np.isnan(five).any() else five, float(score))
        for box, five, score in zip(boxes, points, scores, strict=True)
    ]
    return in_reading_order(found)


def in_reading_order(found: list[Face]) -> list[Face]:
    """Faces row by row from the top, each row from the left: a face whose centre is above the bottom of the highest that is left
    belongs to its row."""
    left, ordered = sorted(found, key=lambda face: face.box[1] + face.box[3]), []
    while left:
        bottom = left[0].box[3]
        row = [face for face in left if (face.box[1] + face.box[3]) / 2 < bottom]
        ordered += sorted(row, key=lambda face: face.box[0] + face.box[2])
        left = left[len(row) :]
    return ordered


def largest(faces: list[Face]) -> Face:
    """The face with the largest box, of those whose orientation is known.

    Raises:
        ImageError: there is none.
    """
    known = [face for face in faces if face.points is not None]
    if faces and not known:
        raise ImageError(
            "which way is up could not be told of any face; an upright photo is accepted: turn it upright."
        )
    if not known:
        raise ImageError("no face was found; a photo with a face is accepted: use another.")
    return max(known, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))


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
    """Side of a crop with a margin, for training at `size` pixels: twice the aligned square's side and an eighth of that around it."""
    return 5 * size // 2


def margin_points(size: int) -> np.ndarray:
    """(5, 2), where a crop with a margin has the face's points, in its pixels."""
    return FFHQ_TEMPLATE * 2 * size + size / 4


def jittered(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points that align a face slightly otherwise, so that a training set holds it as other photos would.

    Args:
        points: (5, 2) in pixels of the photo.
        rng: of the normal deviations: `JITTER_SCALE` of the size, `JITTER_ANGLE` of the rotation, `JITTER_SHIFT` of the place.

    Returns:
        (5, 2), the points turned, scaled and shifted together.
    """
    scale, angle = 1 + JITTER_SCALE * rng.standard_normal(), JITTER_ANGLE * rng.standard_normal()
    side = 1 / SimilarityTransform.from_estimate(points, FFHQ_TEMPLATE).scale
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = points.mean(0)
    return (points - centre) @ turn.T + centre + JITTER_SHIFT * side * rng.standard_normal(2)


def paste(photo: np.ndarray, crop: np.ndarray, points: np.ndarray) -> None:
    """Put an aligned crop back where it came from, into `photo` itself, its edge fading into what is there.

    Args:
        photo: (H, W, 3) uint8; changed within the face's square only.
        crop: (size, size, 3) uint8, in FFHQ alignment.
        points: (5, 2), the face's points in the photo.
    """
    transform = SimilarityTransform.from_estimate(points, FFHQ_TEMPLATE * len(crop))
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
    part[...] = np.rint(alpha * back + (1 - alpha) * part)


def _extent(to_crop: np.ndarray, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of a photo (H, W, 3) that a (2, 3) matrix maps into a crop of this size."""
    from_crop = cv2.invertAffineTransform(to_crop)
    corners = np.array([[x, y, 1] for x in (-1, size) for y in (-1, size)]) @ from_crop.T
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, shape[1::-1])
    return left, top, right, bottom


def feather(size: int) -> np.ndarray:
    """(size, size) in [0, 1]: 1 on the head, 0 in the corners and at the edge, smooth between.

    The head is a superellipse |x|^3 + |y|^3 = 1 as high as the square and 0.92 of its width, what is around it remains the
    photo's own; the outer quarter of its radius fades.
    """
    y, x = np.abs(np.mgrid[:size, :size] + 0.5 - size / 2) / (np.array([0.5, 0.46])[:, None, None] * size)
    ramp = np.clip((1 - np.cbrt(x**3 + y**3)) / 0.25, 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
