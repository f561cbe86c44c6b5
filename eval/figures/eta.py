"""Fig. 8: eta of Eq. 7, from DDIM to DDPM."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from difface import profiles
from eval.figures.faces import Faces
from eval.figures.restoring import MakePipeline, restore, start_of
from eval.figures.scores import PAIRS, Scorer, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled


@styled
def figure_8(
    faces: Faces,
    make: MakePipeline = profiles.load,
    profile: str = "tiny",
    *,
    estimator: str | None = None,
    etas: Sequence[float] = (0, 0.25, 0.5, 0.75, 1),
    begin_index: int | None = None,
    steps: int = 50,
    shown: int = 3,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Answers for several eta, each from the same x_N.

    Args:
        faces: with or without truth.
        make, profile, estimator: whose networks.
        etas: 0 is DDIM, 1 is DDPM.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and eta the scores.
    """
    faces, scorer = faces.first(shown), Scorer(known(metrics, PAIRS))
    begin_index = start_of(profile, begin_index)
    pipeline, rows = make(profile, estimator, "ddim"), []
    sheet = Sheet(len(faces.names), 1 + len(etas) + (faces.hq is not None), faces.size, labels=False)
    sheet.columns_of(
        {"input $y$": (0, faces.lq)} | ({} if faces.hq is None else {"truth $x_0$": (1 + len(etas), faces.hq)})
    )
    for column, eta in enumerate(etas, 1):
        answer = restore(pipeline, faces, begin_index, steps, eta).images
        sheet.heading(column, rf"$\eta$ = {eta:g}")
        for k, scores in enumerate(scorer.each(answer, faces.hq)):
            sheet.picture(k, column, answer[k], caption(scores))
            rows.append({"face": faces.names[k], "eta": eta, "N": begin_index} | scores)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "eta"], kind="stable", ignore_index=True)
