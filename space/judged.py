"""What a picture is, said before anything is restored: which face was found in it, and where none was, a square to be
put around the face."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.events import Dependency
from PIL import Image, ImageDraw

from difface import faces, images
from difface.faces.photo import LARGEST, is_large, is_sharp
from space import shared, widgets

LOOK = dict(concurrency_id="look", concurrency_limit=2)
"""Of events that look for faces: they wait for no restoration."""
PLACES = (
    ("Middle, from the left (%)", 0, 50),
    ("Middle, from the top (%)", 0, 50),
    ("Side (% of the shorter side)", 5, 100),
)
"""The square's fields, the least that they take, and what stands in them at first."""
NO_FACE = "{why} Put the square on the face, or take the whole picture as one face."


def fields(face: gr.Image, aligned: gr.Checkbox, size: int) -> list[Dependency]:
    """Say what a new picture is, and offer a square where no face is found.

    Args:
        face, aligned: the picture, and whether it is one aligned face.
        size: side in pixels at which the model works.

    Returns:
        Events that have filled `face` and `aligned` by the visitor's choice.
    """
    said = widgets.status("judged")
    with gr.Column(visible=False, elem_id="square") as column:
        shown = widgets.shown("Click the middle of the face", "square-picture", height=280)
        places = [widgets.may_be_empty(gr.Slider(low, 100, value, step=1, label=label)) for label, low, value in PLACES]
        with gr.Row(elem_classes="buttons"):
            use = gr.Button("Restore this square", elem_id="square-use", min_width=140)
            whole = gr.Button("Take the whole picture", elem_id="square-whole", min_width=140)
    gr.on(
        [face.change, aligned.change],
        looker(size),
        [face, aligned],
        [said, column],
        trigger_mode="always_last",
        api_name="look",
        api_description="What a picture is: an aligned face, a photo with faces, or neither.",
        show_progress="hidden",
        **LOOK,
    )
    shown.select(_centre, face, places[:2], api_name="square_centre", **widgets.PRIVATE)
    gr.on(
        [face.change, *(place.change for place in places)],
        draw_square,
        [face, *places],
        shown,
        trigger_mode="always_last",
        api_name="square",
        **widgets.PRIVATE,
    )
    cut = use.click(cut_square, [face, *places], [face, aligned], api_name="square_cut", **widgets.PRIVATE)
    taken = whole.click(None, None, aligned, js="() => true", api_name="square_whole", **widgets.PRIVATE)
    return [cut, taken]


def looker(size: int) -> Callable:
    """The function behind a new picture, for a model of `size` pixels."""

    def look(face: str | None, aligned: bool) -> tuple[str, dict]:
        """What a picture is, before it is restored."""
        if not face:
            return "", gr.update(visible=False)
        with shared.one_line():
            picture = shared.read(face)
            try:
                return widgets.note(*_said(picture, aligned, size)), gr.update(visible=False)
            except images.ImageError as error:
                why = str(error).partition(";")[0]
                why = f"{why[:1].upper()}{why[1:].replace(' in it', '')} by {faces.detector_name()}."
                return widgets.note(NO_FACE.format(why=why)), gr.update(visible=True)

    return look


def _said(picture: Image.Image, aligned: bool, size: int) -> list[str]:
    """Sentences on the face that will be restored.

    Raises:
        ImageError: there is none, or it is not known which way is up.
    """
    found = shared.routed(picture, aligned, size)
    if found is None:
        softer = max(picture.size) > LARGEST * size and is_sharp(picture, size)
        return [
            "" if aligned else "The picture is one aligned face.",
            _softer(max(picture.size), size) if softer else "",
        ]
    face = faces.largest(found)
    which = "One face was" if len(found) == 1 else f"The largest of {len(found)} faces is taken, all"
    doubt = "" if face.score >= shared.SURE else "It is doubtful: is this a face? Look at the result before you use it."
    sure = f"{which} found by {faces.detector_name()} ({face.score:.0%} sure)."
    return [sure, doubt, _softer(face.side, size) if is_softer(picture, face, size) else ""]


def is_softer(picture: Image.Image, face: faces.Face, size: int) -> bool:
    """Whether a face of a picture would come back softer than it is: it is larger and sharper than a model of `size`
    pixels can draw."""
    if face.points is None or not is_large(face, size):
        return False
    return is_sharp(faces.align(picture, face.points, int(min(face.side, shared.MAX_CROP))), size)


def _softer(side: float, size: int) -> str:
    return (
        f"It is sharp at {side:.0f} pixels and the model draws {size}: it will come back softer than it is. A smaller "
        "or worse picture gains more."
    )


def draw_square(face: str | None, across: float | None, down: float | None, side: float | None) -> Image.Image | None:
    """The picture, reduced to `shared.SHOWN` pixels, with the square on it."""
    if not face or None in (across, down, side):
        return None if not face else gr.skip()
    try:
        picture = shared.read(face)
    except images.ImageError:  # `look` says so
        return None
    picture.thumbnail((shared.SHOWN, shared.SHOWN))
    draw, box = ImageDraw.Draw(picture), square_of(*picture.size, across, down, side)
    draw.rectangle(box, outline="black", width=5)
    draw.rectangle(box, outline="white", width=2)
    return picture


def square_of(width: int, height: int, across: float, down: float, side: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a square in a picture, moved inside where it would stick out.

    Args:
        width, height: of the picture.
        across, down: where its middle is, in percent of the width and the height.
        side: in percent of the shorter side.
    """
    length = max(min(images.MIN_SIDE, width, height), round(min(width, height) * side / 100))
    left = min(max(round(width * across / 100 - length / 2), 0), width - length)
    top = min(max(round(height * down / 100 - length / 2), 0), height - length)
    return left, top, left + length, top + length


def _centre(face: str | None, event: gr.SelectData) -> tuple[float, float]:
    """Where a click on the picture was, in percent of its width and height."""
    with shared.one_line():
        picture = shared.read(face)
        picture.thumbnail((shared.SHOWN, shared.SHOWN))
        return tuple(round(100 * place / length) for place, length in zip(event.index, picture.size, strict=True))


def cut_square(face: str | None, across: float, down: float, side: float) -> tuple[str, bool]:
    """What is in the square, as a file of its own, which is one aligned face."""
    with shared.one_line():
        picture = shared.read(face)
        if None in (across, down, side):
            raise ValueError("a number of the square is empty; 0 to 100 is accepted: type one.")
        path = shared.result_folder() / f"{Path(face).stem[: shared.MAX_NAME]}_face.png"
        images.write(picture.crop(square_of(*picture.size, across, down, side)), path, source=picture)
        return str(path), True
