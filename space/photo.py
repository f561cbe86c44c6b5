"""The tab that restores the faces of a whole photo: find, choose, restore, put back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from PIL import Image

from difface import faces, metadata, profiles
from difface.faces.photo import BATCH, SHOWN, numbered, restore_photo, shown_ratio
from space import judged, running, shared, widgets
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


def tab(profile: profiles.Profile, examples: Path, single: Tab, tabs: gr.Tabs) -> None:
    """Draw the tab.

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
            boxes = widgets.shown("Faces found: click one to take it or leave it", "photo-boxes", height=300)
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
            scale, strength, start, seed = _settings(profile)
    widgets.follow(preset, start, "photo")
    _find_on_change(photo, profile.size, boxes, [numbers, told, only, as_face])
    choosing = dict(show_progress="hidden", api_visibility="private", **judged.LOOK)
    boxes.select(clicked(profile.size), [photo, numbers], [numbers, boxes], api_name="click_face", **choosing)
    numbers.input(drawn(profile.size), [photo, numbers], boxes, api_name="draw_faces", **choosing)
    what = "Restore faces of a photo, by the numbers of /find_faces; without numbers, all that are sure and would not "
    what += "come back softer. One call is enough."
    given = [photo, numbers, scale, strength, start, seed, only]
    widgets.on_press(pressed, photo_restorer(profile.name), given, outputs, "restore_photo", what)
    as_face.click(
        lambda photo: (photo, False, gr.Tabs(selected="restore")),
        photo,
        [single.face, single.aligned, tabs],
        api_name="as_one_face",
        **widgets.PRIVATE,
    )


def _settings(profile: profiles.Profile) -> tuple[gr.Radio, gr.Slider, gr.Slider, gr.Number]:
    """How faces are restored: scale, strength, N, seed."""
    scale = gr.Radio([("Same size", 1), ("Twice the size", 2)], value=1, label="Size of the result")
    strength = widgets.slider(
        0, 100, 100, step=5, precision=0, label="Strength (%)", info="Less leaves more of the photo's own face."
    )
    with gr.Accordion("Advanced", open=False):
        start = widgets.start(profile.begin_index)
        seed = widgets.seed()
    return scale, strength, start, seed


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
            picture = shared.read(photo)
            found = look_at(picture, size)
            choices = [(f"{k} {one.label}", k) for k, one in enumerate(found, 1)]
            ticks = gr.update(choices=choices, value=ticked(found))
            shown = numbered(picture, [one.face for one in found], ticked(found))
            return shown, ticks, _found(found, size), bool(found), gr.update(visible=not found)

    return find_faces


def drawn(size: int) -> Callable:
    """The function behind a tick: the photo with the boxes of today's choice."""

    def draw_faces(photo: str | None, numbers: list[int]) -> Image.Image | dict:
        if not photo:
            return gr.skip()
        picture = shared.read(photo)
        return numbered(picture, [one.face for one in look_at(picture, size)], numbers)

    return draw_faces


def clicked(size: int) -> Callable:
    """The function behind a click into the photo: the face there is ticked, or not any more."""

    def click_face(photo: str | None, numbers: list[int], place: gr.SelectData) -> tuple:
        if not photo:
            return gr.skip(), gr.skip()
        picture = shared.read(photo)
        found, ratio = look_at(picture, size), shown_ratio(picture.size)
        x, y = (side / ratio for side in place.index)
        number = _nearest([one.face for one in found], x, y)
        if number is None:
            return gr.skip(), gr.skip()
        chosen = sorted(set(numbers) ^ {number})
        return chosen, numbered(picture, [one.face for one in found], chosen)

    return click_face


def _nearest(found: list[faces.Face], x: float, y: float) -> int | None:
    """The number of the face whose box holds a point, the smallest where several do; None for a point beside them."""
    holding = []
    for number, face in enumerate(found, 1):
        left, top, right, bottom = face.box
        if left <= x <= right and top <= y <= bottom:
            holding.append(((right - left) * (bottom - top), number))
    return min(holding)[1] if holding else None


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
        strength: int,
        start: int,
        seed: int,
        only: bool,
    ) -> Iterator[tuple]:
        """Restore the faces of a photo."""
        with shared.one_line():
            picture, seed = shared.read(photo), shared.seed_of(seed)
            if only and not numbers:
                raise ValueError(NOTHING_CHOSEN)
            yield None, widgets.under_way("Finding the faces"), None
            seen = look_at(picture, profiles.profile(profile).size)
            chosen = _chosen(numbers or ticked(seen), seen)

            def work(report: Callable) -> tuple[tuple[Image.Image, dict], list[str]]:
                def attempt(device: str, batch: int) -> tuple[Image.Image, dict]:
                    pipeline = shared.pipeline_for(profile, start=start, device=device)
                    settings = dict(
                        seed=seed, scale=scale, large=True, strengths=[strength / 100] * len(chosen), batch=batch
                    )
                    return restore_photo(pipeline, picture, chosen, **settings, progress=report)

                return running.within_memory(attempt, BATCH)

            run = running.Run(work)
            yield from run.steps(lambda step: (None, widgets.under_way("Restoring the faces", step), None))
            (result, info), notes = run.result()
            comment = metadata.RESTORED if info["faces"] else metadata.UNTOUCHED
            file = shared.save(result, photo, info, profile, seed, comment, picture)
            yield _pair(picture, result), widgets.note(_summary(info["faces"], result), *info["notes"], *notes), file

    return restore_photo_


def _chosen(numbers: list[int], seen: list[Found]) -> list[faces.Face]:
    """The faces of these numbers.

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
    return [seen[number - 1].face for number in dict.fromkeys(numbers)]


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
