"""What can be fetched of a restored face beside the file at its own size: as it is shown, as a JPEG, before and after
side by side, and how it came about, as a moving picture. All say inside that they are AI-restored, and how."""

import json
from pathlib import Path

import torch
from PIL import Image

from difface import images
from difface.files import whole_file
from space import shared

FRAMES = 12
"""Steps of the moving picture, at most."""
SHORT, LONG = 250, 2000
"""Milliseconds that each step is seen, and the first and the last picture."""
GAP = 8
"""Pixels between two pictures side by side."""


class Frames:
    """Some of the steps of a run, evenly chosen: small, whatever the run's length."""

    def __init__(self, total: int):
        self.every = -(-total // FRAMES)
        self.kept: list[torch.Tensor] = []

    def keep(self, done: int, x0_hat: torch.Tensor) -> None:
        """Look at the clean estimate (1, 3, H, W) in [0, 1] after `done` steps."""
        if done % self.every == 0:
            self.kept.append(x0_hat[0])


def write(
    restored: str, before: Image.Image, after: Image.Image, frames: list[Image.Image], text: dict[str, str]
) -> list[str]:
    """Write the other files of a result beside it; their paths.

    Args:
        restored: the PNG file of the face at its own size.
        before, after: as shown.
        frames: the steps, as shown.
        text: what the files say of themselves, of `difface.metadata.restored_text`.
    """
    own, name = Path(restored), Path(restored).stem
    pair = Image.new("RGB", (before.width + GAP + after.width, after.height), "white")
    pair.paste(before, (0, 0))
    pair.paste(after, (before.width + GAP, 0))
    named = {
        f"{name}_{after.width}.png": after,
        f"{name}_{after.width}.jpg": after,
        f"{name}_side_by_side.jpg": pair,
    }
    paths = [own.with_name(file) for file in named]
    for path, picture in zip(paths, named.values(), strict=True):
        images.write(picture, path, text)
    paths.append(own.with_name(f"{name}_steps.gif"))
    _moving(paths[-1], [before, *frames, after], text)
    return [str(path) for path in paths]


def _moving(path: Path, pictures: list[Image.Image], text: dict[str, str]) -> None:
    """A GIF of these pictures, the first and the last of them longer."""
    seconds = [LONG, *[SHORT] * (len(pictures) - 2), LONG]
    fast = Image.Quantize.FASTOCTREE  # a tenth of the time of Pillow's default
    small = [picture.resize((shared.SHOWN // 2, shared.SHOWN // 2)).quantize(method=fast) for picture in pictures]
    with whole_file(path) as temporary:
        small[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=small[1:],
            duration=seconds,
            loop=0,
            comment=json.dumps(text).encode(),
        )


__all__ = ["Frames", "write"]
