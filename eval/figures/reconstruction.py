"""Fig. 3: clean faces, diffused to x_N and reconstructed by the prior (Eq. 10)."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure

from difface import profiles
from eval.figures.faces import Faces
from eval.figures.restoring import MakePipeline, Untouched, at, check_size
from eval.figures.scores import PAIRS, Scorer, caption, known
from eval.figures.sheet import Sheet
from eval.figures.style import styled


@styled
def figure_3(
    faces: Faces,
    make: MakePipeline = profiles.load,
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
        make, profile: whose prior.
        starts: N of each column.
        steps: length of the DDIM grid; the paper's is 250.
        shown: faces, two rows each.
        metrics: for the table; None for `scores.PAIRS`.

    Returns:
        The sheet; and for each face and N: `timestep` t of x_N, `calls`, the factors `signal` = sqrt(abar_t) and
        `noise` = sqrt(1 - abar_t) of Eq. 2, and the reconstruction's scores.
    """
    faces, scorer = faces.first(shown), Scorer(known(metrics, PAIRS))
    truth, rows = faces.truth(), []
    pipeline = make(profile, None, "ddim")
    check_size(pipeline, faces)
    sheet = Sheet(2 * len(truth), 1 + len(starts), faces.size, block=2)
    for k in range(len(truth)):
        sheet.picture(2 * k + 0.5, 0, truth[k], "$x_0$")
        sheet.label(2 * k, "diffused, $x_N$")
        sheet.label(2 * k + 1, "reconstructed")
    for column, begin_index in enumerate(starts, 1):
        x_n, answer, info, signal = _diffuse_and_reconstruct(pipeline, faces, begin_index, steps)
        sheet.heading(column, f"$N$ = {begin_index}")
        for k, scores in enumerate(scorer.each(answer, truth)):
            sheet.picture(2 * k, column, x_n[k], rf"$\sqrt{{\bar\alpha_t}}$ = {signal:.2f}")
            sheet.picture(2 * k + 1, column, answer[k], caption(scores))
            place = {
                "face": faces.names[k],
                "N": begin_index,
                "timestep": info["noise_timestep"],
                "calls": info["calls"],
            }
            rows.append(place | {"signal": signal, "noise": (1 - signal**2) ** 0.5} | scores)
    return sheet.figure, pd.DataFrame(rows).sort_values(["face", "N"], kind="stable", ignore_index=True)


def _diffuse_and_reconstruct(pipeline, faces: Faces, begin_index: int, steps: int):
    """x_N in [0, 1] where it is not clipped, the reconstruction, the call's info and sqrt(abar_t)."""
    chain = at(pipeline, begin_index, Untouched(pipeline.device))
    generators = faces.generators()
    zeta = torch.stack([torch.randn(face.shape, generator=g) for face, g in zip(faces.hq, generators, strict=True)])
    result = chain(faces.hq, steps, generator=generators, noise=zeta, output_type="pt")
    abar = chain.scheduler.alphas_cumprod[result.info["noise_timestep"]].item()
    x_n = abar**0.5 * (2 * faces.hq - 1) + (1 - abar) ** 0.5 * zeta  # Eq. 2
    return x_n / 2 + 0.5, result.images, result.info, abar**0.5
