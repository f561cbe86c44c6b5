"""The notebooks: what their cells call, and how they are executed and kept."""

from eval.notebooks.cells import (
    FACES,
    at_every_step,
    count,
    faces,
    kept_constraints,
    kept_table,
    pictures,
    show,
    slider,
    small_table,
    trend,
    trend_figure,
)

__all__ = [
    "FACES",
    "at_every_step",
    "count",
    "faces",
    "kept_constraints",
    "kept_table",
    "pictures",
    "show",
    "slider",
    "small_table",
    "trend",
    "trend_figure",
]
