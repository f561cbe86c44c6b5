"""Fig. 14 and 15: small faces made large, with the restoration estimator on inputs enlarged by nearest neighbour."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from matplotlib.figure import Figure

from eval.datasets import BlockMeans, noise_of
from eval.datasets.degradations import worsen
from eval.figures.bench import Bench, calls
from eval.figures.faces import Faces
from eval.figures.options import figure
from eval.figures.scores import caption
from eval.figures.sheet import Sheet
from eval.run import Method
from eval.settings import Agreement, Setting


@figure("estimator", "begin_index", "steps", "others", "rivals", "metrics", "shown", shown=2)
def figure_14(bench: Bench, *, scales: Sequence[int] = (8, 16)) -> tuple[Figure, pd.DataFrame]:
    """Small faces: y, other methods, f(y), DifFace, DifFace whose block means agree with y, the truth.

    The faces need a truth, of which they are made small here; a folder of another method's answers has xS/NAME.png.

    Args:
        scales: s of each block of rows, divisors of the faces' side.

    Returns:
        The sheet; and for each s, face and method the network `calls` of the prior (unknown for other methods) and the
        scores.

    Raises:
        ValueError: faces without truth, or a side that s does not divide.
    """
    return _enlarged(bench, scales)


@figure("estimator", "begin_index", "steps", "others", "rivals", "metrics", "shown")
def figure_15(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    """x4, which the paper shows on natural pictures: here on whatever the profile restores, faces; else as Fig. 14."""
    return _enlarged(bench, (4,))


def _enlarged(bench: Bench, scales: Sequence[int]) -> tuple[Figure, pd.DataFrame]:
    truth, count, rows = bench.faces.truth(), len(bench.faces.names), []
    last = 4 + len(bench.peers("super-resolution"))
    sheet = Sheet(count * len(scales), last + 1, bench.faces.size, block=count)
    for block, scale in enumerate(scales):
        small = replace(bench, faces=_small(bench.faces, scale), made_by=(BlockMeans(scale),) * count)
        for k in range(count):
            sheet.label(block * count + k, f"x{scale}")
            sheet.picture(block * count + k, last, truth[k])
        for column, (title, method) in enumerate(_columns(bench, scale).items()):
            sheet.heading(column, title) if block == 0 else None
            for k, (name, answer, scores) in enumerate(small.scored(method)):
                sheet.picture(block * count + k, column, answer, caption(scores))
                row = {"s": scale, "face": name, "method": title.replace("$", ""), "calls": calls(method)}
                rows.append(row | scores)
    sheet.heading(last, "truth $x_0$")
    return sheet.figure, pd.DataFrame(rows).sort_values(["s", "face"], kind="stable", ignore_index=True)


def _small(faces: Faces, scale: int) -> Faces:
    """The faces with means of s x s pixels, repeated, as their inputs."""
    small = [worsen(face, BlockMeans(scale), noise_of(name)) for name, face in zip(faces.names, faces.hq, strict=True)]
    return Faces(faces.names, faces.hq, torch.stack(small))


def _columns(bench: Bench, scale: int) -> dict[str, Method]:
    """Column title -> what makes it."""
    setting = bench.ours()
    return (
        {"input $y$": Setting()}
        | bench.peers("super-resolution", f"x{scale}")
        | {
            "estimate $f(y)$": replace(setting, begin_index=None),
            "DifFace": setting,
            "DifFace, $Hx = y$": replace(setting, agreement=Agreement()),
        }
    )
