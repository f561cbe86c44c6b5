"""Fig. 6 and 7a: the starting timestep N, as pictures and as curves of realism against fidelity."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.progress import track

from difface import profiles
from difface.metrics.base import PairMetric
from difface.weights import WeightMissing
from eval.figures.bench import Bench
from eval.figures.faces import Faces
from eval.figures.options import figure
from eval.figures.scores import CURVES, axis_label, caption, reason
from eval.figures.sheet import Sheet
from eval.figures.style import GREY, LINES, VERMILION, note, panels
from eval.metrics import METRICS

TITLES = {"srcnn": "SRCNN", "swinir": "SwinIR", "lama": "LaMa"}


@figure("steps", "metrics", "shown", shown=1)
def figure_6(
    bench: Bench, *, estimators: Sequence[str] | None = None, starts: Sequence[int] = (100, 250, 400, 600)
) -> tuple[Figure, pd.DataFrame]:
    """Answers for several N, a row for each estimator.

    Args:
        estimators: None for all of the profile; one whose weights are missing leaves a row that says so.
        starts: N of each column.

    Returns:
        The sheet; and for each face, estimator and N its `calls` and scores, N = 0 being f(y) itself.
    """
    faces, rows = bench.faces, []
    names = list(estimators or sorted(profiles.profile(bench.profile).estimators))
    height = len(names)
    sheet = Sheet(height * len(faces.names), 2 + len(starts) + (faces.hq is not None), faces.size, block=height)
    _frame(sheet, faces, names, starts)
    for place, name in enumerate(names):
        setting = replace(bench, estimator=name).ours()
        settings = [replace(setting, begin_index=begin_index) for begin_index in (None, *starts)]
        try:
            answers = [(setting, list(bench.scored(setting))) for setting in settings]
        except WeightMissing as error:
            for k in range(len(faces.names)):
                sheet.note(height * k + place, 1, reason(error))
            continue
        for column, (setting, scored) in enumerate(answers, 1):
            made = {"estimator": name, "N": setting.begin_index or 0, "calls": len(setting.timesteps)}
            for k, (face, answer, scores) in enumerate(scored):
                sheet.picture(height * k + place, column, answer, caption(scores))
                rows.append({"face": face} | made | scores)
    return sheet.figure, pd.DataFrame(rows, columns=["face", "estimator", "N", "calls", *bench.metrics])


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


@figure("estimator", "steps", "metrics", metrics=CURVES)
def figure_7a(
    bench: Bench, *, starts: Sequence[int] = (50, 100, 150, 200, 250, 300, 400, 500, 600)
) -> tuple[Figure, pd.DataFrame]:
    """Scores over N, and the path of realism against fidelity; a metric that cannot be had leaves a panel that says so.

    Args:
        starts: the values of N.

    Returns:
        The plots, f(y) itself dashed; and for each N its `calls`, the number of `faces` and the scores, N = 0 being
        f(y).

    Raises:
        ValueError: faces without truth.
    """
    settings = [replace(bench.ours(), begin_index=begin_index) for begin_index in (None, *starts)]
    faces, rows = len(bench.faces.truth()), []
    for setting in track(settings, "Figure 7a"):
        made = {"N": setting.begin_index or 0, "calls": len(setting.timesteps), "faces": faces}
        rows.append(made | bench.whole(setting))
    table = pd.DataFrame(rows)
    pair = _fidelity_and_realism([name for name in bench.metrics if name not in bench.notes])
    figure, axes = panels(len(bench.metrics) + (pair is not None))
    for name, plot in zip(bench.metrics, axes, strict=False):
        _over_n(plot, table, name, bench.notes.get(name))
    if pair is not None:
        _path(axes[-1], table, *pair)
    return figure, table


def _fidelity_and_realism(there: list[str]) -> tuple[str, str] | None:
    """The first metric against a truth and the last of sets or single images, of those that have numbers."""
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
