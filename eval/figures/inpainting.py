"""Fig. 12 and 13: holes filled, by kind of mask and by gamma of Eq. 15."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure

from difface import inpaint, profiles
from difface.masks import MASKS
from eval.datasets import KINDS
from eval.figures.bench import Bench, calls, folder_methods, temporary_runner
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.metrics import HolePSNR
from eval.run import Method, Runner
from eval.seams import across_border
from eval.settings import Agreement, Setting


@styled
def figure_12(
    faces: Faces,
    runner: Runner | None = None,
    profile: str = "tiny",
    *,
    begin_index: int = inpaint.START,
    steps: int = 50,
    others: Mapping[str, Path] | None = None,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """The four kinds of masks: the input, other methods, f(y), DifFace with two seeds, the truth; known pixels pasted.

    Args:
        faces: with truth, of which they are made worse here; they take turns in the four rows.
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile: whose networks.
        begin_index: N.
        steps: length of the DDIM grid; the paper's is 250.
        others: a column's name -> folder of another method's answers, KIND/NAME.png.
        metrics: for the table, beside the PSNR in the hole; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each kind and method the network `calls` of the prior (unknown for other methods) and the
        scores.

    Raises:
        ValueError: faces without truth, or a profile without an inpainting estimator.
    """
    names, rows = [HolePSNR.name, *known(metrics, PAIRS)], []
    default, runner = _default(profile, begin_index, steps), runner or temporary_runner()
    truth = faces.truth()
    sheet = Sheet(len(MASKS), 6 + len(others or {}), faces.size)
    for row, kind in enumerate(MASKS):
        k = row % len(truth)
        bench = _bench(Faces(faces.names[k : k + 1], truth[k : k + 1], truth[k : k + 1]), (kind,), runner)
        columns: dict[str, Method] = {"input $y$": Setting()} | folder_methods(others, kind)
        columns |= {"estimate $f(y)$": replace(default, begin_index=None), "DifFace": default}
        columns["another seed"] = default.another(1)
        sheet.label(row, kind)
        sheet.picture(row, len(columns), truth[k])
        for column, (title, method) in enumerate(columns.items()):
            (scores,) = bench.each(method, names)
            sheet.heading(column, title) if row == 0 else None
            hole = f"hole {scores[HolePSNR.name]:.1f} dB" if column else ""
            sheet.picture(row, column, bench.pictures(method)[0], hole)
            made = {"mask": kind, "face": faces.names[k], "method": title.replace("$", ""), "calls": calls(method)}
            rows.append(made | scores)
    sheet.heading(5 + len(others or {}), "truth $x_0$")
    return sheet.figure, pd.DataFrame(rows).sort_values("mask", kind="stable", ignore_index=True)


@styled
def figure_13(
    faces: Faces,
    runner: Runner | None = None,
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
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile: whose networks.
        gammas: of the rule "step", in [0, 0.5]; 0 is plain DifFace, 0.5 the released default.
        begin_index: N.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces.

    Returns:
        The sheet; and for each face and gamma the PSNR in the hole, and `border`, the mean |difference| across the
        border of the hole over the truth's there: 1 is as coherent as the truth.

    Raises:
        ValueError: faces without truth, or a profile without an inpainting estimator.
    """
    faces = faces.first(shown)
    kinds = tuple(islice(cycle(("expand", "half", "box", "irregular")), len(faces.names)))
    bench, rows = _bench(faces, kinds, runner or temporary_runner()), []
    faces, masks = bench.faces, torch.cat([mask.paint(faces.size) for mask in bench.made_by])
    sheet = Sheet(len(kinds), len(gammas) + 2, faces.size, labels=False)
    for column, gamma in enumerate(gammas, 1):
        setting = replace(_default(profile, begin_index, steps), agreement=Agreement(gamma))
        answers, scored = bench.pictures(setting), bench.each(setting, [HolePSNR.name])
        sheet.heading(column, rf"$\gamma$ = {gamma:g}")
        for k, (name, kind) in enumerate(zip(faces.names, kinds, strict=True)):
            chosen = slice(k, k + 1)
            border = across_border(answers[chosen], masks[chosen]) / across_border(faces.hq[chosen], masks[chosen])
            sheet.picture(k, column, answers[k], f"border {border:.2f}")
            rows.append({"face": name, "mask": kind, "gamma": gamma, "border": border} | scored[k])
    sheet.columns_of({"input $y$": (0, faces.lq), "truth $x_0$": (len(gammas) + 1, faces.hq)})
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "gamma"], kind="stable", ignore_index=True)


def _default(profile: str, begin_index: int, steps: int) -> Setting:
    """As released: eta 1, known pixels held and pasted."""
    estimator = profiles.inpainting_estimator(profile)
    return Setting(profile, estimator, begin_index, steps=steps, eta=inpaint.ETA, agreement=Agreement())


def _bench(faces: Faces, kinds: Sequence[str], runner: Runner) -> Bench:
    """The faces with a hole of a kind each, the same as in a test set of that face and kind."""
    drawn = [KINDS[kind][1](name) for kind, name in zip(kinds, faces.names, strict=True)]
    masks = torch.cat([mask.paint(faces.size) for mask in drawn])
    return Bench(Faces(faces.names, faces.truth(), faces.truth() * (1 - masks)), runner, tuple(drawn))
