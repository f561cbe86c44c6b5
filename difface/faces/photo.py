"""Whole photos: restore every face and paste it back; what is around the faces stays as it is."""

from collections import Counter
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from difface import images, upscale
from difface.chain import DEFAULT_ETA, chain
from difface.faces.align import FFHQ_TEMPLATE, feather, paste, warp
from difface.faces.detect import Face, detector_name, find_faces
from difface.pipeline import DifFacePipeline
from difface.tone import Curve, tone_of

LARGEST = 1.5
"""A face whose aligned square is more than this many times the model's size is left alone: it is better as it is."""
SHARP = 2.0
"""What a face loses, root mean square in grey levels, when it is reduced to a model's size and enlarged again: from
here on it shows details that the model cannot draw. At 128 pixels real faces of 230 to 430 lost 1.3 to 3.0."""
BATCH = 8
"""Faces that go through the networks at once."""
SHOWN = (900, 1800)
"""Longer side in pixels of a photo with numbered boxes, at least and at most."""
SEEN = 256
"""Side in pixels to which a whole photo is reduced, to see whether it has one tone."""


def restore_photo(
    pipeline: DifFacePipeline,
    photo: Image.Image,
    found: list[Face] | None = None,
    *,
    seed: int = 0,
    num_inference_steps: int | None = None,
    eta: float = DEFAULT_ETA,
    scale: int = 1,
    large: bool = False,
    strengths: Sequence[float] | None = None,
    batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Image.Image, dict]:
    """Restore the faces of a photo.

    Args:
        pipeline: ready to be called.
        photo: any mode; EXIF orientation is applied, and the faces are those of the upright photo.
        found: faces to restore, of `find_faces`; None finds them.
        seed: of every face, so that a face comes back the same whichever others are restored.
        num_inference_steps, eta: as for the pipeline.
        scale: 1, or 2 for a photo twice as wide and high (`difface.upscale`).
        large: restore also faces of more than `LARGEST` times the model's size.
        strengths: of each face of `found`, in [0, 1]: how much of the restored face is laid over the photo's own; None
            for all of it.
        batch: faces that go through the networks at once.
        progress: called with network calls done and in all (tiles that are enlarged, faces times steps) after each;
            what it raises ends the work.

    Returns:
        The photo, and the pipeline's `.info` with `faces` (how many were restored), `notes` (lines about what was done
        to the photo and its faces on the way in, and about faces that were left alone or come back soft), `detector`
        and, at scale 2, `upscaler`.

    Raises:
        ValueError: another scale; not one strength in [0, 1] for each face.
        ImageError: there is no face, or the photo at twice its size is too large.
        difface.weights.WeightRefused: a file of weights is not what it should be.
    """
    if scale not in (1, 2):
        raise ValueError(f"`scale` must be 1 or 2; got {scale!r}.")
    photo = images.to_rgb(photo)
    found = _faces(photo, found)
    strength_of = _strengths(found, strengths)
    known = [face for face in found if face.points is not None]
    chosen = [face for face in known if large or not is_large(face, pipeline.size)]
    left = _unknown(len(found) - len(known), len(found)) + _notes(known, len(found), large, pipeline.size)
    info: dict = {"faces": len(chosen), "detector": detector_name()}
    notes: list[str] = []
    before = np.asarray(photo)
    result = before.copy()
    steps = len(chain(pipeline.scheduler, pipeline.config.begin_index, num_inference_steps, eta).timesteps)
    tiles = upscale.calls(photo) if scale == 2 else 0
    report = _reporter(progress, tiles + len(chosen) * steps)
    if scale == 2:
        info["upscaler"] = upscale.upscaler_name()
        result = np.array(upscale.double(photo, pipeline.device, report))
    one_tone, template = _one_tone(photo), FFHQ_TEMPLATE * pipeline.size
    places = [(face.points, strength_of[face]) for face in chosen if face.points is not None]
    for first in range(0, len(places), batch):
        part = places[first : first + batch]
        crops = [warp(before, points, template, pipeline.size) for points, _ in part]
        generators = [torch.Generator().manual_seed(seed) for _ in part]
        follow = _follow(report, tiles + first * steps, len(part))
        output = pipeline(crops, num_inference_steps, eta, generators, output_type="pt", callback_on_step_end=follow)
        notes += [note for of_face in output.info["notes"] for note in of_face]
        info |= output.info
        for (points, strength), crop, restored in zip(part, crops, output.images, strict=True):
            restored = images.to_uint8(one_tone.tinted(restored) if one_tone else restored)
            # Pixel i is centred at i + 0.5 at either scale.
            paste(result, match_colour(restored, crop), (points + 0.5) * scale - 0.5, strength)
    lines = [f"the photo is {note}." for note in photo.info["notes"]]
    lines += [f"{count} of {len(chosen)} faces: {note}." for note, count in Counter(notes).items()]
    return Image.fromarray(result), info | {"notes": lines + left}


def _faces(photo: Image.Image, found: list[Face] | None) -> list[Face]:
    found = find_faces(photo) if found is None else found
    if not found:
        raise images.ImageError(
            "no face was found; a photo with faces of 20 pixels or more is accepted: if the picture is one face that "
            "fills it, restore it as one aligned face, not as a photo."
        )
    return found


def _strengths(found: list[Face], strengths: Sequence[float] | None) -> dict[Face, float]:
    strengths = [1.0] * len(found) if strengths is None else strengths
    if len(strengths) != len(found) or not all(0 <= one <= 1 for one in strengths):
        raise ValueError(f"`strengths` must be {len(found)} numbers in [0, 1], one for each face; got {strengths}.")
    return dict(zip(found, strengths, strict=True))


def is_large(face: Face, size: int) -> bool:
    """Whether a face is better left alone by a model of `size` pixels, see `LARGEST`."""
    return face.side > LARGEST * size


def is_sharp(crop: Image.Image, size: int) -> bool:
    """Whether an aligned face shows details that a model of `size` pixels cannot draw, see `SHARP`."""
    grey = crop.convert("L")
    seen = grey.resize((size, size), Image.Resampling.BOX).resize(grey.size, Image.Resampling.BICUBIC)
    lost = np.asarray(grey, np.float32) - np.asarray(seen, np.float32)
    height, width = lost.shape
    middle = lost[height // 5 : height - height // 5, width // 5 : width - width // 5]
    return min(grey.size) > size and float((middle**2).mean()) ** 0.5 >= SHARP


def _unknown(count: int, total: int) -> list[str]:
    """A note about faces whose orientation is not known."""
    if not count:
        return []
    return [f"which way is up could not be told of {count} of {total} faces, left as they are: turn it upright."]


def _notes(known: list[Face], total: int, large: bool, size: int) -> list[str]:
    count = sum(is_large(face, size) for face in known)
    if not count:
        return []
    end = f"enlarged from {size} pixels and may look soft" if large else "left as they are"
    return [f"{count} of {total} faces are larger than {LARGEST:g} times the model's {size} pixels: {end}."]


def _reporter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None] | None:
    """`progress` of network calls done, of `total`."""
    return None if progress is None else lambda done: progress(done, total)


def _follow(report: Callable[[int], None] | None, before: int, count: int) -> Callable | None:
    """A callback for the pipeline that adds the network calls of `count` faces to those `before`."""
    if report is None:
        return None

    def follow(pipeline: DifFacePipeline, step: int, timestep: int, tensors: dict) -> dict:
        report(before + (step + 1) * count)
        return {}

    return follow


def match_colour(restored: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Give a restored face its crop's colours: each channel's standard deviation on the head, its mean everywhere.

    The local mean is over a sixteenth of the side (a Gaussian's standard deviation), so that neither the face nor what
    is next to it becomes lighter or darker, or takes a tint, where it is pasted.

    Args:
        restored, crop: (size, size, 3) uint8.
    """
    restored, crop = restored.astype(np.float32), crop.astype(np.float32)
    head = feather(len(crop))
    matched = restored * _spread(crop, head) / np.maximum(_spread(restored, head), 1)
    matched += _local_mean(crop) - _local_mean(matched)
    return np.rint(matched.clip(0, 255)).astype(np.uint8)


def _spread(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(3,) weighted standard deviation of each channel."""
    mean = np.average(picture.reshape(-1, 3), 0, weight.ravel())
    return np.average(((picture - mean) ** 2).reshape(-1, 3), 0, weight.ravel()) ** 0.5


def _local_mean(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), len(picture) / 16, borderType=cv2.BORDER_REPLICATE)


def _one_tone(photo: Image.Image) -> Curve | None:
    """The one tone of a whole photo, whose faces may be too small or too noisy to show it."""
    return tone_of(images.to_tensors(photo.resize((SEEN, SEEN), Image.Resampling.BOX))[0]).curve


def shown_ratio(size: tuple[int, int]) -> float:
    """By how much a photo of (width, height) is enlarged by `numbered`, see `SHOWN`."""
    longest = max(size)
    return min(max(longest, SHOWN[0]), SHOWN[1]) / longest


def numbered(photo: Image.Image, found: list[Face], ticked: Sequence[int] | None = None) -> Image.Image:
    """The photo with a box around each face, its number in the list (from 1) above and its score below.

    A small photo is shown enlarged and a large one reduced, see `SHOWN`, so that the text is readable; it is as large
    as the face and the photo need.

    Args:
        photo: the one that the faces were found in, or a smaller copy of it where `found` is in its pixels.
        found: its faces.
        ticked: numbers of those that are chosen, whose boxes are full and have a tick; None for all, without ticks.
    """
    photo = images.to_rgb(photo)
    ratio = shown_ratio(photo.size)
    photo = photo.resize([round(side * ratio) for side in photo.size], Image.Resampling.LANCZOS, reducing_gap=2)
    draw, least, line = ImageDraw.Draw(photo), max(photo.size) / 55, round(max(photo.size) / 300)
    for number, face in enumerate(found, 1):
        left, top, right, bottom = box = [ratio * side for side in face.box]
        text = min(max((right - left) / 3, least), 2.2 * least)
        is_ticked = ticked is None or number in ticked
        draw.rectangle(box, outline="black", width=line + 2)
        inner = (left + 1, top + 1, right - 1, bottom - 1)
        draw.rectangle(inner, outline="white", width=line if is_ticked else 1)
        if ticked is not None and is_ticked:
            _tick(draw, right, top, text)
        _label(draw, str(number), (left + right) / 2, top - 2, text, photo.height)
        _label(draw, f"{face.score:.2f}", (left + right) / 2, bottom + 0.8 * text, 0.7 * text, photo.height)
    return photo


def _tick(draw: ImageDraw.ImageDraw, right: float, top: float, size: float) -> None:
    """A white tick on a green square in the upper right corner of a box."""
    left, bottom = right - size, top + size
    draw.rectangle((left, top, right, bottom), fill="#15803d", outline="white")
    strokes = [(left + x * size, top + y * size) for x, y in ((0.2, 0.55), (0.42, 0.78), (0.82, 0.25))]
    draw.line(strokes, fill="white", width=max(2, round(size / 8)), joint="curve")


def _label(draw: ImageDraw.ImageDraw, text: str, x: float, bottom: float, size: float, height: int) -> None:
    """White text on black that ends at `bottom`, kept inside the picture."""
    font = ImageFont.load_default(size)
    y = min(max(bottom, 1.2 * size), height - 1)
    left, top, right, bottom = draw.textbbox((x, y), text, font, anchor="mb")
    draw.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill="black")
    draw.text((x, y), text, "white", font, anchor="mb")
