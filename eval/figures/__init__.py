"""The paper's figures 3 to 15 and 17: each takes faces, a runner and options, and returns the picture and its table."""

from eval.figures.answers import figure_11, figure_17
from eval.figures.comparison import figure_9, figure_10
from eval.figures.contraction import figure_4, figure_5
from eval.figures.eta import figure_8
from eval.figures.faces import Faces, default_faces, read_faces
from eval.figures.inpainting import figure_12, figure_13
from eval.figures.reconstruction import figure_3
from eval.figures.severity import figure_7b, write_levels
from eval.figures.starts import figure_6, figure_7a
from eval.figures.style import save
from eval.figures.super_resolution import figure_14, figure_15

FIGURES = {
    "3": figure_3,
    "4": figure_4,
    "5": figure_5,
    "6": figure_6,
    "7a": figure_7a,
    "7b": figure_7b,
    "8": figure_8,
    "9": figure_9,
    "10": figure_10,
    "11": figure_11,
    "12": figure_12,
    "13": figure_13,
    "14": figure_14,
    "15": figure_15,
    "17": figure_17,
}
"""Number in the paper -> function (faces, runner, profile, *, options) -> (figure, table)."""

__all__ = ["FIGURES", "Faces", "default_faces", "read_faces", "save", "write_levels"]
