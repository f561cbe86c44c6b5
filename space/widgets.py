"""Parts that several tabs have: a picture to choose, the sliders, what a run shows, and Cancel."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr

from space.running import Step
from space.shared import MAX_SEED, QUEUE, SHOWN

MIN_START = 60
"""Smallest N on the page: every other field's values fit below it."""
SOURCES = ["upload", "webcam", "clipboard"]
PRIVATE = dict(api_visibility="private", queue=False, show_progress="hidden")
"""Of events that only arrange the page: done at once, and no part of its API."""


def picture(label: str, examples: Path, elem_id: str, height: int = 320) -> gr.Image:
    """Where a picture is chosen, and examples below.

    Args:
        label: of the field.
        examples: folder of PNG files to click on; may be empty or missing.
        elem_id: of the field; "-examples" is added for the examples'.
        height: in pixels.
    """
    face = gr.Image(
        label=label,
        type="filepath",
        image_mode=None,
        sources=SOURCES,
        height=height,
        elem_id=elem_id,
        elem_classes="upload",
    )
    # The file is handed over unread, so that `difface.images` judges it: bad files end in its one line.
    # (Gradio rebuilds a component whose properties an event updates; events give this one values only.)
    face.preprocess = lambda upload: upload.path if upload else None
    samples = [[str(path)] for path in sorted(examples.glob("*.png"))]
    if samples:
        thumbnail = gr.Image(render=False)
        dataset = gr.Dataset(
            label="Examples",
            components=[thumbnail],
            samples=samples,
            samples_per_page=12,
            elem_id=f"{elem_id}-examples",
        )
        # A clicked example is the thumbnail's own file, which the cleaning of old uploads must not take away. It asks
        # the parts of the page what to keep, and the thumbnail is none.
        face.keep_in_cache |= thumbnail.keep_in_cache
        dataset.click(
            lambda sample: sample[0],
            dataset,
            face,
            api_name=f"{elem_id}_example",
            **PRIVATE,
        )
    return face


def slider(*arguments, **options) -> gr.Slider:
    """A `gr.Slider` whose emptied box is refused in one line. Events must not change its properties (see `picture`)."""
    made = gr.Slider(*arguments, **options)
    checked = made.preprocess

    def preprocess(value: float | None) -> float:
        if value is None:
            raise gr.Error(
                f"{made.label} is empty; a number in {made.minimum:g}..{made.maximum:g} is accepted: type one.",
                print_exception=False,
            )
        return checked(value)

    made.preprocess = preprocess
    return made


def may_be_empty(slider: gr.Slider) -> gr.Slider:
    """The slider, which now hands over None where its number box is empty, as it is while one types another number."""
    checked = slider.preprocess
    slider.preprocess = lambda value: None if value is None else checked(value)
    return slider


def aligned() -> gr.Checkbox:
    """Whether a picture is one aligned face."""
    return gr.Checkbox(
        False,
        label="Already aligned",
        info="Take the picture as it is. Otherwise the largest face is found and cut out.",
    )


def start(begin_index: int) -> gr.Slider:
    """N, at first `begin_index`."""
    return slider(
        MIN_START,
        1000,
        begin_index,
        step=10,
        precision=0,
        label="N: from fidelity (left) to realism (right)",
        info="Small N keeps close to the picture; large N looks better and invents more.",
    )


def seed() -> gr.Number:
    """The seed."""
    return gr.Number(
        0, label="Seed", info="Another seed draws other details.", precision=0, minimum=0, maximum=MAX_SEED
    )


def buttons(text: str, elem_id: str) -> tuple[gr.Button, gr.Button]:
    """The button that starts a run, and Cancel."""
    with gr.Row(elem_classes="buttons"):
        run = gr.Button(text, variant="primary", elem_id=elem_id, scale=3, min_width=140)
        cancel = gr.Button("Cancel", elem_id=f"{elem_id}-cancel", scale=1, min_width=90)
    return run, cancel


def comparison(elem_id: str, label: str = "Before and after", height: int = SHOWN) -> gr.ImageSlider:
    """Two pictures under a slider."""
    return gr.ImageSlider(
        label=label, format="png", interactive=False, max_height=height, buttons=["fullscreen"], elem_id=elem_id
    )


def shown(label: str, elem_id: str, buttons: Sequence[str] = (), **options) -> gr.Image:
    """A picture to look at; `options` as for `gr.Image`."""
    return gr.Image(label=label, format="png", interactive=False, buttons=[*buttons], elem_id=elem_id, **options)


def gallery(label: str, columns: int, elem_id: str) -> gr.Gallery:
    """Pictures side by side."""
    return gr.Gallery(
        label=label,
        format="png",
        columns=columns,
        height="auto",
        object_fit="contain",
        interactive=False,
        elem_id=elem_id,
        elem_classes="gallery",
        buttons=["fullscreen", "download"],
    )


def download(elem_id: str) -> gr.DownloadButton:
    """What fetches the result, once there is one."""
    return gr.DownloadButton("Download (PNG)", interactive=False, elem_id=elem_id)


def status(elem_id: str) -> gr.HTML:
    """Where a run says how far it is and what came out."""
    return gr.HTML(elem_id=elem_id, elem_classes="status", padding=False)


def note(*sentences: str) -> str:
    """Sentences for a `status`, which screen readers read out."""
    return f'<div role="status">{html.escape(" ".join(filter(None, sentences)))}</div>'


def under_way(what: str, step: Step | None = None) -> str:
    """A progress bar for a `status`, with the time left once that is known."""
    text = html.escape(what)
    if step is None:
        return f'<div role="status"><progress aria-label="{text}"></progress><p>{text} …</p></div>'
    left = f"about {step.seconds:.0f} s left" if step.seconds >= 1 else "nearly done"
    bar = f'<progress aria-label="{text}" max="{step.total}" value="{step.done}"></progress>'
    return f"<div>{bar}<p>{text}: {step.done} of {step.total}, {left}</p></div>"


def on_press(
    pressed: tuple[gr.Button, gr.Button],
    function: Callable,
    inputs: list,
    outputs: list,
    name: str,
    what: str,
) -> None:
    """Run a function at a button; Cancel and a failure leave no progress bar behind, and success lets its file be
    fetched.

    Args:
        pressed: of `buttons`.
        function: yields what the outputs show.
        inputs: its arguments, components.
        outputs: the first is scrolled to; one is a `status`; a `download`, if there is one, is fetched from after
            success only.
        name, what: of the function in the API.
    """
    run, cancel = pressed
    texts = dict(api_name=name, api_description=what)
    going = run.click(function, inputs, outputs, show_progress_on=outputs[0], scroll_to_output=True, **texts, **QUEUE)
    (bar,) = (one for one in outputs if isinstance(one, gr.HTML))
    file = [one for one in outputs if isinstance(one, gr.DownloadButton)]
    if file:
        going.success(lambda: gr.update(interactive=True), None, file, api_name=f"{name}_enable", **PRIVATE)
    ended = [bar, *file]
    going.failure(_no_bar("Nothing was made.", len(ended)), bar, ended, api_name=f"{name}_failed", **PRIVATE)
    unfinished = _no_bar("Cancelled; what is shown is unfinished.", len(ended))
    cancel.click(unfinished, bar, ended, cancels=going, api_name=f"{name}_cancel", **PRIVATE)


def _no_bar(text: str, outputs: int) -> Callable[[str | None], list]:
    """A function that replaces a progress bar by a text and disables the download, and leaves what is finished."""

    def end(shown: str | None) -> list:
        if not shown or "<progress" not in shown:
            return [gr.skip()] * outputs
        return [note(text), gr.update(interactive=False)][:outputs]

    return end
