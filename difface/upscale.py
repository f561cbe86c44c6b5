"""Photos twice as large: Real-ESRGAN through spandrel where its weights are, else Lanczos."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from difface import images, weights

NETWORK = "RealESRGAN_x2plus.pth"
TILE, PAD = 400, 10
"""Side of the parts that the network sees, and the pixels around each that are cut off again; official numbers."""


def upscaler_name() -> str:
    """What `double` uses now: "Real-ESRGAN" where its weights are, else "Lanczos"."""
    try:
        weights.find(NETWORK)
    except weights.WeightMissing:
        return "Lanczos"
    return "Real-ESRGAN"


def calls(photo: Image.Image) -> int:
    """How often `double` calls the network for a photo: once per tile, never where Lanczos enlarges."""
    return 0 if upscaler_name() == "Lanczos" else len(_tiles(*photo.size))


def double(
    photo: Image.Image, device: torch.device | str = "cpu", progress: Callable[[int], None] | None = None
) -> Image.Image:
    """A photo at twice its width and height.

    The network gives the luminance only; colours are Lanczos's, so that they stay, and grey stays grey.

    Args:
        photo: RGB.
        device: where the network runs.
        progress: called with network calls done (of `calls`) after each; what it raises ends the work.

    Raises:
        ImageError: the result would have too many pixels.
        difface.weights.WeightRefused: the network's file is there, but is not what it should be.
    """
    size = (2 * photo.width, 2 * photo.height)
    images.check_size(*size, name="the photo at twice its size")
    smooth = photo.resize(size, Image.Resampling.LANCZOS)
    if upscaler_name() == "Lanczos":
        return smooth
    sharp = _by_network(photo, _network(str(weights.find(NETWORK)), str(device)), progress)
    return Image.merge("YCbCr", [sharp.convert("YCbCr").getchannel(0), *smooth.convert("YCbCr").split()[1:]]).convert(
        "RGB"
    )


@lru_cache(maxsize=1)
def _network(path: str, device: str):
    from spandrel import ModelLoader

    network = ModelLoader(device).load_from_file(path)
    if network.scale != 2:
        raise weights.WeightRefused(
            f"{path} enlarges {network.scale} times; a network for 2 times is accepted: replace it."
        )
    return network.eval()


def _tiles(width: int, height: int) -> list[tuple[int, int]]:
    """The top left corners of the tiles, as y, x."""
    return [(top, left) for top in range(0, height, TILE) for left in range(0, width, TILE)]


@torch.no_grad()
def _by_network(photo: Image.Image, network, progress: Callable[[int], None] | None) -> Image.Image:
    """Tile by tile, so that memory does not grow with the photo beyond its result."""
    given = np.asarray(photo)
    height, width = given.shape[:2]
    result = np.empty((2 * height, 2 * width, 3), np.uint8)
    for done, (top, left) in enumerate(_tiles(width, height), 1):
        bottom, right = min(top + TILE, height), min(left + TILE, width)
        y, x = max(top - PAD, 0), max(left - PAD, 0)
        seen = images.to_tensors(given[y : bottom + PAD, x : right + PAD])[0][None]
        large = images.to_uint8(network(seen.to(network.device)).float()[0])
        inside = large[2 * (top - y) : 2 * (bottom - y), 2 * (left - x) : 2 * (right - x)]
        result[2 * top : 2 * bottom, 2 * left : 2 * right] = inside
        if progress is not None:
            progress(done)
    return Image.fromarray(result)
