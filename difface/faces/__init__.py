"""Faces in photos: found (`detect`), aligned by five points as FFHQ is (`align`), restored and put back (`photo`)."""

from difface.faces.align import (
    FFHQ_TEMPLATE,
    align,
    jittered,
    margin_points,
    margin_side,
    paste,
    warp,
)
from difface.faces.detect import Face, detector_name, find_faces, largest

__all__ = [
    "FFHQ_TEMPLATE",
    "Face",
    "align",
    "detector_name",
    "find_faces",
    "jittered",
    "largest",
    "margin_points",
    "margin_side",
    "paste",
    "warp",
]
