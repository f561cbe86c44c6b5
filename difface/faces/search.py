"""Where faces are in a photo: it is searched at several sizes, tile by tile, in four orientations; then each face is
looked at again by itself in four orientations, and points count only where these agree on which way is up."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from skimage.transform import SimilarityTransform

from difface.faces.align import FFHQ_TEMPLATE, similarity, turn_of, warp

Detector = Callable[[np.ndarray, float], np.ndarray]
"""View (H, W, 3) uint8 RGB, least confidence in [0, 1] -> (n, 15): left, top, right, bottom, confidence, and x and y of
eyes, nose tip and mouth corners (left and right as seen in the view), in pixels of the view."""
MULTIPLE = 32
"""Both sides of a view are multiples of this."""
COARSEST = 192
"""Longer side in pixels at which faces that fill the photo are found: at `TILE` pixels they are too large for SCRFD."""
TILE = 640
"""Longer side in pixels at which a whole photo is seen at once."""
WIDEST = 1056
"""Longest side in pixels of a tile of a photo in full detail: the larger, the less is seen twice."""
OVERLAP = 160
"""Of neighbouring tiles: any face up to this many pixels is whole in one of them."""
FINEST = 1920
"""Longer side in pixels up to which a photo is looked at in full detail; larger ones are shrunk to it."""

FAINT = 0.3
"""Least confidence of the first look: a face that is turned by 45 degrees gets little in any orientation."""
SIDEWAYS = 60
"""Degrees up to which an orientation may be the one to look for more faces of this kind in."""

AGAIN, PART = 96, 0.55
"""Side in pixels of the second look's pictures, and of the face's aligned square as a part of it. So small, faces that
are not upright get low scores: of 76 faces each was surest upright, by 0.08 at least with CenterFace and 0.22 with
SCRFD (at 160 pixels 1 and 0 were not)."""
DOUBLE = 0.4
"""Faces are one and the same up to this distance of their points' centres, in longer sides of the smaller box."""
LEAD = 0.04
"""Least lead of the second look's best orientation over one that contradicts it."""
APART = 45
"""Degrees between two turns of one face that contradict each other."""
UPRIGHT = 30
"""Degrees up to which the turn of points that are found anew may differ from what was known of it."""
TILTED = 10
"""Degrees from which points are found anew in the face turned upright: a detector's are less exact on tilted heads. Of
nine portraits turned by 20 degrees either way, the aligned square's corners were off those of the upright portrait by
4.3 instead of 5.8 % of its side with CenterFace, and by 1.9 instead of 2.6 % with SCRFD."""
CLOSE = 192
"""Side in pixels of the picture in which they are."""


def search(
    photo: np.ndarray, detect: Detector, threshold: float, *, glance: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All faces of a photo, however they are turned.

    Args:
        photo: (H, W, 3) uint8 RGB.
        detect: looks at one view.
        threshold: least confidence in [0, 1].
        glance: look for faces that fill the picture only, at `COARSEST` pixels.

    Returns:
        Boxes (n, 4) as left, top, right, bottom, scores (n,), and points (n, 5, 2) in the order of `FFHQ_TEMPLATE`, all
        in pixels of the photo. The points are NaN where no orientation agrees.
    """
    faint, longest = min(FAINT, threshold), max(photo.shape[:2])
    sides = (COARSEST,) if glance else (COARSEST, TILE)
    # Reduced once, not for every look: of 14 megapixels that took as long as the detector.
    least = _resized(photo, FINEST / longest) if longest > FINEST else photo
    found = _distinct(np.concatenate([_look(least, detect, faint, turn, sides) for turn in range(4)]))
    if longest > TILE and not glance:
        for turn in _turns(found):
            tiles = _look(least, detect, faint, turn, (min(longest, FINEST),))
            found = _distinct(np.concatenate([found, tiles]))
    found = _in_pixels_of(found, least, photo)
    again = [_again(photo, row, detect) for row in found]
    scores = np.array([score for score, _ in again])
    points = np.array([five for _, five in again]).reshape(-1, 5, 2)
    kept = [k for k in _without_doubles(found[:, :4], scores, points) if scores[k] >= threshold]
    return found[kept, :4], scores[kept], points[kept]


def _in_pixels_of(found: np.ndarray, reduced: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Rows (n, 16) of a reduced photo in pixels of the photo: pixel i is centred at i + 0.5 in both."""
    ratio = np.array(photo.shape[1::-1]) / reduced.shape[1::-1]
    places = (np.delete(found, (4, 15), 1).reshape(-1, 7, 2) + 0.5) * ratio - 0.5
    return np.concatenate(
        [places[:, :2].reshape(-1, 4), found[:, 4:5], places[:, 2:].reshape(-1, 10), found[:, 15:]], 1
    )


def _turns(found: np.ndarray) -> list[int]:
    """The orientations in which a photo is searched tile by tile. A photo is turned as a whole, so they are those of
    most of the faces (n, 16) that were found so far, and those with at least half as much confidence; all four if no
    face was found."""
    angles = np.array([turn_of(row[5:15].reshape(5, 2)) for row in found])
    sums = np.array([found[_difference(angles, 90 * turn) <= SIDEWAYS, 4].sum() for turn in range(4)])
    return np.flatnonzero(sums >= sums.max() / 2).tolist()


def _look(photo: np.ndarray, detect: Detector, threshold: float, turn: int, sides: tuple[int, ...]) -> np.ndarray:
    """What a detector finds in one orientation.

    Args:
        photo, detect, threshold: see `search`.
        turn: quarters of a turn anticlockwise, 0..3, by which the photo is turned before it is looked at.
        sides: longer sides in pixels at which it is looked at.

    Returns:
        (n, 16), as of a `Detector` but in pixels of the photo, and the turn.
    """
    turned = np.ascontiguousarray(np.rot90(photo, turn))
    found = [np.empty((0, 16))]
    for side in sides:
        for view, shift, scale, edges in _views(turned, side):
            rows = detect(view, threshold)
            rows = rows[~_cut(rows[:, :4], edges)]
            # Pixel i is centred at i + 0.5 in every size of the photo.
            places = (np.delete(rows, 4, 1).reshape(-1, 7, 2) + shift + 0.5) / scale - 0.5
            places = _turned_back(places, turn, photo.shape)
            corners, points = np.sort(places[:, :2], 1).reshape(-1, 4), places[:, 2:].reshape(-1, 10)
            found.append(np.concatenate([corners, rows[:, 4:5], points, np.full((len(rows), 1), turn)], 1))
    return np.concatenate(found)


def _views(photo: np.ndarray, side: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The photo with a longer side of `side` pixels, in tiles of up to `WIDEST` where that is more than `TILE`.

    Yields:
        RGB picture whose sides are multiples of `MULTIPLE`, empty space black; its place (2,) in the resized photo, and
        that photo's size over the original's (2,), both as x, y; and the edges of the view (left, top, right, bottom)
        at which faces are cut, infinite where the photo itself ends.
    """
    resized = _resized(photo, side / max(photo.shape[:2])) if side != max(photo.shape[:2]) else photo
    height, width = resized.shape[:2]
    high, wide = _tile(height), _tile(width)
    scale = np.array([width / photo.shape[1], height / photo.shape[0]])
    for top in _starts(height, high):
        for left in _starts(width, wide):
            part = resized[top : top + high, left : left + wide]
            view = np.zeros((*(-(-length // MULTIPLE) * MULTIPLE for length in part.shape[:2]), 3), np.uint8)
            view[: part.shape[0], : part.shape[1]] = part
            inner = np.array([left > 0, top > 0, left + wide < width, top + high < height])
            edges = np.where(inner, [0, 0, wide, high], [-np.inf, -np.inf, np.inf, np.inf])
            yield view, np.array([left, top]), scale, edges


def _tile(length: int) -> int:
    """Length of the tiles that cover a side: equal, a multiple of `MULTIPLE`, as few as `WIDEST` allows."""
    if length <= TILE:
        return length
    count = -(-(length - OVERLAP) // (WIDEST - OVERLAP))
    share = -(-(length - OVERLAP) // count)
    return -(-(share + OVERLAP) // MULTIPLE) * MULTIPLE


def _starts(length: int, tile: int) -> list[int]:
    """First pixels of tiles that cover a side of this length."""
    if length <= tile:
        return [0]
    count = -(-(length - OVERLAP) // (tile - OVERLAP))
    return [round(k * (length - tile) / (count - 1)) for k in range(count)]


def _cut(boxes: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(n,) whether a box reaches an edge; a neighbouring tile, or the whole photo, shows that face complete."""
    return np.logical_or((boxes[:, :2] <= edges[:2] + 1).any(1), (boxes[:, 2:] >= edges[2:] - 1).any(1))


def _resized(photo: np.ndarray, ratio: float) -> np.ndarray:
    height, width = (max(1, round(side * ratio)) for side in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC)


def _turned_back(places: np.ndarray, turn: int, shape: tuple[int, ...]) -> np.ndarray:
    """Places (..., 2) in a picture (H, W, 3) that was turned by `np.rot90(picture, turn)`, in the picture itself."""
    height, width = shape[:2]
    x, y = places[..., 0], places[..., 1]
    back = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))[int(turn)]
    return np.stack(back, -1)


def _again(photo: np.ndarray, row: np.ndarray, detect: Detector) -> tuple[float, np.ndarray]:
    """The second look at a face that the first look found.

    Args:
        photo, detect: see `search`.
        row: (16,), see `_look`.

    Returns:
        The mean of the scores of both looks (what looks like a face only once gets little), and the points (5, 2):
        those of the first look where the face is upright in that view, found anew where it is turned; NaN where no
        orientation agrees.
    """
    points, turn = row[5:15].reshape(5, 2), row[15]
    score, best = _surest(photo, points, detect)
    score = (score + row[4]) / 2
    if best is None:
        return score, np.full((5, 2), np.nan)
    if _apart(points, best) <= APART and _difference(turn_of(points), 90 * turn) <= TILTED:
        return score, points
    crop, to_photo = _upright(photo, best, CLOSE)
    close = _central(detect(crop, FAINT), CLOSE)
    if len(close):
        five = to_photo(close[0, 5:].reshape(5, 2))
        best = five if _apart(five, best) <= UPRIGHT else best
    return score, best


def _surest(photo: np.ndarray, points: np.ndarray, detect: Detector) -> tuple[float, np.ndarray | None]:
    """The score and the points (5, 2) that a detector is surest of when a face is looked at by itself in four
    orientations; None where it sees no face, or where one that contradicts it is as sure."""
    crop, to_photo = _upright(photo, points, AGAIN)
    seen, scores = [], []
    for turn in range(4):
        rows = _central(detect(np.ascontiguousarray(np.rot90(crop, turn)), FAINT), AGAIN)[:1]
        seen += list(_turned_back(rows[:, 5:].reshape(-1, 5, 2), turn, crop.shape))
        scores += list(rows[:, 4])
    if not seen:
        return 0.0, None
    best = int(np.argmax(scores))
    rivals = [score for score, other in zip(scores, seen, strict=True) if _apart(other, seen[best]) > APART]
    agreed = scores[best] - max(rivals, default=0) >= LEAD
    return scores[best], to_photo(seen[best]) if agreed else None


def _upright(photo: np.ndarray, points: np.ndarray, size: int) -> tuple[np.ndarray, SimilarityTransform]:
    """A square picture of a face turned upright by its points, and the way back from its pixels to the photo's."""
    target = ((FFHQ_TEMPLATE - 0.5) * PART + 0.5) * size
    return warp(photo, points, target, size), similarity(points, target).inverse


def _central(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows (n, 15) of a detector that show the face in the middle of a square picture, the nearest to it first."""
    distances = np.abs(rows[:, 5:].reshape(-1, 5, 2).mean(1) - size / 2).max(1, initial=0)
    order = np.argsort(distances, kind="stable")
    return rows[order[distances[order] < PART * size / 2]]


def _apart(points: np.ndarray, others: np.ndarray) -> float:
    """Degrees, 0..180, between the turns of two faces."""
    return _difference(turn_of(points), turn_of(others))


def _difference(angle, other):
    """Degrees, 0..180, between two angles or arrays of angles."""
    return abs((angle - other + 180) % 360 - 180)


def _distinct(rows: np.ndarray) -> np.ndarray:
    """The rows (n, 16) without those whose box lies on that of a better one, the best first: faces that are upright in
    their view before others, then the surest."""
    tilted = [_difference(turn_of(row[5:15].reshape(5, 2)), 90 * row[15]) > APART for row in rows]
    kept: list[int] = []
    for k in np.lexsort((-rows[:, 4], tilted)):
        union, smaller = _overlap(rows[k, :4], rows[kept, :4])
        if not ((union > 0.4) | (smaller > 0.7)).any():
            kept.append(int(k))
    return rows[kept]


def _without_doubles(boxes: np.ndarray, scores: np.ndarray, points: np.ndarray) -> list[int]:
    """Which faces to keep so that none is where a surer one is: the second look may find one face twice."""
    centres = np.where(np.isnan(points).any((1, 2))[:, None], boxes.reshape(-1, 2, 2).mean(1), points.mean(1))
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0)
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        near = np.minimum(sides[k], sides[kept]) * DOUBLE
        if (np.hypot(*(centres[k] - centres[kept]).T) >= near).all():
            kept.append(int(k))
    return kept


def _overlap(box: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) area shared by a box and each of (n, 4) others, over their union, and over the smaller of the two."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(1)
    area, areas = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(1)
    return shared / (area + areas - shared), shared / np.minimum(area, areas)
