"""Fig. 9 and 10: methods side by side, on synthetic inputs with their truth and on real ones without."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from difface import profiles
from difface.schedulers import FAST_CALLS
from eval.figures.faces import Faces, read_results
from eval.figures.restoring import MakePipeline, estimate, restore, start_of
from eval.figures.scores import PAIRS, Scorer, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled


@styled
def figure_9(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    begin_index: int | None = None,
    steps: int = 50,
    shown: int = 3,
    others: Mapping[str, Path] | None = None,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Synthetic inputs: y, other methods, f(y), DifFace with five calls of DPM-Solver++ (fast), DifFace, the truth.

    Args:
        faces: with truth.
        make, profile, estimator: whose networks.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces, a row each.
        others: a column's name -> folder of another method's answers, NAME.png for each face.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and method the network `calls` of the prior (unknown for other methods) and the scores.
    """
    faces.truth()
    return _comparison(faces.first(shown), make, profile, estimator, begin_index, steps, others, metrics)


@styled
def figure_10(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    begin_index: int | None = None,
    steps: int = 50,
    shown: int = 3,
    others: Mapping[str, Path] | None = None,
    metrics: Sequence[str] = (),
) -> tuple[Figure, pd.DataFrame]:
    """Real inputs: as Fig. 9 without a truth; one that `faces` may have is left aside.

    Args:
        faces, make, profile, estimator, begin_index, steps, shown, others: as for `figure_9`.
        metrics: for the table, of those that need no truth.

    Returns:
        The sheet; and for each face and method `calls`, `RMS to y`, the root mean square difference to the input with images in
        [0, 1], and the scores.
    """
    faces = dataclasses.replace(faces.first(shown), hq=None)
    return _comparison(faces, make, profile, estimator, begin_index, steps, others, metrics)


def _comparison(
    faces: Faces,
    make: MakePipeline,
    profile: str,
    estimator: str | None,
    begin_index: int | None,
    steps: int,
    others: Mapping[str, Path] | None,
    metrics: Sequence[str] | None,
) -> tuple[Figure, pd.DataFrame]:
    begin_index = start_of(profile, begin_index)
    scorer, rows = Scorer(known(metrics, PAIRS)), []
    columns = {"input $y$": (faces.lq, 0)}
    for name, folder in (others or {}).items():
        columns[name] = (read_results(Path(folder), faces.names, faces.size), math.nan)
    columns |= _ours(faces, make, profile, estimator, begin_index, steps)
    sheet = Sheet(
        len(faces.names), len(columns) + (faces.hq is not None), faces.size, labels=False, captions=faces.hq is not None
    )
    for column, (title, (batch, calls)) in enumerate(columns.items()):
        sheet.heading(column, title)
        for k, scores in enumerate(scorer.each(batch, faces.hq)):
            sheet.picture(k, column, batch[k], caption(scores))
            row = {"face": faces.names[k], "method": title.replace("$", ""), "calls": calls}
            if faces.hq is None:
                row["RMS to y"] = (batch[k] - faces.lq[k]).square().mean().sqrt().item()
            rows.append(row | scores)
    if faces.hq is not None:
        sheet.columns_of({"truth $x_0$": (len(columns), faces.hq)})
    return sheet.figure, pd.DataFrame(rows).sort_values("face", kind="stable", ignore_index=True)


def _ours(
    faces: Faces, make: MakePipeline, profile: str, estimator: str | None, begin_index: int, steps: int
) -> dict[str, tuple[Tensor, int]]:
    """Column title -> answers and network calls of the prior for each."""
    pipeline, fast = make(profile, estimator, "ddim"), make(profile, estimator, "dpm++")
    full = restore(pipeline, faces, begin_index, steps)
    return {
        "estimate $f(y)$": (estimate(pipeline, faces), 0),
        "DifFace fast": (restore(fast, faces, begin_index, FAST_CALLS).images, FAST_CALLS),
        "DifFace": (full.images, full.calls),
    }
