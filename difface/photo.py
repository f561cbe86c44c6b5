"""Whole photos: restore every face and paste it back; what is around the faces stays as it is."""

import numpy as np
import torch
from PIL import Image

from difface import faces, images
from difface.pipeline import DEFAULT_ETA, DifFacePipeline

LARGEST = 1.5
"""A face whose aligned square is more than this many times the model's size is left alone: it is better as it is."""
BATCH = 8
"""Faces that go through the networks at once."""


def restore_photo(
    pipeline: DifFacePipeline,
    photo: Image.Image,
    seed: int = 0,
    num_inference_steps: int | None = None,
    eta: float = DEFAULT_ETA,
) -> tuple[Image.Image, dict]:
    """Restore the faces of a photo.

    Args:
        pipeline: ready to be called.
        photo: upright RGB photo.
        seed: of every face.
        num_inference_steps, eta: as for the pipeline.

    Returns:
        The photo at its own size, and the pipeline's `.info` with `faces` (how many were restored) and `notes` (lines
        about faces that were left alone).

    Raises:
        ImageError: no face was found.
        difface.weights.WeightMissing: the detector's weights are not there.
    """
    found = faces.find_faces(photo)
    if not found:
        raise images.ImageError("no face was found; leave out --photo if the picture is one aligned face.")
    small = [face for face in found if face.side <= LARGEST * pipeline.size]
    info: dict = {"faces": len(small), "notes": []}
    if len(small) < len(found):
        info["notes"].append(
            f"{len(found) - len(small)} of {len(found)} faces are larger than {LARGEST:g} times the model's "
            f"{pipeline.size} pixels and were left as they are."
        )
    result, is_grey = np.asarray(photo.convert("RGB")), _is_grey(photo)
    for first in range(0, len(small), BATCH):
        part = small[first : first + BATCH]
        crops = [faces.align(photo, face.points, pipeline.size) for face in part]
        generators = [torch.Generator().manual_seed(seed) for _ in part]
        output = pipeline(crops, num_inference_steps, eta, generators)
        info |= output.info
        for face, restored in zip(part, output.images, strict=True):
            restored = restored.convert("L").convert("RGB") if is_grey else restored
            result = faces.paste(result, np.asarray(restored), face.points)
    return Image.fromarray(result), info


def _is_grey(photo: Image.Image) -> bool:
    """Whether a photo is black and white: its channels differ by a level or two at most."""
    channels = np.asarray(photo.convert("RGB").resize((256, 256)), float)
    return bool(np.abs(channels - channels.mean(2, keepdims=True)).mean() < 2)
