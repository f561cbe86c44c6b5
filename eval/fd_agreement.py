"""Does the Frechet distance on the prior's features order sets of faces as the one on face embeddings does?"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from rich.progress import track

from difface import folders, images, profiles
from difface.degradation import Degradation, degrade
from difface.metrics import FDPrior, FrechetIdentity
from difface.schedulers import FAST_CALLS
from eval.datasets import generator_of, noise_of

BATCH = 50
DEGRADED = (1, 2, 3, 4, 6, 8)
RESTORED = (2, 8)
"""s of Eq. 17, of the inputs and of what is restored; sigma 1 pixel, delta 5 grey levels and JPEG quality 60."""
STARTS = (150, 250, 400)
"""N of DifFace."""


def fd_prior_agreement(train: Path, test: Path, reference: int = 400) -> pd.DataFrame:
    """Both distances over sets made from the test faces: untouched, degraded, estimated, and restored.

    `frame.corr("spearman", numeric_only=True)` has the rank correlation.

    Args:
        train: folder of aligned 64-pixel training faces, the reference of both.
        test: folder of aligned 64-pixel faces.
        reference: how many of the training faces, the first in order of name.

    Returns:
        Columns `set`, `FD-prior` and `FD identity`, one row per set.

    Raises:
        difface.weights.WeightMissing: the embedding network is not there.
    """
    metrics = (FDPrior(), FrechetIdentity())
    known, files = folders.find([train])[:reference], folders.find([test])
    for part in _read(known).split(BATCH):
        for metric in metrics:
            metric.update(part, real=True)
    rows = []
    for label, pictures in track(face_sets(files), "sets", total=1 + len(DEGRADED) + len(RESTORED) * (2 + len(STARTS))):
        row = {"set": label}
        for metric in metrics:
            metric.reset()
            for part in pictures.split(BATCH):
                metric.update(part)
            row[metric.name] = metric.compute()
        rows.append(row)
    return pd.DataFrame(rows)


def face_sets(files: list[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Label and pictures, (n, 3, 64, 64) in [0, 1], of every set; one seed per face, from its file's name."""
    truth = _read(files)
    yield "untouched", truth
    inputs = {
        s: degrade(truth, Degradation(s, 1, 1, 0, 5, 60), [noise_of(file.stem) for file in files])
        for s in {*DEGRADED, *RESTORED}
    }
    for s in DEGRADED:
        yield f"s = {s}, input", inputs[s]
    srcnn = profiles.load_estimator("tiny", "srcnn")
    pipeline = profiles.load("tiny", "swinir", "dpm++")
    pipeline.set_progress_bar_config(disable=True)
    for s in RESTORED:
        for name, estimator in (("srcnn", srcnn), ("swinir", pipeline.estimator)):
            with torch.inference_mode():
                estimates = [estimator(part.to(estimator.device)).cpu() for part in inputs[s].split(BATCH)]
            yield f"s = {s}, f(y), {name}", torch.cat(estimates)
        for begin_index in STARTS:
            pipeline.set_begin_index(begin_index)
            parts = [
                pipeline(part, FAST_CALLS, generator=_generators(files[first:][:BATCH]), output_type="pt").images
                for first, part in zip(range(0, len(files), BATCH), inputs[s].split(BATCH), strict=True)
            ]
            yield f"s = {s}, DifFace, N = {begin_index}", torch.cat(parts)


def _read(files: list[Path]) -> torch.Tensor:
    return torch.stack([images.to_tensors(images.read(file))[0] for file in files])


def _generators(files: list[Path]) -> list[torch.Generator]:
    """For the sampler."""
    return [generator_of(file.stem) for file in files]
