"""What the prior draws on its own: whether a detector sees faces, and how near they come to the training faces."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from difface import faces, images, profiles
from difface.metrics.identity import embed
from difface.sampling import draw

COUNT = 64
STEPS = 100
BATCH = 16
SEEN = 256
"""Side in pixels to which a face is enlarged for the detector."""


def sample_report(
    train: list[Path], test: list[Path], profile: str = "tiny", dtype: str = "float32"
) -> dict[str, float | int]:
    """Score samples of an embedded prior (seeds 0 to 63, 100 DDIM steps, eta 1) beside real test faces.

    Args:
        train: aligned training faces of the profile's size.
        test: such test faces; as many as there are samples are looked at by the detector.
        profile: whose prior.
        dtype: of the network.

    Returns:
        `count`; `faces_in_samples` and `faces_in_test`, in how many pictures SCRFD finds a face (enlarged to 256
        pixels, score from 0.5); and for pixels (root mean square, of [0, 1]) and embeddings (angle in degrees) the 1st
        percentile of the distance to the nearest training face or its mirror image, of samples and of test faces.
    """
    pipeline = profiles.load(profile, dtype=dtype, prior_only=True)
    pipeline.set_progress_bar_config(disable=True)
    samples = torch.stack([face for _, face, _ in draw(pipeline, range(COUNT), STEPS, block=BATCH)])
    real, known = _load(test), _load(train)
    known = torch.cat([known, known.flip(-1)])
    result: dict[str, float | int] = {
        "count": len(samples),
        "faces_in_samples": sum(map(_has_face, samples)),
        "faces_in_test": sum(map(_has_face, real[: len(samples)])),
    }
    for name, distance in (("pixels", _pixel_distance), ("angle", _angles)):
        for label, batch in (("samples", samples), ("test", real)):
            nearest = distance(batch, known).min(1)
            result[f"{name}_{label}_p1"] = float(np.percentile(nearest, 1))
    return result


def _load(files: list[Path]) -> torch.Tensor:
    return torch.cat([images.to_tensors(images.read(file))[0][None] for file in files])


def _has_face(picture: torch.Tensor) -> bool:
    return bool(faces.find_faces(images.to_pil(picture).resize((SEEN, SEEN), Image.Resampling.BICUBIC)))


def _pixel_distance(batch: torch.Tensor, known: torch.Tensor) -> np.ndarray:
    """Root mean square difference of every pair: (B, n)."""
    side = (batch[0].numel()) ** 0.5
    return (torch.cdist(batch.flatten(1).double(), known.flatten(1).double()) / side).numpy()


def _angles(batch: torch.Tensor, known: torch.Tensor) -> np.ndarray:
    """Angle between embeddings of every pair, in degrees: (B, n)."""
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (embed(batch), embed(known))]
    return np.degrees(np.arccos((unit[0] @ unit[1].T).clip(-1, 1)))
