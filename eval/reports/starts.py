"""N by how bad a face is (`difface.start`) against one N for all: fidelity and realism over all severities."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difface import profiles
from difface.degradation import Ranges
from difface.files import whole_file
from difface.start import LEAST, MOST, TOLERATED, Doubt
from eval.datasets import Dataset
from eval.markdown import markdown_grid
from eval.reports.study import Study
from eval.run import Runner, read
from eval.settings import FolderMethod, Setting

STARTS = tuple(range(LEAST, MOST + 1, 50))
"""N for all faces alike; what is chosen for a face is moved to the nearest of these."""
CALLS = 3
"""Network calls, of the fast path."""
BATCH = 20
FITTED = 100
"""Training faces that the law is found on."""
METRICS = ("PSNR", "FD identity")
AUTO = "auto"
LIMITS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Divergences that are tolerated, in units of `TOLERATED`."""


def starts(study: Study, output: Path) -> list[Path]:
    """Measure and write starts_PROFILE.csv and .md.

    Args:
        study: what is measured.
        output: folder.

    Raises:
        ValueError: a metric lacks its weights.
    """
    doubt, scales = fitted(study), Ranges.for_size(study.size).grid_scale
    table = pd.DataFrame([row for scale in scales for row in _rows(study, scale, doubt)])
    stem = output / f"starts_{profiles.label(study.profile)}"
    paths = [stem.with_suffix(".csv"), stem.with_suffix(".md")]
    with whole_file(paths[0]) as csv, whole_file(paths[1]) as text:
        table.to_csv(csv, index=False, float_format="%.5g")
        text.write_text(markdown(table, doubt, len(study.files)), encoding="utf-8")
    return paths


def fitted(study: Study) -> Doubt:
    """The law of `Doubt` by least squares of the logarithms, over training faces at all severities."""
    learnt = replace(study, test=study.train, work=study.work / "fitted", limit=FITTED)
    moved, wrong = [], []
    for scale in Ranges.for_size(study.size).grid_scale:
        faces = learnt.degraded(scale)
        y, estimates = _estimated(learnt.runner(BATCH), faces, study.profile)
        truth = torch.stack([read(item.hq) for item in faces.items if item.hq])
        moved.append((2 * (estimates - y)).square().mean((1, 2, 3)))
        wrong.append((2 * (estimates - truth)).square().mean((1, 2, 3)))
    power, factor = np.polyfit(torch.cat(moved).log().numpy(), torch.cat(wrong).log().numpy(), 1)
    return Doubt(float(np.exp(factor)), float(power))


def _estimated(runner: Runner, faces: Dataset, profile: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The inputs and f(y), (B, 3, H, W) in [0, 1]."""
    guess = Setting(profile, profiles.restoring_estimator(profile))
    runner.evaluate(faces, [guess], [])
    return torch.stack([read(item.lq) for item in faces.items]), runner.restored(faces, guess)


def _rows(study: Study, scale: float, doubt: Doubt) -> list[dict[str, float | str]]:
    """At one s: every N for all faces, and N by how bad each is at several limits."""
    faces, runner = study.degraded(scale), study.runner(BATCH)
    estimator = profiles.restoring_estimator(study.profile)
    settings = {n: Setting(study.profile, estimator, n, profiles.profile(study.profile).fast, CALLS) for n in STARTS}
    runner.evaluate(faces, list(settings.values()), list(METRICS))
    found = [{"s": scale, "N": str(n), "mean N": n} | runner.means(faces, of, METRICS) for n, of in settings.items()]
    y, estimates = _estimated(runner, faces, study.profile)
    for limit in LIMITS:
        chosen = [_nearest(n) for n in doubt.begin_index(y, estimates, limit * TOLERATED)]
        method = _gathered(runner, faces, settings, chosen, f"{AUTO}-{limit:g}")
        runner.evaluate(faces, [method], list(METRICS))
        told = {"s": scale, "N": f"{AUTO}, {limit:g} times the limit", "mean N": float(np.mean(chosen))}
        found.append(told | runner.means(faces, method, METRICS))
    return found


def _nearest(n: int) -> int:
    return min(STARTS, key=lambda start: abs(start - n))


def _gathered(
    runner: Runner, faces: Dataset, settings: dict[int, Setting], chosen: Sequence[int], name: str
) -> FolderMethod:
    """The pictures of the settings that were chosen for each face, in a folder."""
    folder = runner.root / "chosen" / faces.name / name
    folder.mkdir(parents=True, exist_ok=True)
    for item, n in zip(faces.items, chosen, strict=True):
        shutil.copyfile(runner.pictures(faces, settings[n]) / f"{item.name}.png", folder / f"{item.name}.png")
    return FolderMethod(name, folder)


def markdown(table: pd.DataFrame, doubt: Doubt, faces: int) -> str:
    """Means over the severities, one row for each choice of N."""
    means = table.groupby("N", sort=False)[["mean N", *METRICS]].mean()
    law = f"Mean square of x_0 - f(y): {doubt.factor:.3f} * (mean square of f(y) - y)^{doubt.power:.3f}"
    severities = ", ".join(f"{s:g}" for s in table["s"].unique())
    told = (
        f"{law}, found on {FITTED} training faces. Means over s = {severities} of {faces} test faces each; {CALLS} "
        f"network calls. The limit is a KL divergence of {TOLERATED} nats a value."
    )
    body = [[str(n), f"{r['mean N']:.0f}", f"{r['PSNR']:.2f}", f"{r['FD identity']:.1f}"] for n, r in means.iterrows()]
    return f"{told}\n\n{markdown_grid([['N', 'mean N', 'PSNR ↑ (dB)', 'FD identity ↓'], *body])}\n"
