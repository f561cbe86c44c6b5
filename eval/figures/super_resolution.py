"""Fig. 14 and 15: small faces made large, with the restoration estimator on inputs enlarged by nearest neighbour."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure

from eval.datasets import BlockMeans, noise_of
from eval.datasets.degradations import worsen
from eval.figures.bench import Bench, calls, folder_methods, ours, temporary_runner
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.run import Method, Runner
from eval.settings import Agreement, Setting


@styled
def figure_14(
    faces: Faces,
    runner: Runner | None = None,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    scales: Sequence[int] = (8, 16),
    begin_index: int | None = None,
    steps: int = 50,
    shown: int = 2,
    others: Mapping[str, Path] | None = None,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Small faces: y, other methods, f(y), DifFace, DifFace whose block means agree with y, the truth.

    Args:
        faces: with truth, of which they are made small here.
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile, estimator: whose networks.
        scales: s of each block of rows, divisors of the faces' side.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces, a row each for every s.
        others: a column's name -> folder of another method's answers, xS/NAME.png.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each s, face and method the network `calls` of the prior (unknown for other methods) and the
        scores.

    Raises:
        ValueError: faces without truth, or a side that s does not divide.
    """
    faces, names, rows = faces.first(shown), known(metrics, PAIRS), []
    truth, setting, count = faces.truth(), ours(profile, estimator, begin_index, steps=steps), len(faces.names)
    sheet = Sheet(count * len(scales), 5 + len(others or {}), faces.size, block=count)
    for block, scale in enumerate(scales):
        bench = Bench(_small(faces, scale), runner or temporary_runner(), (BlockMeans(scale),) * count)
        columns = _columns(setting, scale, others)
        for k in range(count):
            sheet.label(block * count + k, f"x{scale}")
            sheet.picture(block * count + k, len(columns), truth[k])
        for column, (title, method) in enumerate(columns.items()):
            sheet.heading(column, title) if block == 0 else None
            for k, (answer, scores) in enumerate(zip(bench.pictures(method), bench.each(method, names), strict=True)):
                sheet.picture(block * count + k, column, answer, caption(scores))
                row = {"s": scale, "face": faces.names[k], "method": title.replace("$", ""), "calls": calls(method)}
                rows.append(row | scores)
    sheet.heading(len(columns), "truth $x_0$")
    return sheet.figure, pd.DataFrame(rows).sort_values(["s", "face"], kind="stable", ignore_index=True)


def figure_15(
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
    """x4, which the paper shows on natural pictures: here on whatever the profile restores, faces.

    Arguments, results and errors as for `figure_14`.
    """
    return figure_14(
        faces,
        runner,
        profile,
        estimator=estimator,
        scales=(4,),
        begin_index=begin_index,
        steps=steps,
        shown=shown,
        others=others,
        metrics=metrics,
    )


def _small(faces: Faces, scale: int) -> Faces:
    """The faces with means of s x s pixels, repeated, as their inputs."""
    small = [worsen(face, BlockMeans(scale), noise_of(name)) for name, face in zip(faces.names, faces.hq, strict=True)]
    return Faces(faces.names, faces.hq, torch.stack(small))


def _columns(setting: Setting, scale: int, others: Mapping[str, Path] | None) -> dict[str, Method]:
    """Column title -> what makes it."""
    return (
        {"input $y$": Setting()}
        | folder_methods(others, f"x{scale}")
        | {
            "estimate $f(y)$": replace(setting, begin_index=None),
            "DifFace": setting,
            "DifFace, $Hx = y$": replace(setting, agreement=Agreement()),
        }
    )
