"""Face detectors on plain arrays: InsightFace's SCRFD, which needs its weights, and scikit-image's LBP cascade, which is part of it."""

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from difface import weights

SCRFD = ("scrfd_2.5g_bnkps.onnx", "det_10g.onnx")
"""Networks of one kind; the first that is here is taken. The second can be fetched."""

TILE = 640
"""Side in pixels of what SCRFD sees at once."""
OVERLAP = 160
"""Of neighbouring tiles: any face up to this many pixels is whole in one of them."""
FINEST = 2560
"""Longer side in pixels up to which a photo is looked at in full detail; larger ones are shrunk to it."""
COARSEST = 192
"""Longer side in pixels at which faces that fill the photo are found: at `TILE` pixels they are too large for SCRFD."""

CASCADE_SIDES = (640, 1280)
"""A photo whose longer side is outside this range is enlarged or shrunk to it for the cascade."""
WINDOW = 24
"""Side in pixels of the cascade's smallest window."""
HALF = 5
"""Windows that must agree on a face for a score of 0.5. With it, of 45 boxes in eight group photos none was wrong and 6 faces
(of 51) were missed; with 4, two of 48 were wrong."""


def scrfd(photo: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces by SCRFD: the whole photo at two sizes, and larger ones again tile by tile, so that faces of all sizes are seen.

    Args:
        photo: (H, W, 3) uint8 RGB.
        threshold: least confidence in [0, 1].

    Returns:
        Boxes (n, 4) as left, top, right, bottom; confidences (n,); points (n, 5, 2), eyes, nose tip and mouth corners. In
        pixels of the photo, the surest first.

    Raises:
        difface.weights.WeightError: the detector's weights are not there, or are not what they should be.
    """
    detector = _scrfd(str(weights.find_any(*SCRFD)))
    found = []
    for view, shift, scale, inner in _views(photo):
        boxes, points = detector.detect(view, view.shape[:2], det_thresh=threshold)
        whole = ~_cut(boxes[:, :4], inner)
        corners = boxes[whole, :4].reshape(-1, 2, 2)
        # Pixel i is centred at i + 0.5 in every size of the photo.
        back = [(part + shift + 0.5) / scale - 0.5 for part in (corners, points[whole])]
        found.append(np.concatenate([back[0].reshape(-1, 4), boxes[whole, 4:], back[1].reshape(-1, 10)], 1))
    found = np.concatenate(found)
    found = found[_distinct(found[:, :4], found[:, 4])]
    return found[:, :4], found[:, 4], found[:, 5:].reshape(-1, 5, 2)


@lru_cache(maxsize=1)
def _scrfd(path: str):
    from insightface.model_zoo.scrfd import SCRFD as Detector

    detector = Detector(path)
    detector.prepare(ctx_id=-1, input_size=(TILE, TILE))
    return detector


def _views(photo: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """What the detector sees: the whole photo at `COARSEST` and at `TILE` pixels, then tiles of it at up to `FINEST`.

    Yields:
        BGR picture, square, empty space black; its place (2,) in the resized photo, and that photo's size over
        the original's (2,), both as x, y; and the edges of the view (left, top, right, bottom) at which faces are cut,
        infinite where the photo itself ends.
    """
    longest = max(photo.shape[:2])
    for side in [COARSEST, TILE] + [min(longest, FINEST)] * (longest > TILE):
        resized = _resized(photo, side / longest)
        height, width = resized.shape[:2]
        scale = np.array([width / photo.shape[1], height / photo.shape[0]])
        for top in _starts(height):
            for left in _starts(width):
                view = np.zeros((min(side, TILE), min(side, TILE), 3), np.uint8)
                part = resized[top : top + TILE, left : left + TILE, ::-1]
                view[: part.shape[0], : part.shape[1]] = part
                inner = np.array([left > 0, top > 0, left + TILE < width, top + TILE < height])
                edges = np.where(inner, [0, 0, TILE, TILE], [-np.inf, -np.inf, np.inf, np.inf])
                yield view, np.array([left, top]), scale, edges


def _starts(length: int) -> list[int]:
    """First pixels of tiles that cover a side of this length."""
    if length <= TILE:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(k * (length - TILE) / (count - 1)) for k in range(count)]


def _cut(boxes: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(n,) whether a box reaches one of the edges; a neighbouring tile, or the whole photo, shows that face complete."""
    return (boxes[:, :2] <= edges[:2] + 1).any(1) | (boxes[:, 2:] >= edges[2:] - 1).any(1)


def _resized(photo: np.ndarray, ratio: float) -> np.ndarray:
    height, width = (max(1, round(side * ratio)) for side in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC)


def lbp(photo: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Upright frontal faces by scikit-image's LBP cascade; needs no weights, and finds neither points nor turned heads.

    The cascade answers for each of many windows. Windows that lie on each other are one face, and n of them give it the
    score n / (n + `HALF`).

    Args:
        photo: (H, W, 3) uint8 RGB.
        threshold: least score in [0, 1]; below 0.5 many boxes are not faces.

    Returns:
        Boxes (n, 4) as left, top, right, bottom in pixels of the photo, none over another; scores (n,), the surest first.
    """
    longest = max(photo.shape[:2])
    resized = _resized(photo, float(np.clip(longest, *CASCADE_SIDES)) / longest)
    scale = np.array([resized.shape[1] / photo.shape[1], resized.shape[0] / photo.shape[0]] * 2)
    shorter = min(resized.shape[:2])
    if shorter < WINDOW:
        return np.empty((0, 4)), np.empty(0)
    # An intersection above 1 keeps scikit-image from merging windows: it would not tell how many there were.
    windows = _cascade().detect_multi_scale(
        resized,
        1.1,
        1.5,
        (WINDOW, WINDOW),
        (shorter, shorter),
        min_neighbor_number=0,
        intersection_score_threshold=1.01,
    )
    boxes, counts = _merged(np.array([[w["c"], w["r"], w["c"] + w["width"], w["r"] + w["height"]] for w in windows]))
    scores = counts / (counts + HALF)
    sure = scores >= threshold
    return boxes[sure] / scale, scores[sure]


@lru_cache(maxsize=1)
def _cascade():
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _merged(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, 4) to boxes (m, 4), the mean of those on each other, and how many (m,); the largest groups first."""
    left, boxes, counts = windows.reshape(-1, 4).astype(float), [], []
    near = np.array([_overlap(window, left)[0] > 0.4 for window in left]).reshape(len(left), len(left))
    while len(left):
        first = near.sum(1).argmax()
        boxes.append(left[near[first]].mean(0))
        counts.append(near[first].sum())
        apart = _overlap(left[first], left)[1] <= 0.3
        left, near = left[apart], near[apart][:, apart]
    return np.array(boxes).reshape(-1, 4), np.array(counts, float)


def _distinct(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Which boxes to keep so that none lies on a surer one: their indices, the surest first."""
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        union, smaller = _overlap(boxes[k], boxes[kept])
        if not ((union > 0.4) | (smaller > 0.7)).any():
            kept.append(int(k))
    return kept


def _overlap(box: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) area shared by a box and each of (n, 4) others, over their union, and over the smaller of the two."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(1)
    area, areas = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(1)
    return shared / (area + areas - shared), shared / np.minimum(area, areas)
