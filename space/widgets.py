"""Parts that several tabs have: a picture to choose, the sliders, what a run shows, and Cancel."""

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from gradio.events import Dependency

from space.running import Step
from space.shared import MAX_SEED, QUEUE, SHOWN

MIN_START = 60
"""Smallest N on the page: every other field's values fit below it."""
SOURCES = ["upload", "webcam", "clipboard"]
PRESETS = {"Light damage": 0.6, "Old photo": 1.0, "Very bad": 1.6}
"""How bad a picture is -> N, as a part of the profile's."""
PRIVATE = dict(api_visibility="private", queue=False, show_progress="hidden")
"""Of events that only arrange the page: done at once, and no part of its API."""


def picture(
    label: str, examples: Path, elem_id: str, height: int = 250, aligned: gr.Checkbox | None = None
) -> tuple[gr.Image, list[Dependency]]:
    """Where a picture is chosen, and examples below.

    Args:
        label: of the field.
        examples: folder of PNG files to click on; may be empty or missing.
        elem_id: of the field; "-examples" is added for the examples'.
        height: in pixels.
        aligned: of `aligned`, where a picture may be one aligned face: ticked for an example, which is one, and
            taken back when the visitor brings another picture.

    Returns:
        The field, and the click on an example, where there are any: what starts when the example is in the field.
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
    if aligned is not None:
        face.input(None, None, aligned, js="() => false", api_name=f"{elem_id}_new", **PRIVATE)
    samples = [[str(path)] for path in sorted(examples.glob("*.png"))]
    return face, [_examples(samples, face, elem_id, aligned)] if samples else []


def _examples(samples: list[list[str]], face: gr.Image, elem_id: str, aligned: gr.Checkbox | None) -> Dependency:
    """Pictures to click on, which come into the field."""
    thumbnail = gr.Image(render=False)
    dataset = gr.Dataset(
        label="Examples",
        components=[thumbnail],
        samples=samples,
        samples_per_page=12,
        elem_id=f"{elem_id}-examples",
        elem_classes="examples",
    )
    # A clicked example is the thumbnail's own file, which the cleaning of old uploads must not take away. It asks
    # the parts of the page what to keep, and the thumbnail is none.
    face.keep_in_cache |= thumbnail.keep_in_cache
    filled = [face] if aligned is None else [face, aligned]
    return dataset.click(
        lambda sample: sample[0] if aligned is None else (sample[0], True),
        dataset,
        filled,
        api_name=f"{elem_id}_example",
        **PRIVATE,
    )


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


def aligned(**options) -> gr.Checkbox:
    """Whether a picture is one aligned face; `options` as for `gr.Checkbox`."""
    return gr.Checkbox(
        False,
        label="Already aligned",
        info="Take the picture as it is. Otherwise the largest face is found and cut out.",
        **options,
    )


def start(begin_index: int) -> gr.Slider:
    """N, at first `begin_index`."""
    return slider(
        MIN_START,
        1000,
        begin_index,
        step=10,
        precision=0,
        label="N: how much is drawn anew",
        info="From fidelity to realism: small N keeps close to the picture; large N looks better and invents more.",
    )


def presets(begin_index: int) -> gr.Radio:
    """How bad a picture is, in words that set N; `follow` ties it to the slider."""
    levels = [(name, _preset(begin_index, factor)) for name, factor in PRESETS.items()]
    return gr.Radio(levels, value=begin_index, label="How bad is it?", elem_classes="presets")


def _preset(begin_index: int, factor: float) -> int:
    """N of a preset: a step of the slider `start`."""
    return max(MIN_START, min(1000, 10 * round(begin_index * factor / 10)))


def follow(preset: gr.Radio, start: gr.Slider, name: str) -> None:
    """A preset sets N; an N that is no preset's leaves none of them chosen."""
    levels = json.dumps([level for _, level in preset.choices])
    preset.input(None, preset, start, js="(level) => level", api_name=f"{name}_preset", **PRIVATE)
    one_of = f"(n) => {levels}.includes(n) ? n : null"
    start.change(None, start, preset, js=one_of, api_name=f"{name}_presets", **PRIVATE)


def seed() -> gr.Number:
    """The seed."""
    return gr.Number(
        0, label="Seed", info="Another seed draws other details.", precision=0, minimum=0, maximum=MAX_SEED
    )


class Pressed(NamedTuple):
    """The button that starts a run, Cancel, and what says that the result is of other settings."""

    run: gr.Button
    cancel: gr.Button
    stale: gr.HTML


def buttons(text: str, elem_id: str) -> Pressed:
    """What starts and ends a run."""
    with gr.Row(elem_classes="buttons"):
        run = gr.Button(text, variant="primary", elem_id=elem_id, scale=3, min_width=140)
        cancel = gr.Button("Cancel", elem_id=f"{elem_id}-cancel", scale=1, min_width=90)
    return Pressed(run, cancel, status(f"{elem_id}-stale"))


def comparison(
    elem_id: str, label: str = "Before and after", height: int = SHOWN, value: tuple[str, str] | None = None
) -> gr.ImageSlider:
    """Two pictures under a slider; `value`, if there is one, are those at first."""
    return gr.ImageSlider(
        value=value,
        label=label,
        type="filepath",
        format="png",
        interactive=False,
        max_height=height,
        buttons=["fullscreen"],
        elem_id=elem_id,
        elem_classes="comparison",
    )


def shown(label: str, elem_id: str, buttons: Sequence[str] = (), **options) -> gr.Image:
    """A picture to look at; `options` as for `gr.Image`."""
    return gr.Image(label=label, format="png", interactive=False, buttons=[*buttons], elem_id=elem_id, **options)


def gallery(label: str, columns: int, elem_id: str) -> gr.Gallery:
    """Pictures side by side."""
    return gr.Gallery(
        label=label,
        type="filepath",
        format="png",
        columns=columns,
        height="auto",
        object_fit="contain",
        interactive=False,
        elem_id=elem_id,
        elem_classes="gallery",
        buttons=["fullscreen", "download"],
    )


def download(elem_id: str, label: str = "Download (PNG)") -> gr.DownloadButton:
    """What fetches the result, once there is one."""
    return gr.DownloadButton(label, interactive=False, elem_id=elem_id, size="md", min_width=140)


def files(elem_id: str) -> gr.File:
    """Other files of the result, shown once there are any."""
    return gr.File(
        label="Larger, as JPEG, side by side, moving",
        file_count="multiple",
        interactive=False,
        visible=False,
        height=200,
        elem_id=elem_id,
    )


def status(elem_id: str, value: str = "") -> gr.HTML:
    """Where a run says how far it is and what came out; screen readers read it out (`page.js`)."""
    return gr.HTML(value, label="What is said of it", elem_id=elem_id, elem_classes="status", padding=False)


def note(*sentences: str) -> str:
    """Sentences for a `status`; empty where there are none."""
    text = " ".join(filter(None, sentences))
    return f"<p>{html.escape(text)}</p>" if text else ""


def under_way(what: str, step: Step | None = None, where: str = "") -> str:
    """A progress bar for a `status`, with the time left once that is known.

    Args:
        what: is done.
        step: how far it is; None where that is not known.
        where: the same in words; by default, of how many which.
    """
    text = html.escape(what)
    if step is None:
        return f'<progress aria-label="{text}"></progress><p>{text} …</p>'
    left = f"about {step.seconds:.0f} s left" if step.seconds >= 1 else "nearly done"
    where = where or f"{step.done} of {step.total}"
    bar = f'<progress aria-label="{text}" max="{step.total}" value="{step.done}"></progress>'
    return f'<div aria-live="off">{bar}<p>{text}: {html.escape(where)}, {left}</p></div>'


def on_press(
    pressed: Pressed,
    function: Callable,
    inputs: list,
    outputs: list,
    name: str,
    what: str,
    also: Sequence[Dependency] = (),
) -> list[Dependency]:
    """Run a function at a button, with its result in sight; Cancel and a failure leave no progress bar behind.

    A result whose inputs are no more what it was made from is greyed, and its file cannot be fetched, until they are
    again or another is made (`page.js`).

    Args:
        pressed: of `buttons`.
        function: yields what the outputs show.
        inputs: its arguments, components.
        outputs: the first is scrolled to; one is a `status`; a `download` and `files`, if there are any, are fetched
            from after success only.
        name, what: of the function in the API.
        also: events after whose success it runs, too.

    Returns:
        The events that run it, for other buttons that end it.
    """
    run, cancel, stale = pressed
    (bar,) = (one for one in outputs if isinstance(one, gr.HTML))
    file = [one for one in outputs if isinstance(one, gr.DownloadButton)]
    file += [one for one in outputs if isinstance(one, gr.File) and not one.visible]  # or a second button like it
    place = outputs[0].elem_id
    compared = [one for one in inputs if not isinstance(one, gr.State | gr.ImageEditor)]
    places = [inputs.index(one) for one in compared]
    how = [
        dict(show_progress_on=outputs[0], js=_script("began", name, place, by, places), **QUEUE)
        for by in range(1 + len(also))
    ]
    compare = dict(js=_script("compare", name), api_name=f"{name}_compare", **PRIVATE)
    told = [stale, *file]
    going = [run.click(function, inputs, outputs, api_name=name, api_description=what, **how[0])]
    run.click(None, compared, told, **compare)  # while it runs nothing can be fetched
    for k, event in enumerate(also):
        private = dict(api_name=f"{name}_after_{k}", api_visibility="private")
        going.append(event.success(function, inputs, outputs, **private, **how[1 + k]))
        event.success(None, compared, told, **compare)
    for by, one in enumerate(going):
        one.success(None, compared, told, js=_script("made", name, place, by), api_name=f"{name}_made", **PRIVATE)
        ended = _no_bar("Nothing was made.", len([bar, *file]))
        one.failure(ended, bar, [bar, *file], api_name=f"{name}_failed", **PRIVATE)
        one.failure(None, compared, told, js=_script("changed", name, by), api_name=f"{name}_refused", **PRIVATE)
    changed = [one.change for one in compared if hasattr(one, "change")]
    gr.on(changed, None, compared, told, **compare)
    for canvas in (one for one in inputs if isinstance(one, gr.ImageEditor)):
        canvas.change(None, compared, told, js=_script("changed", name), api_name=f"{name}_painted", **PRIVATE)
    unfinished = _no_bar("Cancelled; what is shown is unfinished.", len([bar, *file]))
    cancel.click(unfinished, bar, [bar, *file], cancels=going, api_name=f"{name}_cancel", **PRIVATE)
    return going


def _script(function: str, name: str, *others: str | int | list[int]) -> str:
    """A call of a function of `page.js`: with the name of a run, the values of the event's inputs, and others."""
    given = ", ".join([json.dumps(name), "values", *map(json.dumps, others)])
    return f"(...values) => window.difface.{function}({given})"


def _no_bar(text: str, outputs: int) -> Callable[[str | None], list]:
    """A function that replaces a progress bar by a text and disables the download, and leaves what is finished."""

    def end(shown: str | None) -> list:
        if not shown or "<progress" not in shown:
            return [gr.skip()] * outputs
        return [note(text), gr.update(interactive=False), gr.update(visible=False)][:outputs]

    return end
