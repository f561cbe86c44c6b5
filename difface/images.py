"""Pictures in and out: the only place where files, PIL images and uint8 arrays become tensors and back.

Everywhere else an image is a float tensor (B, 3, H, W), RGB in [0, 1].
"""

import json
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch.nn import functional

MIN_SIDE = 8
"""Shortest side in pixels that is accepted."""
MAX_PIXELS = 64_000_000
"""Largest picture (width times height) that is accepted; checked before the pixels are decoded."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Files that a folder is searched for."""


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
            f"{name} is {width}x{height} pixels; up to {MAX_PIXELS / 1e6:.0f} megapixels are accepted: scale it down first."
        )


def read(path: str | os.PathLike, name: str | None = None) -> Image.Image:
    """Read a picture file as an upright RGB image.

    Args:
        path: any format that PIL reads and any mode; of an animation the first frame.
        name: what errors call it; the path by default.

    Returns:
        RGB image with EXIF orientation applied.

    Raises:
        ImageError: not a picture, empty, truncated, or outside the accepted sizes.
        OSError: the file cannot be opened at all.
    """
    path, name = Path(path), name or str(path)
    if path.is_dir():
        raise ImageError(f"{name} is a folder; a picture file is accepted: name one.")
    if path.stat().st_size == 0:
        raise ImageError(
            f"{name} is empty (0 bytes); a PNG, JPEG, WebP, BMP or TIFF picture is accepted: replace the file."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                check_size(*image.size, name=name)
                return to_rgb(image)
    except UnidentifiedImageError:
        raise ImageError(
            f"{name} is not a picture; PNG, JPEG, WebP, BMP and TIFF are accepted: convert it to one of these."
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} is too large ({error}); up to {MAX_PIXELS / 1e6:.0f} megapixels are accepted: scale it down first."
        ) from None
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            f"{name} is damaged or truncated ({error}); a whole picture is accepted: save or download it again."
        ) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Any PIL mode (1, L, LA, P, RGB, RGBA, CMYK, I;16, F, ...) to upright RGB; transparent pixels are laid on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_to_8_bit(np.asarray(image)), "L").convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Grey values of more than 8 bits: integers above 255 span 0..65535, floats 0..1 or 0..255."""
    if not np.isfinite(values).all():
        raise ImageError(
            "the picture holds values that are not finite numbers; grey values are accepted: save it anew."
        )
    peak = values.max(initial=0)
    if values.dtype == np.uint16 or peak > 255:
        scale = 255 / 65535
    else:
        scale = 255 if values.dtype.kind == "f" and peak <= 1 else 1
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
    if isinstance(images, list | tuple):
        if not images:
            raise ImageError("no picture was given; one or more are accepted: pass a PIL image or a list of them.")
        return [tensor for image in images for tensor in to_tensors(image)]
    if isinstance(images, Image.Image):
        check_size(*images.size)
        array = np.asarray(to_rgb(images), dtype=np.uint8)
        return [torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255]
    if isinstance(images, np.ndarray):
        return _from_array(images)
    if isinstance(images, torch.Tensor):
        return _from_tensor(images)
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
    if image.shape[-2:] == (height, width):
        return image
    return functional.interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 1
    )


def fit_square(image: torch.Tensor, size: int) -> torch.Tensor:
    """(3, H, W) -> (3, size, size): padded to a square by its edge pixels, so that no face is stretched, then resized."""
    square = functional.pad(image[None], square_padding(*image.shape[-2:]), mode="replicate")
    return resize(square, size, size)[0]


def unfit_square(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Inverse of `fit_square`: (3, size, size) -> (3, height, width)."""
    side = max(height, width)
    left, _, top, _ = square_padding(height, width)
    return resize(image[None], side, side)[0, :, top : top + height, left : left + width]


def square_padding(height: int, width: int) -> tuple[int, int, int, int]:
    """Left, right, top and bottom padding that makes a square, in the order of `torch.nn.functional.pad`."""
    rows, columns = max(width - height, 0), max(height - width, 0)
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def find(inputs: list[str | os.PathLike]) -> list[Path]:
    """Files and folders as one list of picture files, folders in order of name.

    Raises:
        ImageError: a path does not exist, or a folder holds no picture.
    """
    files: list[Path] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = sorted(path for path in given.iterdir() if path.suffix.lower() in SUFFIXES)
            if not found:
                raise ImageError(
                    f"the folder {given} holds no picture; {', '.join(SUFFIXES)} files are accepted: name another folder."
                )
            files += found
        elif given.exists():
            files.append(given)
        else:
            raise ImageError(f"{given} does not exist; a picture or a folder of pictures is accepted: check the path.")
    return files


def write(image: Image.Image, path: str | os.PathLike, text: dict[str, str] | None = None) -> None:
    """Write a PNG whole or not at all (temporary name, then rename).

    Args:
        image: the picture.
        path: ends in .png.
        text: PNG text entries, e.g. the settings that made the picture.
    """
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_itxt(key, value)
    with whole_file(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=info)


def restored_text(info: dict, profile: str, seed: int) -> dict[str, str]:
    """PNG text entries of a restored picture: that it is AI-restored, and the settings (`DifFaceOutput.info`) that made it."""
    settings = {"profile": profile, "seed": seed} | {key: value for key, value in info.items() if key != "timesteps"}
    return {"Comment": "AI-restored by DifFace; details may be invented.", "difface": json.dumps(settings)}


class whole_file:
    """Context manager that yields a temporary path beside `path` and renames it to `path` if nothing went wrong."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".part")
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind, error, traceback) -> None:
        if kind is None:
            os.chmod(self.temporary, 0o666 & ~_umask())
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
