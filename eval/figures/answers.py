"""Fig. 11 and 17: several answers to one input, and where they differ."""

import pandas as pd
from matplotlib.figure import Figure

from eval.figures.bench import Bench
from eval.figures.options import figure
from eval.figures.scores import caption
from eval.figures.sheet import Sheet


@figure("estimator", "begin_index", "steps", "metrics", "shown")
def figure_11(bench: Bench, *, answers: int = 4) -> tuple[Figure, pd.DataFrame]:
    """K answers for each input, and their standard deviation at every pixel.

    Args:
        answers: K, from 2.

    Returns:
        The sheet; and for each face and answer its scores and `spread`, the mean over the pixels of the standard
        deviation (n - 1) of the face's K answers, with images in [0, 1]; the map is averaged over the colours.

    Raises:
        ValueError: fewer than two answers.
    """
    return _several(bench, answers)


@figure("estimator", "begin_index", "steps", "metrics", "shown", shown=5)
def figure_17(bench: Bench, *, answers: int = 6) -> tuple[Figure, pd.DataFrame]:
    """More answers for more faces than in Fig. 11; results and errors as there."""
    return _several(bench, answers)


def _several(bench: Bench, answers: int) -> tuple[Figure, pd.DataFrame]:
    if answers < 2:
        raise ValueError(f"`answers` must be 2 or more, for a spread; got {answers}.")
    setting, faces, rows = bench.ours(), bench.faces, []
    result = bench.pictures(setting, answers).unflatten(0, (-1, answers))
    scored = [bench.each(setting.another(answer)) for answer in range(answers)]
    spread = result.std(dim=1).mean(1)
    largest = spread.max().item()
    sheet = Sheet(len(faces.names), answers + 2 + (faces.hq is not None), faces.size, labels=False, below=0.62)
    sheet.ends(faces.lq, faces.hq)
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
