"""Pictures that anybody may use: the embedded prior's and scikit-image's astronaut, degraded, restored, together."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from skimage.data import astronaut

from difface import faces, images, metadata, profiles
from difface.degradation import degrade, level
from difface.sampling import draw
from difface.schedulers import FAST_CALLS
from eval.datasets import name_seed, noise_of
from eval.scenes import SCENES, compose

ASTRONAUT_POINTS = np.array([[204, 101], [247, 103], [224, 128], [201, 139], [246, 141]], float)
"""Eyes, nose tip and mouth corners in `skimage.data.astronaut()`, as SCRFD finds them."""

TURNS = ("middle", "severe", "mild")
"""Levels of the examples, which take turns."""

SHOWN = 128
"""Side in pixels of a sheet's pictures; smaller ones are enlarged by a whole factor (nearest): seen as they are."""
SCENE_SIZE = 64
"""Size of the profile for which the sides of `eval.scenes.SCENES` are."""


def astronaut_face(size: int = 64) -> Image.Image:
    """The face of `skimage.data.astronaut()` (NASA, public domain), `size` x `size` in FFHQ alignment."""
    return faces.align(Image.fromarray(astronaut()), ASTRONAUT_POINTS, size)


def clean_faces(seeds: Sequence[int], profile: str = profiles.DEFAULT) -> dict[str, torch.Tensor]:
    """Name -> (3, size, size) in [0, 1]: the astronaut and samples of a profile's prior."""
    astronaut = images.to_tensors(astronaut_face(profiles.profile(profile).size))[0]
    return {"astronaut": astronaut} | _samples(tuple(seeds), profile)


@lru_cache(maxsize=1)
def _samples(seeds: tuple[int, ...], profile: str) -> dict[str, torch.Tensor]:
    """Drawn once for examples and sheet."""
    pipeline = profiles.load(profile, prior_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return {f"sample_{seed}": sample for seed, sample, _ in draw(pipeline, seeds, 250)}


def examples(output: Path, seeds: Sequence[int], profile: str = profiles.DEFAULT) -> list[Path]:
    """Write degraded faces NAME_LEVEL.png, the levels taking turns, the same faces clean/NAME.png, and whole photos
    photos/NAME.png; their paths."""
    clean, size = clean_faces(seeds, profile), profiles.profile(profile).size
    named = {}
    for k, (name, face) in enumerate(clean.items()):
        told = TURNS[k % len(TURNS)]
        named[output / f"{name}_{told}.png"] = degrade(face, level(size, told), noise_of(name))
        named[output / "clean" / f"{name}.png"] = face
    for name, photo in photos(list(clean.values())[1:], size / SCENE_SIZE).items():
        named[output / "photos" / f"{name}.png"] = degrade(photo, level(size, "mild"), noise_of(f"photo {name}"))
    for path, lq in named.items():
        images.write(images.to_pil(lq), path)
    return list(named)


def landing(output: Path, profile: str = profiles.DEFAULT) -> Path:
    """Restore the last example of the middle level by the page's defaults and write restored/NAME.png; its path.

    Args:
        output: the folder of the examples.
        profile: whose networks.
    """
    pipeline = profiles.load(profile, scheduler=profiles.profile(profile).fast)
    pipeline.set_progress_bar_config(disable=True)
    chosen = max(output.glob("*_middle.png"))
    result = pipeline(images.read(chosen), FAST_CALLS, generator=torch.Generator().manual_seed(0))
    path = output / "restored" / chosen.name
    images.write(result.images[0], path, metadata.restored_text(result.info, profile, 0, metadata.RESTORED))
    return path


def photos(faces: list[torch.Tensor], factor: float = 1) -> dict[str, torch.Tensor]:
    """Name -> (3, H, W): group scenes made of these faces, which take turns, and the astronaut's whole photo.

    Args:
        faces: (3, size, size) in [0, 1] each.
        factor: by which everything is enlarged.
    """
    result, turn = {}, cycle(faces)
    for scene in SCENES:
        result[scene.name] = compose(scene.scaled(factor), torch.stack([next(turn) for _ in range(scene.count)]))
    side = (round(256 * factor), round(192 * factor))
    small = Image.fromarray(astronaut()).crop((0, 0, 512, 384)).resize(side, Image.Resampling.LANCZOS)
    return result | {"astronaut": images.to_tensors(small)[0]}


def sheet(output: Path, seeds: Sequence[int], profile: str = profiles.DEFAULT) -> Path:
    """Write `output`: input | f(y) | DifFace | a second seed | truth, one row per face, at the middle level."""
    clean = clean_faces(seeds, profile)
    return comparison(output, list(clean), torch.stack(list(clean.values())), "middle", profile)


def comparison(output: Path, names: list[str], truth: torch.Tensor, told: str, profile: str = profiles.DEFAULT) -> Path:
    """Degrade faces, restore them twice by the profile's defaults and write the sheet; the seeds come from their names.

    Args:
        output: PNG file.
        names: of the faces.
        truth: (B, 3, size, size) in [0, 1].
        told: level, of `difface.degradation.LEVELS`.
        profile: whose networks.
    """
    lq = degrade(truth, level(truth.shape[-1], told), [noise_of(name) for name in names])
    pipeline = profiles.load(profile)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(name_seed(name) + k) for name in names for k in (0, 1)]
    result = pipeline(lq, 250, generator=generators, num_images_per_input=2, output_type="pt")
    columns = {
        "input": lq,
        "f(y)": result.estimates,
        "DifFace": result.images[0::2],
        "another seed": result.images[1::2],
        "truth": truth,
    }
    images.write(_grid(columns), output)
    return output


def _grid(columns: dict[str, torch.Tensor]) -> Image.Image:
    """Labelled columns of pictures, each (B, 3, H, W)."""
    rows, size = len(next(iter(columns.values()))), next(iter(columns.values())).shape[-1]
    size *= max(SHOWN // size, 1)
    canvas = Image.new("RGB", ((size + 4) * len(columns) - 4, (size + 4) * rows + 18), "white")
    draw = ImageDraw.Draw(canvas)
    for column, (label, batch) in enumerate(columns.items()):
        draw.text((column * (size + 4) + size / 2, 9), label, fill="black", anchor="mm")
        for row, picture in enumerate(batch):
            large = images.to_pil(picture).resize((size, size), Image.Resampling.NEAREST)
            canvas.paste(large, (column * (size + 4), 18 + row * (size + 4)))
    return canvas
