"""Train a diffused estimator f(y) with an L1 loss on pairs (y, x_0) that are made on the fly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from difface import masks
from difface.degradation import Ranges, lq_hq_pair
from difface.models.estimator import (
    LAMA_256,
    LAMA_TINY,
    SRCNN_512,
    SRCNN_TINY,
    SWINIR_512,
    SWINIR_TINY,
    FaceEstimator,
)
from difface.training.data import Batch, Faces, TrainingError
from difface.training.loop import LossFunction, Settings, fit, mirrored, warm_start

TINY = {"srcnn": SRCNN_TINY, "swinir": SWINIR_TINY, "lama": LAMA_TINY}
"""The embedded sizes of the networks, for pictures of up to `TINY_SIZE` pixels."""
FULL = {"srcnn": SRCNN_512, "swinir": SWINIR_512, "lama": LAMA_256}
"""The paper's sizes, for larger pictures."""
TINY_SIZE = 128
MISSING_WEIGHT = 10
"""How much more a missing pixel counts than a known one, as in the official configuration."""
SR_SCALE = 4


def restoration_loss(size: int) -> LossFunction:
    """L1 on the pairs of Eq. 17.

    Raises:
        ValueError: no ranges for this size.
    """
    ranges = Ranges.for_size(size)

    def compute_loss(model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        pairs = [lq_hq_pair(one, ranges, generator) for one in batch.x_0.cpu()]
        y, truth = (torch.stack(side).to(batch.x_0.device) for side in zip(*pairs, strict=True))
        return (model(y, clamp=False).float() - truth).abs().mean()

    return compute_loss


def inpainting_loss(size: int) -> LossFunction:
    """Weighted L1, sum(w |e|) / sum(w) with w = 10 on missing and 1 on known pixels, with training masks."""

    def compute_loss(model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        truth = mirrored(batch.x_0, generator)
        mask = torch.cat([masks.training(generator).paint(size) for _ in truth]).to(truth.device)
        weight = (1 + (MISSING_WEIGHT - 1) * mask).expand_as(truth)
        error = (model(truth, mask, clamp=False).float() - truth).abs()
        return (weight * error).sum() / weight.sum()

    return compute_loss


def super_resolution_loss(size: int) -> LossFunction:
    """L1 on pictures whose 4 x 4 blocks were averaged and repeated, the H^+ H x_0 of `difface.constraints.Downsampled`.

    Raises:
        TrainingError: `size` is no multiple of 4.
    """
    if size % SR_SCALE:
        raise TrainingError(f"`size` must be a multiple of {SR_SCALE} for this task; got {size}.")

    def compute_loss(model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        truth = mirrored(batch.x_0, generator)
        small = functional.avg_pool2d(truth, SR_SCALE)
        y = functional.interpolate(small, scale_factor=SR_SCALE, mode="nearest")
        return (model(y, clamp=False).float() - truth).abs().mean()

    return compute_loss


TASKS: dict[str, tuple[Callable[[int], LossFunction], tuple[str, ...]]] = {
    "restore": (restoration_loss, ("swinir", "srcnn")),
    "inpaint": (inpainting_loss, ("lama",)),
    "sr4": (super_resolution_loss, ("swinir", "srcnn")),
}
"""Task -> its loss at a size, and the architectures that can learn it; the first is the default."""


def network(architecture: str, size: int) -> dict[str, Any]:
    """The arguments of an architecture's network for pictures of `size` pixels: the embedded or the paper's."""
    return (TINY if size <= TINY_SIZE else FULL)[architecture]


def train_estimator(
    faces: Faces,
    output: Path,
    architecture: str | None,
    settings: Settings,
    init: Path | None = None,
    task: str = "restore",
) -> None:
    """Train a `FaceEstimator` on aligned faces (or, for "sr4", on any pictures of one size).

    Args:
        faces: the training pictures; their size sets the network's, and the ranges of Eq. 17.
        output: receives the network and what resumes its training.
        architecture: "swinir", "srcnn" or "lama"; None for the task's default.
        settings: the options.
        init: folder of a trained estimator to start from, instead of random weights.
        task: "restore" (Eq. 17), "inpaint" or "sr4" (x4 super-resolution).

    Raises:
        TrainingError: an unknown task or architecture, or `init` or a checkpoint of another network.
        ValueError: no ranges for this size.
    """
    if task not in TASKS:
        raise TrainingError(f"`task` must be one of {', '.join(TASKS)}; got {task!r}.")
    loss, able = TASKS[task]
    architecture = able[0] if architecture is None else architecture
    if architecture not in able:
        raise TrainingError(
            f"`architecture` must be one of {', '.join(able)} for the task '{task}'; got {architecture!r}."
        )
    size = faces.size
    compute_loss = loss(size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if init:
            estimator = warm_start(FaceEstimator, init, architecture=architecture)
        else:
            estimator = FaceEstimator(architecture, network(architecture, size))
    told = {"size": size, "init": init, "task": task, "architecture": architecture}
    fit(estimator, faces, compute_loss, settings, output, told=told)
