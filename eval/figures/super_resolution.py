"""Fig. 14 and 15: small faces made large, with the restoration estimator on inputs that are enlarged by nearest neighbour."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from difface import profiles
from difface.chain import DEFAULT_ETA
from eval.datasets import BlockMeans, noise_of
from eval.datasets.degradations import worsen
from eval.figures.faces import Faces, read_results
from eval.figures.restoring import MakePipeline, at, estimate, restore, start_of
from eval.figures.scores import PAIRS, Scorer, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.settings import EnlargedMeans, FolderMethod


@styled
def figure_14(
    faces: Faces,
    make: MakePipeline = profiles.load,
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
        make, profile, estimator: whose networks.
        scales: s of each block of rows, divisors of the faces' side.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces, a row each for every s.
        others: a column's name -> folder of another method's answers, xS/NAME.png.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each s, face and method the network `calls` of the prior (unknown for other methods) and the scores.

    Raises:
        ValueError: faces without truth, or a side that s does not divide.
    """
    faces, scorer, rows = faces.first(shown), Scorer(known(metrics, PAIRS)), []
    truth, pipeline = faces.truth(), make(profile, estimator, "ddim")
    begin_index = start_of(profile, begin_index)
    count = len(faces.names)
    sheet = Sheet(count * len(scales), 5 + len(others or {}), faces.size, block=count)
    for block, scale in enumerate(scales):
        columns = _columns(pipeline, _small(faces, scale), scale, begin_index, steps, others)
        for k in range(count):
            sheet.label(block * count + k, f"x{scale}")
            sheet.picture(block * count + k, len(columns), truth[k])
        for column, (title, (batch, calls)) in enumerate(columns.items()):
            sheet.heading(column, title) if block == 0 else None
            for k, scores in enumerate(scorer.each(batch, truth)):
                sheet.picture(block * count + k, column, batch[k], caption(scores))
                row = {"s": scale, "face": faces.names[k], "method": title.replace("$", ""), "calls": calls}
                rows.append(row | scores)
    sheet.heading(len(columns), "truth $x_0$")
    return sheet.figure, pd.DataFrame(rows).sort_values(["s", "face"], kind="stable", ignore_index=True)


def figure_15(
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
    """x4, which the paper shows on natural pictures: here on whatever the profile restores, faces.

    Arguments, results and errors as for `figure_14`.
    """
    return figure_14(
        faces,
        make,
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


def _columns(
    pipeline, faces: Faces, scale: int, begin_index: int, steps: int, others: Mapping[str, Path] | None
) -> dict[str, tuple[Tensor, float]]:
    """Column title -> pictures and network calls of the prior for each."""
    columns = {"input $y$": (faces.lq, 0)}
    for name, folder in (others or {}).items():
        given = FolderMethod(name, Path(folder)).within(f"x{scale}").folder
        columns[name] = (read_results(given, faces.names, faces.size), math.nan)
    plain = restore(pipeline, faces, begin_index, steps)
    agreeing = at(pipeline, begin_index)(
        faces.lq,
        steps,
        DEFAULT_ETA,
        faces.generators(),
        constraint=EnlargedMeans(scale),
        output_type="pt",
    )
    return columns | {
        "estimate $f(y)$": (estimate(pipeline, faces), 0),
        "DifFace": (plain.images, plain.calls),
        "DifFace, $Hx = y$": (agreeing.images, plain.calls),
    }
