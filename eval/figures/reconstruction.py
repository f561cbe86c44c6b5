"""Fig. 3: clean faces, diffused to x_N and reconstructed by the prior (Eq. 10)."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure

from eval.datasets import generator_of
from eval.figures.bench import Bench, temporary_runner
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled
from eval.run import Runner
from eval.settings import ITSELF, Setting


@styled
def figure_3(
    faces: Faces,
    runner: Runner | None = None,
    profile: str = "tiny",
    *,
    starts: Sequence[int] = (100, 200, 300, 400, 600, 800),
    steps: int = 50,
    shown: int = 2,
    metrics: Sequence[str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Diffuse x_0 to several N and denoise it; the noise zeta of a face is the same for every N.

    Args:
        faces: with truth; nothing is degraded here.
        runner: keeps pictures and scores; None: they are kept as long as the process lasts.
        profile: whose prior.
        starts: N of each column.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces, two rows each.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and N: `timestep` t of x_N, `calls`, the factors `signal` = sqrt(abar_t) and
        `noise` = sqrt(1 - abar_t) of Eq. 2, and the reconstruction's scores.
    """
    faces, names = faces.first(shown), known(metrics, PAIRS)
    truth, rows = faces.truth(), []
    bench = Bench(Faces(faces.names, truth, truth), runner or temporary_runner())
    sheet = Sheet(2 * len(truth), 1 + len(starts), faces.size, block=2)
    for k in range(len(truth)):
        sheet.picture(2 * k + 0.5, 0, truth[k], "$x_0$")
        sheet.label(2 * k, "diffused, $x_N$")
        sheet.label(2 * k + 1, "reconstructed")
    for column, begin_index in enumerate(starts, 1):
        setting = Setting(profile, ITSELF, begin_index, steps=steps)
        chain = setting.chain()
        abar = chain.scheduler.alphas_cumprod[chain.noise_timestep].item()
        place = {"N": begin_index, "timestep": chain.noise_timestep, "calls": len(chain.timesteps)}
        place |= {"signal": abar**0.5, "noise": (1 - abar) ** 0.5}
        sheet.heading(column, f"$N$ = {begin_index}")
        answers = zip(_diffused(faces, abar), bench.pictures(setting), bench.each(setting, names), strict=True)
        for k, (x_n, answer, scores) in enumerate(answers):
            sheet.picture(2 * k, column, x_n, rf"$\sqrt{{\bar\alpha_t}}$ = {abar**0.5:.2f}")
            sheet.picture(2 * k + 1, column, answer, caption(scores))
            rows.append({"face": faces.names[k]} | place | scores)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "N"], kind="stable", ignore_index=True)


def _diffused(faces: Faces, abar: float) -> torch.Tensor:
    """x_N by Eq. 2 with the noise that the chain starts from, (B, 3, H, H), in [0, 1] where it is not clipped."""
    zeta = [
        torch.randn(face.shape, generator=generator_of(name)) for name, face in zip(faces.names, faces.hq, strict=True)
    ]
    return (abar**0.5 * (2 * faces.hq - 1) + (1 - abar) ** 0.5 * torch.stack(zeta)) / 2 + 0.5
