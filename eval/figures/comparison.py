"""Fig. 9 and 10: methods side by side, on synthetic inputs with their truth and on real ones without."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from difface.schedulers import FAST_CALLS
from eval.figures.bench import Bench, calls, folder_methods, ours, temporary_runner
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.run import Method, Runner
from eval.settings import Setting


@styled
def figure_9(
    faces: Faces,
    runner: Runner | None = None,
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
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile, estimator: whose networks.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces, a row each.
        others: a column's name -> folder of another method's answers, NAME.png for each face.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and method the network `calls` of the prior (unknown for other methods) and the
        scores.
    """
    faces.truth()
    setting = ours(profile, estimator, begin_index, steps=steps)
    return _comparison(faces.first(shown), runner, setting, others, metrics)


@styled
def figure_10(
    faces: Faces,
    runner: Runner | None = None,
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
        faces, runner, profile, estimator, begin_index, steps, shown, others: as for `figure_9`.
        metrics: for the table, of those that need no truth.

    Returns:
        The sheet; and for each face and method `calls`, `RMS to y`, the root mean square difference to the input with
        images in [0, 1], and the scores.
    """
    faces = replace(faces.first(shown), hq=None)
    setting = ours(profile, estimator, begin_index, steps=steps)
    return _comparison(faces, runner, setting, others, metrics)


def _comparison(
    faces: Faces,
    runner: Runner | None,
    setting: Setting,
    others: Mapping[str, Path] | None,
    metrics: Sequence[str] | None,
) -> tuple[Figure, pd.DataFrame]:
    bench, names, rows = Bench(faces, runner or temporary_runner()), known(metrics, PAIRS), []
    columns: dict[str, Method] = {"input $y$": Setting()} | folder_methods(others)
    columns["estimate $f(y)$"] = replace(setting, begin_index=None)
    columns["DifFace fast"] = replace(setting, scheduler="dpm++", steps=FAST_CALLS)
    columns["DifFace"] = setting
    sheet = Sheet(
        len(faces.names), len(columns) + (faces.hq is not None), faces.size, labels=False, captions=faces.hq is not None
    )
    for column, (title, method) in enumerate(columns.items()):
        sheet.heading(column, title)
        for k, (answer, scores) in enumerate(zip(bench.pictures(method), bench.each(method, names), strict=True)):
            sheet.picture(k, column, answer, caption(scores))
            row = {"face": faces.names[k], "method": title.replace("$", ""), "calls": calls(method)}
            if faces.hq is None:
                row["RMS to y"] = (answer - faces.lq[k]).square().mean().sqrt().item()
            rows.append(row | scores)
    if faces.hq is not None:
        sheet.columns_of({"truth $x_0$": (len(columns), faces.hq)})
    return sheet.figure, pd.DataFrame(rows).sort_values("face", kind="stable", ignore_index=True)
