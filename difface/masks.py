"""Masks of missing pixels: the four kinds of the inpainting test set, those of training, and a picture's holes.

As with degradations, parameters are drawn first (`Mask`, from a generator) and painted afterwards (`Mask.paint`), so
that a test set can be written down and the same mask had at any size. The numbers are those of the official code at 256
pixels.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from difface import images
from difface.images import ImageError

OFFICIAL_SIZE = 256
"""Side in pixels of the pictures that the parameters are meant for."""
SMALLEST_HOLE = 16
"""Pixels that `find_mask` takes for a hole when they are connected and black."""
NEARLY_BLACK = 16
"""A level of 255 below which all channels of a pixel look black."""
_GIVE_A_MASK = "give a mask (--mask FILE, white = missing)."
_LOSSLESS_TIFF = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits")


@dataclass(frozen=True)
class Mask:
    """What is missing of 256 x 256 pixels. `dataclasses.asdict` gives its JSON form, `Mask(**d)` reads it back.

    Attributes:
        kind: "box", "irregular", "half", "expand" or "outpainting".
        boxes: rectangles (left, top, right, bottom), the right and bottom edges not included.
        strokes: brush strokes (x, y, x, y, width) from point to point.
    """

    kind: str
    boxes: Sequence[Sequence[int]] = ()
    strokes: Sequence[Sequence[int]] = ()

    def paint(self, height: int, width: int | None = None) -> torch.Tensor:
        """The mask at a size, stretched from 256 x 256.

        Args:
            height, width: in pixels; `width` is `height` by default.

        Returns:
            (1, 1, height, width) float32, 1 = missing and 0 = known.

        Example:
            >>> Mask("box", boxes=[(64, 0, 128, 128)]).paint(4)[0, 0]
            tensor([[0., 1., 0., 0.],
                    [0., 1., 0., 0.],
                    [0., 0., 0., 0.],
                    [0., 0., 0., 0.]])
        """
        width = height if width is None else width
        canvas = np.zeros((height, width), np.uint8)
        across, down = width / OFFICIAL_SIZE, height / OFFICIAL_SIZE
        for left, top, right, bottom in self.boxes:
            canvas[round(top * down) : round(bottom * down), round(left * across) : round(right * across)] = 1
        for *points, thickness in self.strokes:
            x_0, y_0, x_1, y_1 = (round(p * s) for p, s in zip(points, (across, down) * 2, strict=True))
            cv2.line(canvas, (x_0, y_0), (x_1, y_1), 1, max(1, round(thickness * min(across, down))))
        return torch.from_numpy(canvas).float()[None, None]


def box(generator: torch.Generator) -> Mask:
    """1 to 4 rectangles with sides of 30 to 150 pixels, at least 10 from the border.

    Example:
        >>> box(torch.Generator().manual_seed(0))
        Mask(kind='box', boxes=((52, 23, 188, 153),), strokes=())
    """
    margin = 10
    boxes = []
    for _ in range(_whole(generator, 1, 4)):
        width, height = _whole(generator, 30, 150), _whole(generator, 30, 150)
        left = _whole(generator, margin, OFFICIAL_SIZE - margin - width)
        top = _whole(generator, margin, OFFICIAL_SIZE - margin - height)
        boxes.append((left, top, left + width, top + height))
    return Mask("box", boxes=tuple(boxes))


def irregular(generator: torch.Generator) -> Mask:
    """1 to 6 strokes of 1 to 5 straight parts, each 10 to 209 pixels long and 5 to 104 wide.

    A part runs at 0.01, 1.01, 2.01 or 3.01 radians from straight down; every other stroke is mirrored, the first too.

    Example:
        >>> irregular(torch.Generator().manual_seed(0)).strokes[0]
        (47, 117, 22, 0, 32)
    """
    strokes = []
    for i in range(_whole(generator, 1, 6)):
        x, y = _whole(generator, 0, OFFICIAL_SIZE - 1), _whole(generator, 0, OFFICIAL_SIZE - 1)
        for _ in range(_whole(generator, 1, 5)):
            angle = 0.01 + _whole(generator, 0, 3)
            angle = 2 * pi - angle if i % 2 == 0 else angle
            length, thickness = _whole(generator, 10, 209), _whole(generator, 5, 104)
            end_x = min(max(int(x + length * sin(angle)), 0), OFFICIAL_SIZE)
            end_y = min(max(int(y + length * cos(angle)), 0), OFFICIAL_SIZE)
            strokes.append((x, y, end_x, end_y, thickness))
            x, y = end_x, end_y
    return Mask("irregular", strokes=tuple(strokes))


def half(generator: torch.Generator) -> Mask:
    """The bottom or the right half, with equal odds.

    Example:
        >>> half(torch.Generator().manual_seed(0)).boxes
        ((0, 128, 256, 256),)
    """
    full, middle = OFFICIAL_SIZE, OFFICIAL_SIZE // 2
    bottom = _whole(generator, 0, 1) == 0
    return Mask("half", boxes=((0, middle, full, full) if bottom else (middle, 0, full, full),))


def expand(generator: torch.Generator) -> Mask:
    """All but the central 128 x 128 pixels; nothing is drawn.

    Example:
        >>> expand(torch.Generator()).paint(256).mean()
        tensor(0.7500)
    """
    full, low, high = OFFICIAL_SIZE, OFFICIAL_SIZE // 4, 3 * OFFICIAL_SIZE // 4
    return Mask(
        "expand", boxes=((0, 0, full, low), (0, high, full, full), (0, low, low, high), (high, low, full, high))
    )


def outpainting(generator: torch.Generator) -> Mask:
    """Strips of 4 to 30 % along the sides, each side with probability 0.5 and at least one (a mask of training).

    Example:
        >>> outpainting(torch.Generator().manual_seed(0)).boxes
        ((0, 0, 256, 52), (213, 0, 256, 256))
    """
    full = OFFICIAL_SIZE
    while not any(chosen := [_whole(generator, 0, 1) == 1 for _ in range(4)]):
        pass
    strips = [round(full * (0.04 + 0.26 * torch.rand((), generator=generator).item())) for _ in range(4)]
    left, top, right, bottom = strips
    sides = ((0, 0, left, full), (0, 0, full, top), (full - right, 0, full, full), (0, full - bottom, full, full))
    return Mask("outpainting", boxes=tuple(side for side, taken in zip(sides, chosen, strict=True) if taken))


def training(generator: torch.Generator) -> Mask:
    """A mask of training: a third each irregular, box and outpainting.

    Example:
        >>> [training(torch.Generator().manual_seed(seed)).kind for seed in range(6)]
        ['outpainting', 'box', 'irregular', 'box', 'box', 'outpainting']
    """
    return (irregular, box, outpainting)[_whole(generator, 0, 2)](generator)


MASKS: dict[str, Callable[[torch.Generator], Mask]] = {
    "box": box,
    "irregular": irregular,
    "half": half,
    "expand": expand,
}
"""The kinds of Table VI."""


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number in low..high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def plan(files: Sequence[str | os.PathLike], per_kind: int = 500, seed: int = 12345) -> list[tuple[Path, Mask]]:
    """The inpainting test set: which picture gets which mask.

    The pictures are taken in order of name (the official script's order depended on the file system), `per_kind` each
    for box, irregular, expand and half. Picture k draws from a generator of its own, seeded with `seed` + k.

    Args:
        files: at least 4 `per_kind` pictures.
        per_kind: pictures per kind of mask.
        seed: of the first picture.

    Raises:
        ValueError: too few files.

    Example:
        >>> [(file.name, mask.kind) for file, mask in plan(["b.png", "a.png", "d.png", "c.png"], per_kind=1)]
        [('a.png', 'box'), ('b.png', 'irregular'), ('c.png', 'expand'), ('d.png', 'half')]
    """
    kinds = [kind for kind in (box, irregular, expand, half) for _ in range(per_kind)]
    if len(files) < len(kinds):
        raise ValueError(
            f"{len(files)} pictures were given; {len(kinds)} are needed for {per_kind} of each of the four kinds: "
            "lower `per_kind`."
        )
    chosen = sorted(map(Path, files), key=lambda file: (file.name, file))
    generators = (torch.Generator().manual_seed(seed + k) for k in range(len(kinds)))
    return [(file, kind(generator)) for file, kind, generator in zip(chosen, kinds, generators, strict=False)]


def read_mask(file: str | os.PathLike) -> torch.Tensor:
    """A mask from a picture file, white = missing and black = known.

    Returns:
        (1, 1, H, W) float32, 1 = missing.

    Raises:
        ImageError: no picture, or other colours than pure black and white.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> picture = Image.new("1", (64, 64))
        >>> picture.paste(1, (0, 32, 64, 64))  # the lower half in white
        >>> with TemporaryDirectory() as folder:
        ...     picture.save(f"{folder}/mask.png")
        ...     read_mask(f"{folder}/mask.png").mean((0, 1, 3))[30:34]
        tensor([0., 0., 1., 1.])
    """
    levels = np.asarray(images.read(file))
    if not np.isin(levels, (0, 255)).all() or np.ptp(levels, axis=2).any():
        raise ImageError(
            f"{file} holds other colours than black and white; a binary mask is accepted, white = missing: threshold "
            "it and save it as PNG."
        )
    return torch.from_numpy(levels[..., 0] == 255).float()[None, None]


def find_mask(file: str | os.PathLike) -> torch.Tensor:
    """The holes of a picture: connected areas of exact (0, 0, 0) of at least 16 pixels, in a lossless file.

    A hole that was cut has bright pixels along most of its edge, whereas true black fades in; where an area's edge is
    nearly black for a quarter of its length or more, or the file may have lost its exact values, the caller must give a
    mask.

    Returns:
        (1, 1, H, W) float32, 1 = missing.

    Raises:
        ImageError: no hole was found, or it is doubtful whether one is.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> picture = Image.new("RGB", (64, 64), "white")
        >>> picture.paste("black", (8, 8, 16, 16))
        >>> with TemporaryDirectory() as folder:
        ...     picture.save(f"{folder}/picture.png")
        ...     find_mask(f"{folder}/picture.png").sum()
        tensor(64.)
    """
    levels = np.asarray(images.read(file)).max(axis=2)
    _check_lossless(file)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((levels == 0).astype(np.uint8), connectivity=8)
    areas = [k for k in range(1, count) if statistics[k, cv2.CC_STAT_AREA] >= SMALLEST_HOLE]
    missing = np.isin(labels, areas)
    if not areas:
        raise ImageError(f"the picture has no area of exact black; holes are accepted: {_GIVE_A_MASK}")
    if missing.all():
        raise ImageError(f"the picture is black all over; some known pixels are accepted: {_GIVE_A_MASK}")
    for area in areas:
        inside = (labels == area).astype(np.uint8)
        edge = levels[(cv2.dilate(inside, np.ones((3, 3), np.uint8)) - inside).astype(bool)]
        if (edge < NEARLY_BLACK).mean() >= 0.25:
            left, top = statistics[area, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
            raise ImageError(
                f"the black area at x {left}, y {top} may be true black, for it is dark around it; cut-out holes are "
                f"accepted: {_GIVE_A_MASK}"
            )
    return torch.from_numpy(missing).float()[None, None]


def _check_lossless(file: str | os.PathLike) -> None:
    """Refuse formats in which exact black may not be exact: JPEG and WebP, and more than 8 bits a channel."""
    with Image.open(file) as image:
        lossless = image.format in ("PNG", "BMP") or image.info.get("compression") in _LOSSLESS_TIFF
        if not lossless or image.mode.startswith(("I", "F")):
            raise ImageError(
                f"the file is {image.format} ({image.mode}), in which black may not be exact; PNG, BMP and lossless "
                f"TIFF of 8 bits are accepted: {_GIVE_A_MASK}"
            )


def resized(mask: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A mask at another size: a pixel is missing if any that it overlaps is. Thin scratches stay holes, and none moves.

    Args:
        mask: (B, 1, H, W), 1 = missing.
        height, width: in pixels.

    Returns:
        (B, 1, height, width).

    Example:
        >>> scratch = torch.zeros(1, 1, 4, 4)
        >>> scratch[..., 1] = 1
        >>> resized(scratch, 2, 2)[0, 0]
        tensor([[1., 0.],
                [1., 0.]])
    """
    return functional.adaptive_max_pool2d(mask, (height, width))


def paste_known(restored: Image.Image, original: Image.Image, mask: torch.Tensor) -> Image.Image:
    """The final composite: the original's own bytes where they are known, the restored picture in the holes.

    Args:
        restored, original: RGB pictures of one size.
        mask: (1, 1, H, W) of that size, 1 = missing.

    Example:
        >>> restored, original = (Image.new("RGB", (2, 1), colour) for colour in ("red", "blue"))
        >>> composite = paste_known(restored, original, torch.tensor([[[[1.0, 0.0]]]]))
        >>> composite.getpixel((0, 0)), composite.getpixel((1, 0))
        ((255, 0, 0), (0, 0, 255))
    """
    missing = Image.fromarray((mask[0, 0].numpy() == 1).astype(np.uint8) * 255, "L")
    return Image.composite(restored, original.convert("RGB"), missing)
