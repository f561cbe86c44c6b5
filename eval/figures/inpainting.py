"""Fig. 12 and 13: holes filled, by kind of mask and by gamma of Eq. 15."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from difface import inpaint, profiles
from difface.constraints import Masked
from difface.masks import MASKS
from eval.datasets import KINDS
from eval.figures.faces import Faces, read_results
from eval.figures.restoring import MakePipeline, at, check_size
from eval.figures.scores import PAIRS, Scorer, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.metrics import HolePSNR
from eval.seams import across_border
from eval.settings import FolderMethod


@styled
def figure_12(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    begin_index: int = inpaint.START,
    steps: int = 50,
    others: Mapping[str, Path] | None = None,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """The four kinds of masks: the input, other methods, f(y), DifFace with two seeds, the truth; known pixels are pasted.

    Args:
        faces: with truth, of which they are made worse here; they take turns in the four rows.
        make, profile: whose networks.
        begin_index: N.
        steps: length of the DDIM grid; the paper's is 250.
        others: a column's name -> folder of another method's answers, KIND/NAME.png.
        metrics: for the table, beside the PSNR in the hole; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each kind and method the network `calls` of the prior (unknown for other methods) and the scores.

    Raises:
        ValueError: faces without truth, or a profile without an inpainting estimator.
    """
    faces, kinds = _turns(faces, tuple(MASKS)), tuple(MASKS)
    masks, scorer, rows = _masks(faces, kinds), Scorer(known(metrics, PAIRS)), []
    columns = {"input $y$": (faces.lq, 0)}
    for name, folder in (others or {}).items():
        parts = [
            read_results(FolderMethod(name, Path(folder)).within(kind).folder, (face,), faces.size)
            for kind, face in zip(kinds, faces.names, strict=True)
        ]
        columns[name] = (torch.cat(parts), math.nan)
    pipeline = make(profile, profiles.inpainting_estimator(profile), "ddim")
    two, estimates, calls = _fill(pipeline, faces, masks, begin_index, steps, answers=2)
    columns |= {"estimate $f(y)$": (estimates, 0), "DifFace": (two[0::2], calls), "another seed": (two[1::2], calls)}
    sheet = Sheet(len(kinds), len(columns) + 1, faces.size)
    for row, kind in enumerate(kinds):
        sheet.label(row, kind)
    for column, (title, (batch, calls)) in enumerate(columns.items()):
        sheet.heading(column, title)
        for k, scores in enumerate(scorer.each(batch, faces.hq)):
            hole = _psnr(batch[k], faces.hq[k], masks[k])
            sheet.picture(k, column, batch[k], f"hole {hole:.1f} dB" if column else "")
            row = {"mask": kinds[k], "face": faces.names[k], "method": title.replace("$", ""), "calls": calls}
            rows.append(row | {HolePSNR.name: hole} | scores)
    sheet.columns_of({"truth $x_0$": (len(columns), faces.hq)})
    return sheet.figure, pd.DataFrame(rows).sort_values("mask", kind="stable", ignore_index=True)


@styled
def figure_13(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    gammas: Sequence[float] = (0, 0.05, 0.2, 0.5),
    begin_index: int = inpaint.START,
    steps: int = 50,
    shown: int = 3,
) -> tuple[Figure, pd.DataFrame]:
    """What gamma does: the known pixels are pasted at the end, so that incoherence shows as a seam.

    Args:
        faces: with truth; the kinds of masks take turns, expand first.
        make, profile: whose networks.
        gammas: of the rule "step", in [0, 0.5]; 0 is plain DifFace, 0.5 the released default.
        begin_index: N.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces.

    Returns:
        The sheet; and for each face and gamma the PSNR in the hole, and `border`, the mean |difference| across the border of
        the hole over the truth's there: 1 is as coherent as the truth.

    Raises:
        ValueError: faces without truth, or a profile without an inpainting estimator.
    """
    faces = faces.first(shown)
    kinds = tuple(islice(cycle(("expand", "half", "box", "irregular")), len(faces.names)))
    faces = _masked(faces, kinds)
    masks, rows = _masks(faces, kinds), []
    pipeline = make(profile, profiles.inpainting_estimator(profile), "ddim")
    sheet = Sheet(len(kinds), len(gammas) + 2, faces.size, labels=False)
    for column, gamma in enumerate(gammas, 1):
        answers, _, _ = _fill(pipeline, faces, masks, begin_index, steps, gamma=gamma)
        sheet.heading(column, rf"$\gamma$ = {gamma:g}")
        for k, (name, kind) in enumerate(zip(faces.names, kinds, strict=True)):
            chosen = slice(k, k + 1)
            border = across_border(answers[chosen], masks[chosen]) / across_border(faces.hq[chosen], masks[chosen])
            sheet.picture(k, column, answers[k], f"border {border:.2f}")
            hole = _psnr(answers[k], faces.hq[k], masks[k])
            rows.append({"face": name, "mask": kind, "gamma": gamma, "border": border, HolePSNR.name: hole})
    sheet.columns_of({"input $y$": (0, faces.lq), "truth $x_0$": (len(gammas) + 1, faces.hq)})
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "gamma"], kind="stable", ignore_index=True)


def _turns(faces: Faces, kinds: tuple[str, ...]) -> Faces:
    """One face for each kind, taking turns, with the holes as its input."""
    chosen = list(islice(cycle(range(len(faces.names))), len(kinds)))
    return _masked(Faces(tuple(faces.names[k] for k in chosen), faces.truth()[chosen], faces.lq[chosen]), kinds)


def _masked(faces: Faces, kinds: tuple[str, ...]) -> Faces:
    """The faces, a kind of mask each, with the holes as their input."""
    return Faces(faces.names, faces.truth(), faces.hq * (1 - _masks(faces, kinds)))


def _masks(faces: Faces, kinds: tuple[str, ...]) -> Tensor:
    """(B, 1, H, H), 1 = missing; the same as in a test set of that face and kind."""
    drawn = [KINDS[kind][1](name).paint(faces.size) for kind, name in zip(kinds, faces.names, strict=True)]
    return torch.cat(drawn)


def _fill(pipeline, faces: Faces, masks: Tensor, begin_index: int, steps: int, answers: int = 1, gamma: float = 0.5):
    """Answers and f(y) with the known pixels pasted, and the network calls for each."""
    check_size(pipeline, faces)
    result = at(pipeline, begin_index)(
        faces.lq,
        steps,
        inpaint.ETA,
        faces.generators(answers),
        answers,
        Masked(masks, "step", gamma),
        output_type="pt",
    )
    known, many = masks == 0, (masks == 0).repeat_interleave(answers, dim=0)
    filled = torch.where(many, faces.lq.repeat_interleave(answers, dim=0), result.images)
    return filled, torch.where(known, faces.lq, result.estimates), result.info["calls"]


def _psnr(answer: Tensor, truth: Tensor, mask: Tensor) -> float:
    metric = HolePSNR()
    metric.update(answer[None], truth[None], mask[None])
    return metric.compute()
