"""Fig. 12 and 13: holes filled, by kind of mask and by gamma of Eq. 15."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice

import pandas as pd
import torch
from matplotlib.figure import Figure

from difface import inpaint, profiles
from difface.masks import MASKS
from eval.datasets import KINDS
from eval.figures.bench import Bench, calls
from eval.figures.faces import Faces
from eval.figures.options import figure
from eval.figures.sheet import Sheet
from eval.metrics import HolePSNR
from eval.run import Method
from eval.seams import across_border
from eval.settings import Agreement, Setting


@figure("begin_index", "steps", "others", "rivals", "metrics", begin_index=inpaint.START)
def figure_12(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    """The four kinds of masks: the input, other methods, f(y), DifFace with two seeds, the truth; known pixels pasted.

    The faces need a truth, of which they are made worse here; they take turns in the four rows. A folder of another
    method's answers has KIND/NAME.png.

    Returns:
        The sheet; and for each kind and method the network `calls` of the prior (unknown for other methods), the PSNR
        in the hole, and the scores.

    Raises:
        ValueError: faces without truth, or a profile without an inpainting estimator.
    """
    default, truth, names, rows = _default(bench), bench.faces.truth(), bench.faces.names, []
    bench, last = replace(bench, metrics=(HolePSNR.name, *bench.metrics)), 5 + len(bench.peers("inpainting"))
    sheet = Sheet(len(MASKS), last + 1, bench.faces.size)
    for row, kind in enumerate(MASKS):
        k = row % len(truth)
        one = _masked(replace(bench, faces=Faces(names[k : k + 1], truth[k : k + 1], truth[k : k + 1])), (kind,))
        columns: dict[str, Method] = {"input $y$": Setting()} | bench.peers("inpainting", kind)
        columns |= {"estimate $f(y)$": replace(default, begin_index=None), "DifFace": default}
        columns["another seed"] = default.another(1)
        sheet.label(row, kind)
        sheet.picture(row, last, truth[k])
        for column, (title, method) in enumerate(columns.items()):
            ((name, answer, scores),) = one.scored(method)
            sheet.heading(column, title) if row == 0 else None
            sheet.picture(row, column, answer, f"hole {scores[HolePSNR.name]:.1f} dB" if column else "")
            made = {"mask": kind, "face": name, "method": title.replace("$", ""), "calls": calls(method)}
            rows.append(made | scores)
    sheet.heading(last, "truth $x_0$")
    return sheet.figure, pd.DataFrame(rows).sort_values("mask", kind="stable", ignore_index=True)


@figure("begin_index", "steps", "shown", begin_index=inpaint.START)
def figure_13(bench: Bench, *, gammas: Sequence[float] = (0, 0.05, 0.2, 0.5)) -> tuple[Figure, pd.DataFrame]:
    """What gamma does: the known pixels are pasted at the end, so that incoherence shows as a seam.

    The faces need a truth; the kinds of masks take turns, expand first.

    Args:
        gammas: of the rule "step", in [0, 0.5]; 0 is plain DifFace, 0.5 the released default.

    Returns:
        The sheet; and for each face and gamma the PSNR in the hole, and `border`, the mean |difference| across the
        border of the hole over the truth's there: 1 is as coherent as the truth.

    Raises:
        ValueError: faces without truth, or a profile without an inpainting estimator.
    """
    kinds = tuple(islice(cycle(("expand", "half", "box", "irregular")), len(bench.faces.names)))
    bench, rows = _masked(replace(bench, metrics=(HolePSNR.name,)), kinds), []
    faces, masks = bench.faces, [mask.paint(bench.faces.size) for mask in bench.made_by]
    sheet = Sheet(len(kinds), len(gammas) + 2, faces.size, labels=False)
    for column, gamma in enumerate(gammas, 1):
        setting = replace(_default(bench), agreement=Agreement(gamma))
        sheet.heading(column, rf"$\gamma$ = {gamma:g}")
        for k, (name, answer, scores) in enumerate(bench.scored(setting)):
            border = across_border(answer[None], masks[k]) / across_border(faces.hq[k : k + 1], masks[k])
            sheet.picture(k, column, answer, f"border {border:.2f}")
            rows.append({"face": name, "mask": kinds[k], "gamma": gamma, "border": border} | scores)
    sheet.ends(faces.lq, faces.hq)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "gamma"], kind="stable", ignore_index=True)


def _default(bench: Bench) -> Setting:
    """As released: eta 1, known pixels held and pasted."""
    chosen = replace(bench, estimator=profiles.inpainting_estimator(bench.profile))
    return chosen.ours(eta=inpaint.ETA, agreement=Agreement())


def _masked(bench: Bench, kinds: Sequence[str]) -> Bench:
    """The faces with a hole of a kind each, the same as in a test set of that face and kind."""
    faces = bench.faces
    drawn = tuple(KINDS[kind][1](name) for kind, name in zip(kinds, faces.names, strict=True))
    masks = torch.cat([mask.paint(faces.size) for mask in drawn])
    return replace(bench, faces=Faces(faces.names, faces.truth(), faces.truth() * (1 - masks)), made_by=drawn)
