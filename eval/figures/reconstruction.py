"""Fig. 3: clean faces, diffused to x_N and reconstructed by the prior (Eq. 10)."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from matplotlib.figure import Figure

from eval.datasets import generator_of
from eval.figures.bench import Bench
from eval.figures.faces import Faces
from eval.figures.options import figure
from eval.figures.scores import caption
from eval.figures.sheet import Sheet
from eval.settings import ITSELF, Setting


@figure("steps", "metrics", "shown", shown=2)
def figure_3(bench: Bench, *, starts: Sequence[int] = (100, 200, 300, 400, 600, 800)) -> tuple[Figure, pd.DataFrame]:
    """Diffuse x_0 to several N and denoise it; the noise zeta of a face is the same for every N.

    The faces need a truth; nothing is degraded here. Each has two rows.

    Args:
        starts: N of each column.

    Returns:
        The sheet; and for each face and N: `timestep` t of x_N, `calls`, the factors `signal` = sqrt(abar_t) and
        `noise` = sqrt(1 - abar_t) of Eq. 2, and the reconstruction's scores.

    Raises:
        ValueError: faces without truth.
    """
    truth, rows = bench.faces.truth(), []
    faces = Faces(bench.faces.names, truth, truth)
    bench = replace(bench, faces=faces)
    sheet = Sheet(2 * len(truth), 1 + len(starts), faces.size, block=2)
    for k in range(len(truth)):
        sheet.picture(2 * k + 0.5, 0, truth[k], "$x_0$")
        sheet.label(2 * k, "diffused, $x_N$")
        sheet.label(2 * k + 1, "reconstructed")
    for column, begin_index in enumerate(starts, 1):
        setting = Setting(bench.profile, ITSELF, begin_index, steps=bench.steps)
        chain = setting.chain()
        abar = chain.scheduler.alphas_cumprod[chain.noise_timestep].item()
        place = {"N": begin_index, "timestep": chain.noise_timestep, "calls": len(chain.timesteps)}
        place |= {"signal": abar**0.5, "noise": (1 - abar) ** 0.5}
        sheet.heading(column, f"$N$ = {begin_index}")
        diffused = _diffused(faces, abar)
        for k, (name, answer, scores) in enumerate(bench.scored(setting)):
            sheet.picture(2 * k, column, diffused[k], rf"$\sqrt{{\bar\alpha_t}}$ = {abar**0.5:.2f}")
            sheet.picture(2 * k + 1, column, answer, caption(scores))
            rows.append({"face": name} | place | scores)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "N"], kind="stable", ignore_index=True)


def _diffused(faces: Faces, abar: float) -> torch.Tensor:
    """x_N by Eq. 2 with the noise that the chain starts from, (B, 3, H, H), in [0, 1] where it is not clipped."""
    zeta = [
        torch.randn(face.shape, generator=generator_of(name)) for name, face in zip(faces.names, faces.hq, strict=True)
    ]
    return (abar**0.5 * (2 * faces.hq - 1) + (1 - abar) ** 0.5 * torch.stack(zeta)) / 2 + 0.5
