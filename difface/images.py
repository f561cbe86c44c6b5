"""Pictures in and out: the only place where files, PIL images and uint8 arrays become tensors and back.

Everywhere else an image is a float tensor (B, 3, H, W), RGB in [0, 1].
"""

import os
import struct
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch.nn import functional

from difface import metadata
from difface.colour import to_srgb
from difface.files import whole_file

MIN_SIDE = 8
"""Shortest side in pixels that is accepted."""
MAX_PIXELS = 64_000_000
"""Largest picture (width times height) that is accepted; checked before the pixels are decoded."""
ACCEPTED = "PNG, JPEG, WebP, AVIF, HEIC, TIFF, GIF, BMP and what else Pillow reads"
"""Formats of files, in words."""
HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of files that phones write and Pillow reads by the package pi-heif only."""

Scaling = Callable[[torch.Tensor, int, int], torch.Tensor]
"""(B, C, h, w), height, width -> (B, C, height, width)."""


class ImageError(ValueError):
    """A picture that cannot be used; the message is one line with what was given, what is accepted and what to do."""


def check_size(width: int, height: int, name: str = "the picture") -> None:
    """Raise `ImageError` unless both sides are at least `MIN_SIDE` and the area at most `MAX_PIXELS`."""
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"{name} is {width}x{height} pixels; sides from {MIN_SIDE} pixels are accepted: use a larger one."
        )
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} is {width}x{height} pixels; up to {MAX_PIXELS / 1e6:.0f} megapixels are accepted: scale it down "
            "first."
        )


def read(path: str | os.PathLike, name: str | None = None, least: int | None = None) -> Image.Image:
    """Read a picture file as an upright RGB image.

    Args:
        path: any format that PIL reads and any mode; of an animation the first frame.
        name: what errors call it; the path by default.
        least: the picture may be smaller than its file has it, but both sides are at least this, where they were; a
            large JPEG is decoded in a fraction of the time.

    Returns:
        RGB image with EXIF orientation applied.

    Raises:
        ImageError: not a picture, empty, truncated, or outside the accepted sizes.
        OSError: the file cannot be opened at all.
    """
    path, name = Path(path), name or str(path)
    _check_file(path, name)
    register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that are damaged; of sizes, which are checked below
            with Image.open(path) as image:
                check_size(*image.size, name=name)
                if least:
                    image.draft(None, (least, least))  # pictures that are no JPEG stay as they are
                return to_rgb(image)
    except UnidentifiedImageError:
        raise ImageError(_not_a_picture(path, name)) from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} is too large ({error}); up to {MAX_PIXELS / 1e6:.0f} megapixels are accepted: scale it down first."
        ) from None
    except ImageError:
        raise
    except _DAMAGED as error:
        raise ImageError(
            f"{name} is damaged or truncated ({' '.join(str(error).split())}); a whole picture is accepted: save or "
            "download it again."
        ) from None


_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, RuntimeError, struct.error)
"""What the readers of Pillow raise."""


def _check_file(path: Path, name: str) -> None:
    """Raise `ImageError` unless the path leads to a file with something in it."""
    if path.is_dir():
        raise ImageError(f"{name} is a folder; a picture file is accepted: name one.")
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist (a broken link?); a picture file is accepted: check it.") from None
    except OSError as error:
        raise ImageError(f"{name} leads nowhere ({error.strerror}); a picture file is accepted: check it.") from None
    if empty:
        raise ImageError(f"{name} is empty (0 bytes); {ACCEPTED} are accepted: replace the file.")


@cache
def register_heif() -> bool:
    """Let Pillow read HEIC; whether it can."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _not_a_picture(path: Path, name: str) -> str:
    """What to say of a file that Pillow does not know."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:] not in HEIC:
        return f"{name} is not a picture; {ACCEPTED} are accepted: convert it to one of these."
    if register_heif():
        return f"{name} is a HEIC picture that is damaged; a whole picture is accepted: save or download it again."
    return f"{name} is a HEIC picture, which needs the package pi-heif: `pip install pi-heif`, or convert it to JPEG."


def to_rgb(image: Image.Image) -> Image.Image:
    """Any PIL mode (1, L, LA, P, RGB, RGBA, CMYK, I;16, F, ...) to upright sRGB; transparent pixels are laid on white.

    `.info` of the result holds what goes on to a picture that is made of it (`difface.metadata.kept`) and `notes`, a
    list of what was done to its colours.
    """
    info = metadata.kept(image) | {"notes": list(image.info.get("notes", []))}
    profile, from_file = image.info.get("icc_profile"), image.format is not None
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = Image.fromarray(_to_8_bit(np.asarray(image), from_file), "L")
        image.info = {"icc_profile": profile}
    image, note = to_srgb(image)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    rgb = image.convert("RGB")
    rgb.info = info | {"notes": info["notes"] + ([note] if note else [])}
    return rgb


def _to_8_bit(values: np.ndarray, from_file: bool) -> np.ndarray:
    """Grey values of more than 8 bits: 0..65535 of 16-bit integers and of others in a file, however dark it is;
    elsewhere 0..255 where there are none above, and floats 0..1 or 0..255.
    """
    if not np.isfinite(values).all():
        raise ImageError(
            "the picture holds values that are not finite numbers; grey values are accepted: save it anew."
        )
    peak = values.max(initial=0)
    if values.dtype.kind == "u" or (from_file and values.dtype.kind == "i") or peak > 255:
        scale = 255 / 65535
    elif values.dtype.kind == "f" and peak <= 1:
        scale = 255
    else:
        scale = 1
    return np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)


def to_tensors(images: Image.Image | np.ndarray | torch.Tensor | list) -> list[torch.Tensor]:
    """What a caller may hand over, as a list of (3, H, W) float32 CPU tensors in [0, 1].

    Args:
        images: a PIL image; a uint8 array (H, W), (H, W, 3), (H, W, 4) or (B, H, W, 3); a float tensor (3, H, W) or
            (B, 3, H, W) in [0, 1]; or a list of any of these. Sizes within a list may differ.

    Raises:
        ImageError: wrong size or range.
        TypeError: something else altogether.
    """
    return [tensor for tensor, _ in with_notes(images)]


def with_notes(images: Image.Image | np.ndarray | torch.Tensor | list) -> list[tuple[torch.Tensor, list[str]]]:
    """As `to_tensors`, and with each picture what was done to its colours, in words that go on "The picture is ..."."""
    if isinstance(images, list | tuple):
        if not images:
            raise ImageError("no picture was given; one or more are accepted: pass a PIL image or a list of them.")
        return [pair for image in images for pair in with_notes(image)]
    if isinstance(images, Image.Image):
        check_size(*images.size)
        rgb = to_rgb(images)
        array = np.asarray(rgb, dtype=np.uint8)
        return [(torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255, rgb.info["notes"])]
    if isinstance(images, np.ndarray):
        return [(tensor, []) for tensor in _from_array(images)]
    if isinstance(images, torch.Tensor):
        return [(tensor, []) for tensor in _from_tensor(images)]
    raise TypeError(
        f"`image` must be a PIL image, a uint8 array, a tensor (B, 3, H, W) in [0, 1] or a list of these; got "
        f"{type(images).__name__}. Read a file with `difface.images.read`."
    )


def _from_array(array: np.ndarray) -> list[torch.Tensor]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3, 4):
        raise ImageError(
            f"`image` as an array must be uint8 (H, W), (H, W, 3), (H, W, 4) or (B, H, W, 3); got {array.dtype} "
            f"{array.shape}. Pass floats as a tensor (B, 3, H, W) in [0, 1]."
        )
    if array.ndim == 4:
        return [tensor for one in array for tensor in _from_array(one)]
    if array.ndim == 3 and array.shape[2] not in (3, 4):
        raise ImageError(f"`image` as an array must have 3 or 4 channels last; got {array.shape}. Transpose it.")
    return to_tensors(Image.fromarray(array))


def _from_tensor(tensor: torch.Tensor) -> list[torch.Tensor]:
    batch = tensor.unsqueeze(0) if tensor.ndim == 3 else tensor
    if not tensor.is_floating_point() or batch.ndim != 4 or batch.shape[1] != 3 or batch.numel() == 0:
        raise ImageError(
            f"`image` must be (B, 3, H, W) in [0, 1]; got {tensor.dtype} {tuple(tensor.shape)}. "
            "Use `difface.images.to_tensors` on a PIL image or a uint8 array."
        )
    low, high = batch.min().item(), batch.max().item()
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # also refuses NaN
        raise ImageError(
            f"`image` must be (B, 3, H, W) in [0, 1]; got values in [{low:.4g}, {high:.4g}]. Rescale it to [0, 1]."
        )
    check_size(batch.shape[3], batch.shape[2])
    return list(batch.detach().float().cpu().clamp(0, 1))


def to_uint8(image: torch.Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> uint8 (H, W, 3), rounded once."""
    return image.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def to_pil(image: torch.Tensor) -> Image.Image:
    """(3, H, W) in [0, 1] -> RGB image."""
    return Image.fromarray(to_uint8(image))


def resize(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(B, 3, h, w) -> (B, 3, height, width), bicubic with antialias as in the official code, in [0, 1]."""
    return _bicubic(image, height, width).clamp(0, 1)


def fit_square(image: torch.Tensor, size: int) -> torch.Tensor:
    """(3, H, W) -> (3, size, size): made square by its edge pixels, so that no face is stretched, then resized."""
    return fit_squares(image[None], size, _bicubic).clamp(0, 1)[0]


def fit_squares(batch: torch.Tensor, size: int, scaled: Scaling) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, size, size): padded to a square by its edge pixels, then scaled.

    The longer axis is scaled first, and only then is the shorter one padded: the same numbers as of the whole square,
    which would be 4,800 MB of a picture of 20,000 x 8 pixels.
    """
    height, width = batch.shape[-2:]
    if height > width:
        return fit_squares(batch.mT, size, scaled).mT
    missing = width - height
    strip = scaled(batch, height, size)
    square = functional.pad(strip, (0, 0, missing // 2, missing - missing // 2), mode="replicate")
    return scaled(square, size, size)


def unfit_square(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Inverse of `fit_square`: (3, size, size) -> (3, height, width)."""
    if height > width:
        return unfit_square(image.mT, width, height).mT
    top, size = (width - height) // 2, image.shape[-1]
    strip = _bicubic(image[None], width, size)[..., top : top + height, :]
    return _bicubic(strip, height, width)[0].clamp(0, 1)


def _bicubic(batch: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(B, C, h, w) -> (B, C, height, width); its overshoots are not clipped yet."""
    if batch.shape[-2:] == (height, width):
        return batch
    return functional.interpolate(batch, (height, width), mode="bicubic", antialias=True, align_corners=False)


def write(
    image: Image.Image, path: str | os.PathLike, text: dict[str, str] | None = None, source: Image.Image | None = None
) -> None:
    """Write a picture in sRGB, whole or not at all.

    Args:
        image: the picture.
        path: ends in .png, or in .jpg for a JPEG.
        text: what it says of itself, e.g. the settings that made it (`difface.metadata.restored_text`).
        source: the picture that it was made of, of `read`, whose date and resolution it keeps.
    """
    going_on = {} if source is None else metadata.kept(source)
    arguments = metadata.saving(Path(path).suffix.lower().removeprefix("."), text or {}, going_on)
    with whole_file(path) as temporary:
        image.save(temporary, **arguments)
