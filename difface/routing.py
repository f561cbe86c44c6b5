"""What a picture is: one aligned face, to be restored as it is, or a photo, whose faces are found and pasted back."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from difface.chain import DEFAULT_ETA
from difface.faces import FFHQ_TEMPLATE, Face, find_faces
from difface.faces.align import similarity
from difface.faces.photo import restore_photo
from difface.images import ImageError, to_rgb
from difface.pipeline import DifFacePipeline

TOLERANCE, LOOSE = 0.12, 0.25
"""How far the corners of a face's aligned square are from those of the picture, on the average and as a part of its
side, up to which the picture is an aligned face; the second in small ones (`SMALL`), whose points are less sure. Of 20
real crops of 512 pixels it was at most 0.10, of 40 mildly and moderately degraded portraits at 64 pixels at most
0.24."""
SQUARE = 0.02
"""Difference of the sides, as a part of the longer one, up to which a picture counts as square."""
SMALL = 2
"""A square picture of up to this many times the model's size in which no face is found is an aligned face, too degraded
to be seen: of severely degraded portraits at 64 pixels the detectors find none."""
SCORE = 0.5
"""Least confidence of a face, unless another is asked for."""


class Route(NamedTuple):
    """How a picture is restored.

    Attributes:
        faces: those of a photo, in reading order; None of a picture that is one aligned face.
        note: one line where that was not seen but supposed, else empty.
    """

    faces: list[Face] | None
    note: str = ""


def route(picture: Image.Image, size: int, *, aligned: bool | None = None, min_score: float = SCORE) -> Route:
    """Whether a picture is one aligned face or a photo.

    A picture is an aligned face if it is square and a face in it has its points where `FFHQ_TEMPLATE` has them
    (`TOLERANCE`); or if it is square and small (`SMALL`) and no face is found. Anything else is a photo.

    Args:
        picture: any mode, any size.
        size: side in pixels at which the model works.
        aligned: True takes the picture as an aligned face, False as a photo; None looks.
        min_score: least confidence of a face, in [0, 1].

    Raises:
        ImageError: it is neither.
        difface.weights.WeightError: see `difface.faces.find_faces`.
    """
    if aligned:
        return Route(None)
    picture = to_rgb(picture)
    is_square = aligned is None and abs(picture.width - picture.height) <= SQUARE * max(picture.size)
    is_small = max(picture.size) <= SMALL * size
    tolerance = LOOSE if is_small else TOLERANCE
    if is_square and _is_on_template(picture, find_faces(picture, glance=True), tolerance):
        return Route(None)
    found = find_faces(picture, min_score)
    if is_square and _is_on_template(picture, found, tolerance):
        return Route(None)
    if not found and is_square and is_small:
        return Route(None, "no face was found, so the whole picture was taken as one aligned face.")
    if not found:
        raise ImageError(
            "no face was found in it; a photo with faces of 20 pixels or more, or one aligned face is accepted: if it "
            "is one aligned face, say so (--aligned, or Already aligned on the page)."
        )
    return Route(found)


def restore(
    pipeline: DifFacePipeline,
    picture: Image.Image,
    *,
    aligned: bool | None = None,
    min_score: float = SCORE,
    seed: int = 0,
    num_inference_steps: int | None = None,
    eta: float = DEFAULT_ETA,
    large: bool = False,
) -> tuple[Image.Image, dict]:
    """Restore any picture, as `python -m difface restore` does; the pipeline itself takes aligned faces only.

    Args:
        pipeline: ready to be called.
        picture: any mode, any size.
        aligned, min_score: as for `route`.
        seed: of every face.
        num_inference_steps, eta: as for the pipeline.
        large: as for `difface.faces.photo.restore_photo`.

    Returns:
        The picture at its size, and the `.info` of the pipeline or of `restore_photo`; `photo` in it says which.

    Raises:
        ImageError: the picture is neither an aligned face nor a photo with faces.
    """
    found = route(picture, pipeline.size, aligned=aligned, min_score=min_score).faces
    if found is None:
        generator = torch.Generator().manual_seed(seed)
        output = pipeline(picture, num_inference_steps, eta, generator)
        [restored] = output.images
        assert isinstance(restored, Image.Image)  # by its output type
        return restored, output.info | {"photo": False}
    result, info = restore_photo(
        pipeline, picture, found, seed=seed, num_inference_steps=num_inference_steps, eta=eta, large=large
    )
    return result, info | {"photo": True}


def _is_on_template(picture: Image.Image, found: list[Face], tolerance: float) -> bool:
    """Whether one of these faces lies in a square picture as an aligned face does."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    for face in found:
        if face.points is not None:
            to_picture = similarity(FFHQ_TEMPLATE, (face.points + 0.5) / picture.size)
            if np.linalg.norm(to_picture(corners) - corners, axis=1).mean() <= tolerance:
                return True
    return False
