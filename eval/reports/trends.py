"""The paper's trends on a test set, as CSV files: contraction (Fig. 4), N (6, 7a), eta (Fig. 8) and s (7b)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from rich.progress import track

from difface import profiles
from difface.contraction import contraction
from difface.degradation import Ranges, level
from difface.files import whole_file
from difface.schedulers import build_scheduler
from eval.datasets import Dataset
from eval.reports.study import Study
from eval.run import Runner, read
from eval.settings import Setting

STARTS = (100, 200, 300, 400, 500)
ETAS = (0, 0.25, 0.5, 0.75, 1)
SEVERITY_STEPS = 100
"""Of the whole chain, in the trend over s; the others take 250."""
DRAWS = 256
BATCH = 20
METRICS = ("PSNR", "ID angle", "FD identity")


def trends(study: Study, output: Path) -> Iterator[Path]:
    """Measure all four and write trends_contraction.csv, trends_n.csv, trends_eta.csv and trends_s.csv.

    Args:
        study: what is measured.
        output: folder for the CSV files.

    Yields:
        Each file, once it is written.

    Raises:
        ValueError: a metric lacks its weights.
    """
    runner, profile = study.runner(BATCH), study.profile
    ours = Setting(profile, profiles.restoring_estimator(profile), profiles.profile(profile).begin_index)
    middle = study.degraded(level(study.size, "middle").scale)
    yield _write(output / "trends_contraction.csv", _contraction(runner, middle, replace(ours, begin_index=None)))
    settings = {start: replace(ours, begin_index=start) for start in STARTS}
    yield _write(output / "trends_n.csv", _scored(runner, middle, "N", settings))
    settings = {eta: replace(ours, eta=eta) for eta in ETAS}
    yield _write(output / "trends_eta.csv", _scored(runner, middle, "eta", settings))
    sets = {scale: study.degraded(scale) for scale in Ranges.for_size(study.size).grid_scale}
    yield _write(output / "trends_s.csv", _severity(runner, sets, ours))


def slopes(table: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Least-squares slope of each column of `trends_s` over s: change per unit of s."""
    s = table["s"] - table["s"].mean()
    return table[columns].apply(lambda column: (s * (column - column.mean())).sum() / (s**2).sum())


def contracted(x_0: torch.Tensor, estimates: torch.Tensor, timestep: int, draws: int = DRAWS) -> float:
    """How much of e = x_0 - f(y) is left in x_t (Eq. 13), measured: ||E[x_t] - sqrt(abar_t) x_0|| / ||e||.

    The expectation is a mean over noise draws, in which noise of size sqrt((1 - abar_t) / draws) is left; its share of
    the squared norm is taken out by using products of different draws only, so that the estimate has no bias.

    Args:
        x_0, estimates: (B, 3, H, W) in [-1, 1], taken as one vector.
        timestep: t.
        draws: of the noise.
    """
    scheduler, level = build_scheduler("ddim"), torch.tensor([timestep])
    generator = torch.Generator().manual_seed(0)
    target = scheduler.alphas_cumprod[timestep].sqrt() * x_0
    total, squares = torch.zeros_like(x_0), 0.0
    for _ in range(draws):
        noise = torch.randn(x_0.shape, generator=generator)
        left = scheduler.add_noise(estimates, noise, level) - target
        total += left
        squares += left.double().square().sum()
    norm = (total.double().square().sum() - squares) / (draws * (draws - 1))
    return float((norm / (x_0 - estimates).double().square().sum()).clamp(min=0).sqrt())


def _contraction(runner: Runner, faces: Dataset, estimator: Setting) -> pd.DataFrame:
    """For each N the timestep noised to, the formulas' values there, and what is measured."""
    runner.evaluate(faces, [estimator], [])
    truth = torch.stack([read(item.hq) for item in faces.items])
    x_0, estimates = (2 * pictures - 1 for pictures in (truth, runner.restored(faces, estimator)))
    formulas, rows = contraction(), []
    for start in track(STARTS, "contraction", transient=True):
        k = start - 4  # the first timestep that a grid of 250 steps takes below N
        values = {"factor": formulas.factor[k].item(), "kappa": formulas.kappa[k].item()}
        rows.append({"N": start, "timestep": k} | values | {"measured": contracted(x_0, estimates, k)})
    return pd.DataFrame(rows)


def _scored(runner: Runner, faces: Dataset, name: str, settings: dict[float, Setting]) -> pd.DataFrame:
    """The mean scores of each setting, in a column after `name`."""
    runner.evaluate(faces, list(settings.values()), list(METRICS))
    return pd.DataFrame([{name: value} | runner.means(faces, setting, METRICS) for value, setting in settings.items()])


def _severity(runner: Runner, sets: dict[float, Dataset], ours: Setting) -> pd.DataFrame:
    """f(y) and DifFace on the set of each s."""
    methods = {"f(y)": replace(ours, begin_index=None), "DifFace": replace(ours, steps=SEVERITY_STEPS)}
    rows = []
    for scale, faces in sets.items():
        runner.evaluate(faces, list(methods.values()), list(METRICS))
        means = {name: runner.means(faces, setting, METRICS) for name, setting in methods.items()}
        rows.append({"s": scale} | {f"{name} {metric}": means[name][metric] for name in means for metric in METRICS})
    return pd.DataFrame(rows)


def _write(path: Path, table: pd.DataFrame) -> Path:
    with whole_file(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    return path
