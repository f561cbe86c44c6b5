"""The tab that restores the faces of a whole photo: find, choose, restore, put back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
from PIL import Image

from difface import faces, metadata, profiles
from difface.faces.photo import BATCH, LARGEST, SHOWN, is_large, numbered, restore_photo
from space import running, shared, widgets
from space.restore import Tab

NOTHING_CHOSEN = "no face is ticked; one or more of those found are accepted: tick those to restore."


def tab(profile: profiles.Profile, examples: Path, single: Tab, tabs: gr.Tabs) -> None:
    """Draw the tab.

    Args:
        profile: whose networks.
        examples: folder of photos to click on.
        single: the tab that takes a picture without a face that is found.
        tabs: all of them, to go there.
    """
    gr.Markdown("Choose a photo: its faces are found and numbered. Untick those to leave alone, and press *Restore*.")
    found = gr.State()  # whether each face that was found is large; None until then
    with gr.Row():
        with gr.Column(min_width=300):
            photo = widgets.picture("A photo", examples, "photo")
            numbers = gr.CheckboxGroup([], label="Faces to restore", type="value", elem_id="photo-faces")
            as_face = gr.Button("Restore it as one aligned face instead", visible=False, elem_id="photo-as-face")
            pressed = widgets.buttons("Restore", "photo-restore")
            scale, start, large, seed = _settings(profile)
        with gr.Column(min_width=300):
            boxes = widgets.shown("Faces found", "photo-boxes", ["fullscreen"])
            outputs = [
                widgets.comparison("photo-result", height=640),
                widgets.status("photo-summary"),
                widgets.download("photo-download"),
            ]
    _find_on_change(photo, large, profile.size, boxes, [numbers, outputs[1], found, as_face])
    large.input(tick_large, [numbers, large, found], numbers, api_name="tick_large", **widgets.PRIVATE)
    what = "Restore faces of a photo, by the numbers of /find_faces; all of them if that was not called before."
    given = [photo, numbers, scale, start, large, seed, found]
    widgets.on_press(pressed, photo_restorer(profile.name), given, outputs, "restore_photo", what)
    as_face.click(
        lambda photo: (photo, True, gr.Tabs(selected="restore")),
        photo,
        [single.face, single.aligned, tabs],
        api_name="as_one_face",
        **widgets.PRIVATE,
    )


def _settings(profile: profiles.Profile) -> tuple[gr.Radio, gr.Slider, gr.Checkbox, gr.Number]:
    """How faces are restored: scale, N, large ones too, seed."""
    scale = gr.Radio([("Same size", 1), ("Twice the size", 2)], value=1, label="Size of the result")
    start = widgets.start(profile.begin_index)
    large = gr.Checkbox(
        False,
        label="Large faces too",
        info=f"Faces of more than {LARGEST * profile.size:.0f} pixels come back softer than they were.",
        elem_id="photo-large",
    )
    with gr.Accordion("Advanced", open=False):
        seed = widgets.seed()
    return scale, start, large, seed


def _find_on_change(photo: gr.Image, large: gr.Checkbox, size: int, boxes: gr.Image, told: list) -> None:
    """Find the faces of a new photo; `told` are the fields that speak of them."""
    # Before the faces are looked for, which may have to wait: until then those of the last photo would be on offer.
    photo.change(
        lambda: (gr.update(choices=[], value=[]), "", None, gr.update(visible=False)),
        None,
        told,
        api_name="forget_faces",
        **widgets.PRIVATE,
    )
    photo.change(
        finder(size),
        [photo, large],
        [boxes, *told],
        api_name="find_faces",
        api_description="The faces of a photo, numbered.",
        show_progress_on=boxes,
        **shared.QUEUE,
    )


def finder(size: int) -> Callable:
    """The function behind a new photo, for a model of `size` pixels."""

    def find_faces(photo: str | None, large: bool = False) -> tuple:
        """Find and number the faces, and tick those that will be restored."""
        if not photo:
            return None, gr.update(choices=[], value=[]), "", None, gr.update(visible=False)
        with shared.one_line():
            picture = shared.read(photo)
            found = faces.find_faces(picture)
            choices = [(f"{k} ({face.score:.0%})", k) for k, face in enumerate(found, 1)]
            are_large = [is_large(face, size) for face in found]
            ticks = gr.update(choices=choices, value=_ticked([k for _, k in choices], large, are_large))
            note = _found(are_large, large, size, sum(face.points is None for face in found))
            return numbered(picture, found), ticks, note, are_large, gr.update(visible=not found)

    return find_faces


def tick_large(numbers: list[int], large: bool, found: list[bool] | None) -> list[int]:
    """Tick or untick the large faces; the others stay as the visitor left them.

    Args:
        numbers: of the faces that are ticked.
        large: whether large faces are restored.
        found: whether each face that was found is large.
    """
    everyone = range(1, len(found or []) + 1)
    return _ticked([k for k in everyone if k in numbers or found[k - 1]], large, found)


def _ticked(numbers: list[int], large: bool, found: list[bool]) -> list[int]:
    """Those of these numbers that will be restored."""
    return [k for k in numbers if large or not found[k - 1]]


def _found(found: list[bool], large: bool, size: int, unknown: int) -> str:
    """What was found, for the status: which faces are large, and of how many it is not known which way is up."""
    if not found:
        return widgets.note(
            "No face was found. A photo with larger, upright faces may help; if the picture is one face that fills it, "
            "restore it as one aligned face."
        )
    faces_found = "1 face was found" if len(found) == 1 else f"{len(found)} faces were found"
    left_alone = "" if large else _left_alone(found, size)
    turned = f"Which way is up could not be told of {unknown}, left alone: turn the photo upright." if unknown else ""
    return widgets.note(f"{faces_found} by {faces.detector_name()}; in brackets, how sure it is.", left_alone, turned)


def _left_alone(found: list[bool], size: int) -> str:
    """Which faces are not ticked, and how to have them restored."""
    count = sum(found)
    if not count:
        return ""
    what, them = ("is", "it") if count == 1 else ("are", "them")
    stay = "stays as it is" if count == 1 else "stay as they are"
    return (
        f"{count} of {len(found)} {what} larger than {LARGEST * size:.0f} pixels and {stay}: tick “Large faces too” to "
        f"restore {them} as well."
    )


def photo_restorer(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def restore_photo_(
        photo: str | None, numbers: list[int], scale: int, start: int, large: bool, seed: int, found: list[bool] | None
    ) -> Iterator[tuple]:
        """Restore the faces of a photo."""
        with shared.one_line():
            picture, seed = shared.read(photo), shared.seed_of(seed)
            if found and not numbers:
                raise ValueError(NOTHING_CHOSEN)
            yield None, widgets.under_way("Finding the faces"), None
            chosen = _chosen(picture, numbers)

            def work(report: Callable) -> tuple[tuple[Image.Image, dict], list[str]]:
                def attempt(device: str, batch: int) -> tuple[Image.Image, dict]:
                    pipeline = shared.pipeline_for(profile, start=start, device=device)
                    settings = dict(seed=seed, scale=scale, large=large, batch=batch, progress=report)
                    return restore_photo(pipeline, picture, chosen, **settings)

                return running.within_memory(attempt, BATCH)

            run = running.Run(work)
            yield from run.steps(lambda step: (None, widgets.under_way("Restoring the faces", step), None))
            (result, info), notes = run.result()
            comment = metadata.RESTORED if info["faces"] else metadata.UNTOUCHED
            file = shared.save(result, photo, info, profile, seed, comment, picture)
            yield _pair(picture, result), widgets.note(_summary(info["faces"], result), *info["notes"], *notes), file

    return restore_photo_


def _pair(before: Image.Image, after: Image.Image) -> tuple[Image.Image, Image.Image]:
    """What the slider shows: both at the size of the result, or smaller, so that a phone can load them."""
    ratio = min(1, SHOWN[1] / max(after.size))
    size = [max(1, round(side * ratio)) for side in after.size]
    return before.resize(size, Image.Resampling.LANCZOS), after.resize(size, Image.Resampling.LANCZOS)


def _summary(count: int, result: Image.Image) -> str:
    if count == 0:
        return "No face was restored; tick Large faces too for those that are larger than the model works at."
    faces_restored = "1 face was" if count == 1 else f"{count} faces were"
    return f"{faces_restored} restored; the rest is as it was. The file is {result.width} × {result.height} pixels."


def _chosen(picture: Image.Image, numbers: list[int]) -> list[faces.Face] | None:
    """The faces of these numbers; None for all, to be found later."""
    return [face for k, face in enumerate(faces.find_faces(picture), 1) if k in numbers] if numbers else None
