"""What can be fetched of a restored face beside the file at its own size: as it is shown, as a JPEG, before and after
side by side, and how it came about, as a moving picture. All say inside that they are AI-restored, and how."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from difface import images
from difface.files import whole_file

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

    def kept_by(self, report: Callable[[int, int, torch.Tensor], None]) -> Callable[[int, int, torch.Tensor], None]:
        """`report`, which is told of done and all steps and of the clean estimate (1, 3, H, W) in [0, 1], with some of
        them kept."""

        def reported(done: int, total: int, x0_hat: torch.Tensor) -> None:
            if done % self.every == 0:
                self.kept.append(x0_hat[0])
            report(done, total, x0_hat)

        return reported


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
        f"{name}_{max(after.size)}.png": after,
        f"{name}_{max(after.size)}.jpg": after,
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
    small = [picture.resize((picture.width // 2, picture.height // 2)).quantize(method=fast) for picture in pictures]
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
