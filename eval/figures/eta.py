"""Fig. 8: eta of Eq. 7, from DDIM to DDPM."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from eval.figures.bench import Bench
from eval.figures.options import figure
from eval.figures.scores import caption
from eval.figures.sheet import Sheet


@figure("estimator", "begin_index", "steps", "metrics", "shown")
def figure_8(bench: Bench, *, etas: Sequence[float] = (0, 0.25, 0.5, 0.75, 1)) -> tuple[Figure, pd.DataFrame]:
    """Answers for several eta, each from the same x_N.

    Args:
        etas: 0 is DDIM, 1 is DDPM.

    Returns:
        The sheet; and for each face and eta the scores.
    """
    faces, rows = bench.faces, []
    sheet = Sheet(len(faces.names), 1 + len(etas) + (faces.hq is not None), faces.size, labels=False)
    sheet.ends(faces.lq, faces.hq)
    for column, eta in enumerate(etas, 1):
        setting = bench.ours(eta=eta)
        sheet.heading(column, rf"$\eta$ = {eta:g}")
        for k, (name, answer, scores) in enumerate(bench.scored(setting)):
            sheet.picture(k, column, answer, caption(scores))
            rows.append({"face": name, "eta": eta, "N": setting.begin_index} | scores)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "eta"], kind="stable", ignore_index=True)
