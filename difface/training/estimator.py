"""Train a diffused estimator f(y): L1 on pairs that Eq. 17 makes on the fly."""

from pathlib import Path

import torch

from difface.degradation import Ranges, lq_hq_pair
from difface.models.estimator import SRCNN_TINY, SWINIR_TINY, FaceEstimator
from difface.training.loop import Faces, Settings, TrainingError, fit

ARCHITECTURES = {"srcnn": SRCNN_TINY, "swinir": SWINIR_TINY}


def train_estimator(
    data: Path, output: Path, size: int, architecture: str, settings: Settings, init: Path | None = None
) -> None:
    """Train a `FaceEstimator` on a folder of aligned faces.

    Args:
        data: folder of size x size pictures.
        output: receives the network and what resumes its training.
        size: side in pixels; sets the ranges of Eq. 17.
        architecture: "srcnn" or "swinir", in the embedded sizes.
        settings: the options.
        init: folder of a trained estimator to start from, instead of random weights.

    Raises:
        TrainingError: an unknown architecture, pictures of another size, or a checkpoint of another network.
        ValueError: no ranges for this size.
    """
    if architecture not in ARCHITECTURES:
        raise TrainingError(f"`architecture` must be one of {', '.join(ARCHITECTURES)}; got {architecture!r}.")
    ranges = Ranges.for_size(size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if init:
            estimator = FaceEstimator.from_pretrained(init, torch_dtype=torch.float32)
        else:
            estimator = FaceEstimator(architecture, ARCHITECTURES[architecture])

    def compute_loss(model, x_0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        pairs = [lq_hq_pair(one, ranges, generator) for one in x_0.cpu()]
        y, truth = (torch.stack(side).to(x_0.device) for side in zip(*pairs, strict=True))
        return (model(y, clamp=False).float() - truth).abs().mean()

    fit(estimator, Faces(data, size), compute_loss, settings, output)
