"""Clean faces that anybody may use: drawn from the embedded prior, one fixed seed each, kept as PNG in the cache."""

import hashlib
from functools import lru_cache
from pathlib import Path

from PIL import Image

from difface import images, profiles
from difface.sampling import BLOCK, draw
from difface.weights import cache_folder

COUNT = 32
"""Faces by default."""

STEPS = 250
"""Of DDIM with eta 1. With 100, and more so with DPM-Solver++, this small prior's faces have a stronger colour cast."""


def files(count: int, size: int) -> list[Path]:
    """Where the faces of the seeds 0 to count - 1 are, or will be.

    Raises:
        ValueError: a size that the embedded prior does not draw.
    """
    drawn = profiles.profile("tiny").size
    if size != drawn:
        raise ValueError(
            f"the embedded prior draws faces of {drawn} pixels; got {size}: give a folder of aligned faces as the "
            "source."
        )
    folder = cache_folder() / "sampled" / version()
    return [folder / f"sample_{seed:04d}.png" for seed in range(count)]


def read(file: Path) -> Image.Image:
    """The face of that file; it is drawn, with its block, when it is not there yet."""
    if not file.is_file():
        first = int(file.stem.removeprefix("sample_")) // BLOCK * BLOCK
        for seed, face in enumerate(_draw(first), first):
            images.write(face, file.with_name(f"sample_{seed:04d}.png"))
    return images.read(file)


@lru_cache
def version() -> str:
    """Digest of the prior's weights and of how it is sampled."""
    digest = hashlib.sha256(f"{STEPS} {BLOCK}".encode())
    for part in sorted(profiles.profile("tiny").unet().iterdir()):
        digest.update(part.read_bytes())
    return digest.hexdigest()[:16]


def _draw(first: int) -> list[Image.Image]:
    """A block of faces, always the same ones together; on the CPU, where every machine draws the same."""
    pipeline = profiles.load("tiny", device="cpu", prior_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return [images.to_pil(face) for _, face, _ in draw(pipeline, range(first, first + BLOCK), STEPS)]
