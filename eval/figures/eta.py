"""Fig. 8: eta of Eq. 7, from DDIM to DDPM."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from eval.figures.bench import Bench, ours, temporary_runner
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.run import Runner


@styled
def figure_8(
    faces: Faces,
    runner: Runner | None = None,
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
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile, estimator: whose networks.
        etas: 0 is DDIM, 1 is DDPM.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and eta the scores.
    """
    bench, names = Bench(faces.first(shown), runner or temporary_runner()), known(metrics, PAIRS)
    faces, rows = bench.faces, []
    settings = {eta: ours(profile, estimator, begin_index, steps=steps, eta=eta) for eta in etas}
    sheet = Sheet(len(faces.names), 1 + len(etas) + (faces.hq is not None), faces.size, labels=False)
    sheet.columns_of(
        {"input $y$": (0, faces.lq)} | ({} if faces.hq is None else {"truth $x_0$": (1 + len(etas), faces.hq)})
    )
    for column, (eta, setting) in enumerate(settings.items(), 1):
        sheet.heading(column, rf"$\eta$ = {eta:g}")
        for k, (answer, scores) in enumerate(zip(bench.pictures(setting), bench.each(setting, names), strict=True)):
            sheet.picture(k, column, answer, caption(scores))
            rows.append({"face": faces.names[k], "eta": eta, "N": setting.begin_index} | scores)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "eta"], kind="stable", ignore_index=True)
