"""Faces that the prior draws on its own, one fixed seed each."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from difface.pipeline import DifFacePipeline

BLOCK = 8
"""Faces that are drawn at once."""


def draw(
    pipeline: DifFacePipeline,
    seeds: Sequence[int],
    num_inference_steps: int | None = None,
    eta: float = 1.0,
    block: int = BLOCK,
) -> Iterator[tuple[int, torch.Tensor, dict[str, Any]]]:
    """Draw faces block by block, each block when its first face is asked for.

    Args:
        pipeline: with a prior; an estimator is not needed.
        seeds: one for each face; in float32 a face is the same to 1e-3 whatever else is in its block.
        num_inference_steps, eta: as for `DifFacePipeline.sample`.
        block: faces at once.

    Yields:
        The seed, the face (3, size, size) in [0, 1], and the call's `.info`.

    Raises:
        ValueError: as `DifFacePipeline.sample`.
    """
    for first in range(0, len(seeds), block):
        part = seeds[first : first + block]
        generators = [torch.Generator().manual_seed(seed) for seed in part]
        result = pipeline.sample(len(part), num_inference_steps, eta, generators, output_type="pt")
        for seed, face in zip(part, result.images, strict=True):
            yield seed, face, result.info
