"""Fig. 9 and 10: methods side by side, on synthetic inputs with their truth and on real ones without."""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from difface import profiles
from difface.schedulers import FAST_CALLS
from eval.figures.bench import Bench, calls
from eval.figures.options import figure
from eval.figures.scores import caption
from eval.figures.sheet import Sheet
from eval.run import Method
from eval.settings import Setting


@figure("estimator", "begin_index", "steps", "others", "rivals", "metrics", "shown")
def figure_9(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    """Synthetic inputs: y, other methods, f(y), DifFace with five calls (fast), DifFace, the truth.

    Returns:
        The sheet; and for each face and method the network `calls` of the prior (unknown for other methods) and the
        scores.

    Raises:
        ValueError: faces without truth.
    """
    bench.faces.truth()
    return _comparison(bench)


@figure("estimator", "begin_index", "steps", "others", "rivals", "metrics", "shown", metrics=())
def figure_10(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    """Real inputs: as Fig. 9 without a truth; one that `faces` may have is left aside.

    Returns:
        The sheet; and for each face and method `calls`, `RMS to y`, the root mean square difference to the input with
        images in [0, 1], and the scores, of those metrics that need no truth.
    """
    return _comparison(replace(bench, faces=replace(bench.faces, hq=None)))


def _comparison(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    faces, setting, rows = bench.faces, bench.ours(), []
    columns: dict[str, Method] = {"input $y$": Setting()} | bench.peers("blind")
    columns["estimate $f(y)$"] = replace(setting, begin_index=None)
    columns["DifFace fast"] = replace(setting, scheduler=profiles.profile(setting.profile).fast, steps=FAST_CALLS)
    columns["DifFace"] = setting
    has_truth = faces.hq is not None
    sheet = Sheet(len(faces.names), len(columns) + has_truth, faces.size, labels=False, captions=has_truth)
    for column, (title, method) in enumerate(columns.items()):
        sheet.heading(column, title)
        for k, (name, answer, scores) in enumerate(bench.scored(method)):
            sheet.picture(k, column, answer, caption(scores))
            row = {"face": name, "method": title.replace("$", ""), "calls": calls(method)}
            if not has_truth:
                row["RMS to y"] = (answer - faces.lq[k]).square().mean().sqrt().item()
            rows.append(row | scores)
    sheet.ends(None, faces.hq)
    return sheet.figure, pd.DataFrame(rows).sort_values("face", kind="stable", ignore_index=True)
