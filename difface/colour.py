"""Colour profiles: every picture comes in as sRGB, and goes out saying so."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""Colour space of a profile -> mode of the pixels that it is for."""
_GREY = ("1", "L", "LA", "La")
_BY_DATE = slice(24, 36)
"""Where a profile holds the time at which it was made."""


def _srgb() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_BY_DATE] = np.array([2000, 1, 1, 0, 0, 0], ">u2").tobytes()  # so that the same picture is the same file
    return bytes(profile)


SRGB = _srgb()
"""The profile that written pictures carry."""


def to_srgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Convert a picture to sRGB by the profile that it carries.

    Args:
        image: of any mode with 8 bits a channel.

    Returns:
        The picture without a profile, and what was done, in words that go on "The picture is ...". Without a profile,
        or with one that is sRGB to within a level, it is returned as it is, with one that cannot be used too.
    """
    data = image.info.get("icc_profile")
    if not data:
        return image, None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        space, name = profile.profile.xcolor_space.strip(), _name(profile)
        if not _fits(image, space):
            return image, f"of another kind than its colour profile ({name}): its colours were taken for sRGB"
        mode = _MODES[space]
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode in ("RGB", "L") and _changes_nothing(transform, mode):
            return image, None
        converted = ImageCms.applyTransform(image.convert(mode), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, "with a colour profile that is broken: its colours were taken for sRGB"
    assert converted is not None, "only a transform in place returns nothing"
    if image.has_transparency_data:
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted, f"in the colours of {name}: converted to sRGB"


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    text = profile.profile.profile_description or "an unnamed profile"
    return " ".join(text.split())[:80]


def _fits(image: Image.Image, space: str) -> bool:
    if space == "RGB":
        return image.mode not in ("CMYK", "LAB")
    return image.mode in _GREY if space == "GRAY" else image.mode == _MODES.get(space)


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform of RGB or L keeps a grid of colours to within a level."""
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    axes = np.meshgrid(*[levels] * len(mode), indexing="ij")
    grid = Image.fromarray(np.stack(axes, -1).reshape(1, -1, 3)) if mode == "RGB" else Image.fromarray(levels[None])
    after = np.asarray(ImageCms.applyTransform(grid, transform), int)
    return bool(np.abs(after - np.asarray(grid.convert("RGB"), int)).max() <= 1)
