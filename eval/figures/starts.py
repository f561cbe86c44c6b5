"""Fig. 6 and 7a: the starting timestep N, as pictures and as curves of realism against fidelity."""

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor

from difface import profiles
from difface.metrics import METRICS
from difface.metrics.base import PairMetric
from difface.weights import WeightMissing
from eval.figures.faces import Faces
from eval.figures.restoring import MakePipeline, estimate, restore
from eval.figures.scores import CURVES, PAIRS, Scorer, axis_label, caption, known, reason
from eval.figures.sheet import Sheet
from eval.figures.style import GREY, LINES, VERMILION, note, panels, styled

TITLES = {"srcnn": "SRCNN", "swinir": "SwinIR", "lama": "LaMa"}


@styled
def figure_6(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    estimators: Sequence[str] | None = None,
    starts: Sequence[int] = (100, 250, 400, 600),
    steps: int = 50,
    shown: int = 1,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Answers for several N, a row for each estimator.

    Args:
        faces: with or without truth.
        make, profile: whose networks.
        estimators: None for all of the profile; one whose weights are missing leaves a row that says so.
        starts: N of each column.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face, estimator and N its `calls` and scores, N = 0 being f(y) itself.
    """
    faces, scorer, rows = faces.first(shown), Scorer(known(metrics, PAIRS)), []
    names = list(estimators or sorted(profiles.profile(profile).estimators))
    height = len(names)
    sheet = Sheet(height * len(faces.names), 2 + len(starts) + (faces.hq is not None), faces.size, block=height)
    _frame(sheet, faces, names, starts)
    for place, name in enumerate(names):
        try:
            pipeline = make(profile, name, "ddim")
        except WeightMissing as error:
            for k in range(len(faces.names)):
                sheet.note(height * k + place, 1, reason(error))
            continue
        answers = {0: (estimate(pipeline, faces), 0)}
        for begin_index in starts:
            result = restore(pipeline, faces, begin_index, steps)
            answers[begin_index] = (result.images, result.calls)
        for column, (begin_index, (answer, calls)) in enumerate(answers.items(), 1):
            for k, scores in enumerate(scorer.each(answer, faces.hq)):
                sheet.picture(height * k + place, column, answer[k], caption(scores))
                rows.append({"face": faces.names[k], "estimator": name, "N": begin_index, "calls": calls} | scores)
    columns = ["face", "estimator", "N", "calls", *scorer.names]
    return sheet.figure, pd.DataFrame(rows, columns=columns)


def _frame(sheet: Sheet, faces: Faces, names: list[str], starts: Sequence[int]) -> None:
    """Headings, labels, inputs and truths of Fig. 6."""
    middle, last = (len(names) - 1) / 2, 2 + len(starts)
    for column, text in enumerate(["$f(y)$", *(f"$N$ = {n}" for n in starts)], 1):
        sheet.heading(column, text)
    for k in range(len(faces.names)):
        sheet.picture(len(names) * k + middle, 0, faces.lq[k], "input $y$")
        if faces.hq is not None:
            sheet.picture(len(names) * k + middle, last, faces.hq[k], "truth $x_0$")
        for place, name in enumerate(names):
            sheet.label(len(names) * k + place, TITLES.get(name, name))


@styled
def figure_7a(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    starts: Sequence[int] = (50, 100, 150, 200, 250, 300, 400, 500, 600),
    steps: int = 50,
    metrics: Sequence[str] | None = None,
    reference: Iterable[Tensor] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Scores over N, and the path of realism against fidelity.

    Args:
        faces: with truth.
        make, profile, estimator: whose networks.
        starts: the values of N.
        steps: length of the DDIM grid; the paper's is 250.
        metrics: None for `scores.CURVES`; one that cannot be had leaves a panel that says so.
        reference: clean faces that are none of these, for Frechet distances, batches (B, 3, H, H) in [0, 1]; without them the
            distance is to the truth, and FID-F is n/a.

    Returns:
        The plots, f(y) itself dashed; and for each N its `calls`, the number of `faces` and the scores, N = 0 being f(y).
    """
    scorer = Scorer(known(metrics, CURVES), faces.truth(), reference)
    pipeline = make(profile, estimator, "ddim")
    count = {"faces": len(faces.names)}
    rows = [{"N": 0, "calls": 0} | count | scorer(estimate(pipeline, faces), faces.hq)]
    for begin_index in track(starts, "Figure 7a"):
        result = restore(pipeline, faces, begin_index, steps)
        rows.append({"N": begin_index, "calls": result.calls} | count | scorer(result.images, faces.hq))
    table = pd.DataFrame(rows)
    pair = _fidelity_and_realism(scorer)
    figure, axes = panels(len(scorer.names) + (pair is not None))
    for name, plot in zip(scorer.names, axes, strict=False):
        _over_n(plot, table, name, scorer.notes.get(name))
    if pair is not None:
        _path(axes[-1], table, *pair)
    return figure, table


def _fidelity_and_realism(scorer: Scorer) -> tuple[str, str] | None:
    """The first metric against a truth and the last of sets or single images, of those that have numbers."""
    there = [name for name in scorer.names if name not in scorer.notes]
    fidelity = [name for name in there if isinstance(METRICS[name](), PairMetric)]
    realism = [name for name in there if name not in fidelity]
    return (fidelity[0], realism[-1]) if fidelity and realism else None


def _over_n(axes: Axes, table: pd.DataFrame, name: str, missing: str | None) -> None:
    axes.set(xlabel=f"starting timestep $N$ ({table.faces[0]} faces)", ylabel=axis_label(name))
    if missing:
        note(axes, f"{name}: {missing}")
        return
    axes.plot(table.N[1:], table[name][1:], **LINES[0], label="DifFace")
    axes.axhline(table[name][0], color=GREY, linestyle="--", label="$f(y)$ alone")
    axes.legend()


def _path(axes: Axes, table: pd.DataFrame, fidelity: str, realism: str) -> None:
    axes.plot(table[fidelity][1:], table[realism][1:], **LINES[0], label="DifFace")
    axes.plot(table[fidelity][:1], table[realism][:1], "D", color=VERMILION, label="$f(y)$ alone")
    for k, (begin_index, x, y) in enumerate(zip(table.N[1:], table[fidelity][1:], table[realism][1:], strict=True)):
        side = {"xytext": (1, 4), "va": "bottom"} if k % 2 else {"xytext": (-1, -4), "va": "top"}
        axes.annotate(str(begin_index), (x, y), textcoords="offset points", fontsize=6.5, ha="center", **side)
    axes.legend()
    axes.margins(0.12, 0.15)
    axes.set(xlabel=axis_label(fidelity), ylabel=axis_label(realism), title="fidelity and realism, labelled by $N$")
