"""How the figures call the pipeline: at a given N, in batches, with the seeds of the faces' names."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from difface import profiles
from difface.chain import DEFAULT_ETA
from difface.pipeline import DifFacePipeline
from eval.figures.faces import Faces

BATCH = 8
"""Pictures that are denoised at once."""

MakePipeline = Callable[[str, str | None, str], DifFacePipeline]
"""(profile, estimator or None for its first, scheduler) -> pipeline, as `difface.profiles.load`."""


@dataclass(frozen=True)
class Restored:
    """Attributes:
    images: (B * K, 3, H, H) in [0, 1], grouped by input.
    calls: network calls per picture.
    timestep: t to which f(y) was noised, the first that was taken below N.
    """

    images: Tensor
    calls: int
    timestep: int


class Untouched(nn.Module):
    """f(x) = x: with the clean face as its input, Alg. 1 becomes diffusion and reconstruction (Eq. 10)."""

    takes_mask = False
    dtype = torch.float32

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def forward(self, image: Tensor, mask: None = None) -> Tensor:
        return image


def at(pipeline: DifFacePipeline, begin_index: int, estimator: nn.Module | None = None) -> DifFacePipeline:
    """The same networks in a quiet pipeline of its own that starts below N, with another estimator if one is given."""
    quiet = DifFacePipeline(pipeline.unet, pipeline.scheduler, estimator or pipeline.estimator, begin_index)
    quiet.set_progress_bar_config(disable=True)
    return quiet


def start_of(profile: str, begin_index: int | None) -> int:
    """N, or the profile's where none is given."""
    return profiles.profile(profile).begin_index if begin_index is None else begin_index


def restore(
    pipeline: DifFacePipeline,
    faces: Faces,
    begin_index: int,
    steps: int | None = None,
    eta: float = DEFAULT_ETA,
    answers: int = 1,
) -> Restored:
    """Alg. 1 on every input.

    Args:
        pipeline: its own N does not matter.
        faces: at the pipeline's size.
        begin_index: N.
        steps, eta: as for the pipeline's call.
        answers: K for each input.

    Raises:
        ValueError: faces of another size, or settings that the pipeline refuses.
    """
    check_size(pipeline, faces)
    chain = at(pipeline, begin_index)
    generators = faces.generators(answers)
    per_batch = max(BATCH // answers, 1)
    parts = []
    for first in range(0, len(faces.lq), per_batch):
        chosen = slice(first * answers, (first + per_batch) * answers)
        result = chain(
            faces.lq[first : first + per_batch],
            steps,
            eta,
            generators[chosen],
            num_images_per_input=answers,
            output_type="pt",
        )
        parts.append(result.images)
    return Restored(torch.cat(parts), result.info["calls"], result.info["noise_timestep"])


@torch.inference_mode()
def estimate(pipeline: DifFacePipeline, faces: Faces) -> Tensor:
    """f(y) of every input, (B, 3, H, H) in [0, 1] on the CPU."""
    check_size(pipeline, faces)
    network = pipeline.estimator
    return torch.cat([network(part.to(network.device, network.dtype)).float().cpu() for part in faces.lq.split(BATCH)])


def check_size(pipeline: DifFacePipeline, faces: Faces) -> None:
    """Refuse faces that the pipeline would have to resize: what a figure shows is what the networks saw."""
    if faces.size != pipeline.size:
        raise ValueError(
            f"this profile works at {pipeline.size} pixels; got faces of {faces.size}: read them with "
            f"`read_faces({pipeline.size}, ...)`."
        )
