"""Fig. 11 and 17: several answers to one input, and where they differ."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from eval.figures.bench import Bench, ours, temporary_runner
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.run import Runner


@styled
def figure_11(
    faces: Faces,
    runner: Runner | None = None,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    answers: int = 4,
    begin_index: int | None = None,
    steps: int = 50,
    shown: int = 3,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """K answers for each input, and their standard deviation at every pixel.

    Args:
        faces: with or without truth.
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile, estimator: whose networks.
        answers: K, from 2.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and answer its scores and `spread`, the mean over the pixels of the standard
        deviation (n - 1) of the face's K answers, with images in [0, 1]; the map is averaged over the colours.

    Raises:
        ValueError: fewer than two answers.
    """
    if answers < 2:
        raise ValueError(f"`answers` must be 2 or more, for a spread; got {answers}.")
    bench, names = Bench(faces.first(shown), runner or temporary_runner()), known(metrics, PAIRS)
    setting, faces, rows = ours(profile, estimator, begin_index, steps=steps), bench.faces, []
    result = bench.pictures(setting, answers).unflatten(0, (-1, answers))
    scored = [bench.each(setting.another(answer), names) for answer in range(answers)]
    spread = result.std(dim=1).mean(1)
    largest = spread.max().item()
    last = answers + 2
    sheet = Sheet(len(faces.names), last + (faces.hq is not None), faces.size, labels=False, below=0.62)
    sheet.columns_of({"input $y$": (0, faces.lq)} | ({} if faces.hq is None else {"truth $x_0$": (last, faces.hq)}))
    for column, text in enumerate([*(f"answer {k + 1}" for k in range(answers)), "spread"], 1):
        sheet.heading(column, text)
    for k, name in enumerate(faces.names):
        sheet.heat(k, answers + 1, spread[k], largest, f"mean {spread[k].mean():.3f}")
        for answer in range(answers):
            scores = scored[answer][k]
            sheet.picture(k, answer + 1, result[k, answer], caption(scores))
            row = {"face": name, "answer": answer, "N": setting.begin_index, "spread": spread[k].mean().item()}
            rows.append(row | scores)
    sheet.colour_bar_below(answers + 1, largest, "standard deviation\n(images in [0, 1])")
    return sheet.figure, pd.DataFrame(rows)


def figure_17(
    faces: Faces,
    runner: Runner | None = None,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    answers: int = 6,
    begin_index: int | None = None,
    steps: int = 50,
    shown: int = 5,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """More answers for more faces than in Fig. 11; arguments, results and errors as for `figure_11`."""
    return figure_11(
        faces,
        runner,
        profile,
        estimator=estimator,
        answers=answers,
        begin_index=begin_index,
        steps=steps,
        shown=shown,
        metrics=metrics,
    )
