"""The tab that restores the faces of a whole photo: find, choose, restore, put back."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from PIL import Image

from difface import faces, metadata, profiles, upscale
from difface.faces.photo import SHOWN, numbered, restore_photo, shown_ratio
from difface.schedulers import FAST_CALLS
from space import address, judged, running, shared, widgets
from space.restore import Tab

NOTHING_CHOSEN = "no face is ticked; one or more of those found are accepted: tick those to restore."


class Found(NamedTuple):
    """What is known of a face before it is restored."""

    face: faces.Face
    doubtful: bool
    softer: bool
    """Larger and sharper than the model can draw."""

    @property
    def label(self) -> str:
        why = "doubtful, " if self.doubtful else "sharp, " if self.softer else ""
        return f"({why}{self.face.score:.0%})"


def tab(profile: profiles.Profile, examples: Path, single: Tab, tabs: gr.Tabs) -> address.Fields:
    """Draw the tab; its settings, for the page's address.

    Args:
        profile: whose networks.
        examples: folder of photos to click on.
        single: the tab that takes a picture without a face that is found.
        tabs: all of them, to go there.
    """
    # Ticked by the page once faces were found: from then on no number means no face.
    only = gr.Checkbox(False, visible="hidden", label="Only these, even if there are none")
    with gr.Row(elem_classes="work"):
        with gr.Column():
            photo, _ = widgets.picture("A photo", examples, "photo", height=190)
            boxes = widgets.shown("Click a face to tick or untick it", "photo-boxes", ["fullscreen"], height=300)
            numbers = gr.CheckboxGroup([], label="Faces to restore", type="value", elem_id="photo-faces")
            numbers.preprocess = lambda chosen: chosen  # over the API without a look first: judged by `_chosen`
            pressed = widgets.buttons("Restore", "photo-restore")
            told = widgets.status("photo-found")
            as_face = gr.Button("Show where the face is, or take it whole", visible=False, elem_id="photo-as-face")
        with gr.Column(elem_classes="outcome"):
            outputs = [
                widgets.comparison("photo-result", height=640),
                widgets.status("photo-summary"),
                widgets.download("photo-download"),
            ]
        with gr.Column(elem_classes="settings"):
            preset = widgets.presets(profile.begin_index)
            settings = _settings(profile)
            resets = gr.Row()
    widgets.follow(preset, settings[1], "photo")
    _find_on_change(photo, profile.size, boxes, [numbers, told, only, as_face])
    boxes.select(toggler(profile.size), [photo, numbers], [numbers, boxes], api_name="tick_face", **widgets.PRIVATE)
    numbers.input(drawer(profile.size), [photo, numbers], boxes, api_name="draw_ticks", **widgets.PRIVATE)
    what = "Restore faces of a photo, by the numbers of /find_faces; without numbers, all that are sure and would not "
    what += "come back softer. One call is enough."
    given = [photo, numbers, *settings, only]
    going = widgets.on_press(pressed, photo_restorer(profile.name), given, outputs, "restore_photo", what)
    with resets:
        address.reset("photo", [photo], settings, outputs, going)
    as_face.click(
        lambda photo: (photo, False, gr.Tabs(selected="restore")),
        photo,
        [single.face, single.aligned, tabs],
        api_name="as_one_face",
        **widgets.PRIVATE,
    )
    return dict(zip(("scale", "n", "seed", "strength", "strengths"), settings, strict=True))


def _settings(profile: profiles.Profile) -> list[gr.components.Component]:
    """How faces are restored: scale, N, seed, and the strengths of all and of single faces."""
    scale = gr.Radio([("Same size", 1), ("Twice the size", 2)], value=1, label="Size of the result")
    strength = widgets.slider(
        0, 100, 100, step=5, precision=0, label="Strength (%)", info="Less leaves more of the photo's own face."
    )
    with gr.Accordion("Advanced", open=False):
        strengths = gr.Textbox(
            "", label="Strength of single faces", placeholder="2: 50, 3: 80", info="Number: percent."
        )
        start = widgets.start(profile.begin_index)
        seed = widgets.seed()
    return [scale, start, seed, strength, strengths]


def _find_on_change(photo: gr.Image, size: int, boxes: gr.Image, told: list) -> None:
    """Find the faces of a new photo; `told` are the fields that speak of them."""
    # Before the faces are looked for, which may have to wait: until then those of the last photo would be on offer.
    photo.change(
        lambda photo: (
            gr.update(choices=[], value=[]),
            widgets.under_way("Finding the faces") if photo else "",
            False,
            gr.update(visible=False),
        ),
        photo,
        told,
        api_name="forget_faces",
        **widgets.PRIVATE,
    )
    finding = photo.change(
        finder(size),
        photo,
        [boxes, *told],
        api_name="find_faces",
        api_description="The faces of a photo, numbered.",
        show_progress="hidden",
        **judged.LOOK,
    )
    finding.failure(lambda: "", None, told[1], api_name="find_faces_failed", **widgets.PRIVATE)


def look_at(picture: Image.Image, size: int) -> list[Found]:
    """The faces of a photo in reading order, for a model of `size` pixels."""
    return [
        Found(face, face.score < shared.SURE, judged.is_softer(picture, face, size))
        for face in shared.remembered(faces.find_faces, picture)
    ]


def found_in(path: str, size: int) -> list[Found]:
    """`look_at` an upload, once: clicks on its faces ask again and again."""
    return _found_in(path, Path(path).stat().st_mtime_ns, size, faces.detector_name())


@lru_cache(maxsize=shared.REMEMBERED)
def _found_in(path: str, written: int, size: int, detector: str) -> list[Found]:
    return look_at(shared.read(path), size)


def _drawn(path: str, found: list[Found], ticks: list[int]) -> Image.Image:
    """The photo with its faces, numbered, and ticked where they are to be restored."""
    picture = shared.read(path, SHOWN[1])
    ratio = max(picture.size) / _longest(path)
    reduced = [replace(one.face, box=tuple(ratio * side for side in one.face.box)) for one in found]
    return numbered(picture, reduced, ticks)


def _longest(path: str) -> int:
    """The longer side of a picture file, which is the same however it is turned."""
    with Image.open(path) as picture:
        return max(picture.size)


def toggler(size: int) -> Callable:
    """The function behind a click into the photo, for a model of `size` pixels."""

    def tick_face(photo: str | None, numbers: list[int], event: gr.SelectData) -> tuple:
        """Tick or untick the smallest face whose box is there; the numbers ticked, and the photo with them."""
        if not photo:
            return gr.skip(), gr.skip()
        with shared.one_line():
            found, (x, y) = found_in(shared.there(photo), size), event.index
            ratio = shown_ratio((_longest(photo), 1))
            hit = [k for k, one in enumerate(found, 1) if _is_in(one.face, x / ratio, y / ratio)]
            if not hit:
                return gr.skip(), gr.skip()
            number = min(hit, key=lambda k: found[k - 1].face.side)
            ticks = sorted(set(numbers) ^ {number})
            return ticks, _drawn(photo, found, ticks)

    return tick_face


def _is_in(face: faces.Face, x: float, y: float) -> bool:
    left, top, right, bottom = face.box
    return left <= x <= right and top <= y <= bottom


def drawer(size: int) -> Callable:
    """The function behind a tick, for a model of `size` pixels."""

    def draw_ticks(photo: str | None, numbers: list[int]) -> Image.Image | dict:
        """The photo with these faces ticked."""
        if not photo:
            return gr.skip()
        with shared.one_line():
            return _drawn(photo, found_in(shared.there(photo), size), numbers)

    return draw_ticks


def ticked(found: list[Found]) -> list[int]:
    """Numbers of the faces to restore at first: those that are sure and gain by it; where there are none of these,
    those that are sure, so that large faces are no dead end."""
    sure = [k for k, one in enumerate(found, 1) if one.face.points is not None and not one.doubtful]
    return [k for k in sure if not found[k - 1].softer] or sure


def finder(size: int) -> Callable:
    """The function behind a new photo, for a model of `size` pixels."""

    def find_faces(photo: str | None) -> tuple:
        """Find and number the faces, and tick those that are to be restored."""
        if not photo:
            return None, gr.update(choices=[], value=[]), "", False, gr.update(visible=False)
        with shared.one_line():
            found = found_in(shared.there(photo), size)
            choices = [(f"{k} {one.label}", k) for k, one in enumerate(found, 1)]
            ticks = ticked(found)
            shown, fields = _drawn(photo, found, ticks), gr.update(choices=choices, value=ticks)
            return shown, fields, _found(found, size), bool(found), gr.update(visible=not found)

    return find_faces


def _found(found: list[Found], size: int) -> str:
    """What was found, for the status, and what is not ticked, and why."""
    if not found:
        return widgets.note(
            f"No face was found by {faces.detector_name()}. A photo with larger, upright faces may help; or show where "
            "the face is."
        )
    faces_found = "1 face was found" if len(found) == 1 else f"{len(found)} faces were found"
    doubtful, softer, unknown = (
        _those(found, lambda one: one.doubtful),
        _those(found, lambda one: one.softer and not one.doubtful),
        _those(found, lambda one: one.face.points is None),
    )
    return widgets.note(
        f"{faces_found} by {faces.detector_name()}; in brackets, how sure it is.",
        doubtful and f"Doubtful, and not ticked: {doubtful}.",
        softer and f"Sharp at more than the {size} pixels that the model draws, so restored they are softer: {softer}.",
        unknown and f"Which way is up could not be told, so left alone: {unknown}. Turn the photo upright.",
    )


def _those(found: list[Found], condition: Callable[[Found], bool]) -> str:
    """The numbers of the faces that fulfil a condition, in words; empty for none."""
    return ", ".join(str(k) for k, one in enumerate(found, 1) if condition(one))


def photo_restorer(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def restore_photo_(
        photo: str | None,
        numbers: list[int],
        scale: int,
        start: int,
        seed: int,
        strength: float,
        strengths: str,
        only: bool,
    ) -> Iterator[tuple]:
        """Restore the faces of a photo."""
        with shared.one_line():
            picture, seed = shared.read(photo), shared.seed_of(seed)
            if only and not numbers:
                raise ValueError(NOTHING_CHOSEN)
            yield None, widgets.under_way("Finding the faces"), None
            seen = found_in(photo, profiles.profile(profile).size)
            chosen, those = _chosen(numbers or ticked(seen), seen)
            parts = strengths_of(strength, strengths, those, len(seen))

            def attempt(report: Callable, device: str) -> tuple[Image.Image, dict]:
                pipeline = shared.pipeline_for(profile, start=start, device=device)
                settings = dict(seed=seed, scale=scale, large=True, strengths=parts, batch=1, progress=report)
                return restore_photo(pipeline, picture, chosen, **settings)

            run = running.run_of(attempt)
            tiles = upscale.calls(picture) if scale == 2 else 0
            yield from run.steps(lambda step: (None, _bar(step, tiles), None))
            (result, info), notes = run.result()
            comment = metadata.RESTORED if info["faces"] else metadata.UNTOUCHED
            file = shared.save(result, photo, info, profile, seed, comment, picture)
            yield _pair(picture, result), widgets.note(_summary(info["faces"], result), *info["notes"], *notes), file

    return restore_photo_


def _bar(step: running.Step, tiles: int) -> str:
    """How far it is: first the tiles of a photo that is enlarged, then face by face, as `batch=1` restores them."""
    if step.done <= tiles:
        where = f"tile {step.done} of {tiles}"
        return widgets.under_way("Enlarging the photo", step, where)
    face, call = divmod(step.done - tiles - 1, FAST_CALLS)
    faces_in_all = (step.total - tiles) // FAST_CALLS
    where = f"face {face + 1} of {faces_in_all}, step {call + 1} of {FAST_CALLS}"
    return widgets.under_way("Restoring the faces", step, where)


def strengths_of(everyone: float, single: str, numbers: list[int], count: int) -> list[float]:
    """The strengths in [0, 1] of the faces of these numbers.

    Args:
        everyone: percent, of all faces that `single` does not name.
        single: number and percent of faces, as "2: 50, 3: 80".
        numbers: of the faces.
        count: of faces in the photo.

    Raises:
        ValueError: `single` is something else, or names a face that is not there.
    """
    own = {}
    for part in filter(None, re.split(r"[,;\s]+", re.sub(r"\s*[:=]\s*", ":", single.replace("%", " ").strip()))):
        match = re.fullmatch(r"(\d{1,4}):(\d{1,3})", part)
        if match is None or not 0 < int(match[1]) <= count or int(match[2]) > 100:
            raise ValueError(
                f"the strength of single faces has {part!r:.30}; numbers of faces (1..{count}) with percents (0..100) "
                "are accepted, as 2: 50, 3: 80: change it."
            )
        own[int(match[1])] = int(match[2])
    return [own.get(number, everyone) / 100 for number in numbers]


def _chosen(numbers: list[int], seen: list[Found]) -> tuple[list[faces.Face], list[int]]:
    """The faces of these numbers, and the numbers, each once.

    Raises:
        ValueError: there is none of such a number, or there are faces and none is chosen.
    """
    for number in numbers:
        if not isinstance(number, int) or not 0 < number <= len(seen):
            raise ValueError(
                f"face {number!r:.20} is chosen of {len(seen)}; those that are found are accepted: tick them."
            )
    if seen and not numbers:
        raise ValueError(NOTHING_CHOSEN)
    numbers = list(dict.fromkeys(numbers))
    return [seen[number - 1].face for number in numbers], numbers


def _pair(before: Image.Image, after: Image.Image) -> tuple[Image.Image, Image.Image]:
    """What the slider shows: both at the size of the result, or smaller, so that a phone can load them."""
    ratio = min(1, SHOWN[1] / max(after.size))
    size = [max(1, round(side * ratio)) for side in after.size]
    return before.resize(size, Image.Resampling.LANCZOS), after.resize(size, Image.Resampling.LANCZOS)


def _summary(count: int, result: Image.Image) -> str:
    if count == 0:
        return "No face was restored: turn the photo upright, so that it can be told which way is up."
    faces_restored = "1 face was" if count == 1 else f"{count} faces were"
    return (
        f"{faces_restored} restored, and what the photo does not show of them is made up; the rest is as it was. The "
        f"file is {result.width} × {result.height} pixels."
    )
