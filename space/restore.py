"""The tab that restores one face, live."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from PIL import Image

from difface import images, metadata, profiles
from difface.chain import DEFAULT_ETA, DEFAULT_STEPS, chain
from difface.pipeline import DifFaceOutput, DifFacePipeline
from difface.precision import choose
from difface.schedulers import FAST_CALLS
from difface.tone import tone_of
from space import address, batch, downloads, judged, running, shared, widgets

SCHEDULERS = [
    ("DDPM on few steps", "ddpm"),
    ("DDPM on few steps, more noise", "ddpm-noisy"),
    ("DPM-Solver++", "dpm++"),
    ("DPM-Solver++ SDE", "dpm++sde"),
    ("UniPC", "unipc"),
    ("DDIM, the paper's", "ddim"),
]
RESTORED = "restored"
"""Folder in that of the examples with a finished one, for who has just come."""
LANDING = "An example: left as it was, right as the embedded models (small) restored it. Move the slider."
SEND = (("inpaint", "Inpaint"), ("worse", "Make it worse"))
"""Tabs that a face can be sent to."""
DDIM_STEPS = [20, 50, 100, 250, 500, 1000]


NAMES = {
    "small": "the embedded models (small)",
    "tiny": "the smallest embedded models (tiny)",
    "ffhq512": "the paper's models (ffhq512)",
}
WHY = """
The photo does not show the details any more; the model **draws likely ones**. So age, eyes, glasses and teeth may
change, and another seed gives another answer. A restored face is no evidence of who somebody is.

It works at **{size} × {size} pixels**{enlarged}: a face that is larger and sharp comes back softer than it was. Nothing
but the face is in the result, and downloads say inside that they are AI-restored.
"""


class Tab(NamedTuple):
    """Fields that another tab fills or asks, and the button that leads to the certainty map.

    Attributes:
        settings: by their names in the page's address.
        result: the file of the result.
        send: buttons that take the result, or else the picture, to other tabs.
    """

    face: gr.Image
    aligned: gr.Checkbox
    where: gr.Button
    start: gr.Slider
    seed: gr.Number
    settings: address.Fields
    result: gr.DownloadButton
    send: dict[str, gr.Button]


def tab(profile: profiles.Profile, examples: Path) -> Tab:
    """Draw the tab."""
    with gr.Row(elem_classes="work"):
        with gr.Column():
            aligned = widgets.aligned(render=False)
            face, chosen = widgets.picture("A face", examples, "face", aligned=aligned)
            pressed = widgets.buttons("Restore", "restore")
            placed = judged.fields(face, aligned, profile.size)
        with gr.Column(elem_classes="outcome"):
            outputs, again, where, send = _outputs(profile, examples)
        with gr.Column(elem_classes="settings"):
            preset = widgets.presets(profile.begin_index)
            settings = _advanced(profile, aligned)
            resets = gr.Row()
    start, *_, seed = settings
    widgets.follow(preset, start, "restore")
    another = again.click(None, seed, seed, js="(seed) => seed + 1", api_name="another_answer", **widgets.PRIVATE)
    what = "Restore one face. `eta` and `steps` are for the sampler ddim, `calls` for the others."
    given = [face, aligned, *settings]
    also = [*chosen, *placed, another]
    going = widgets.on_press(pressed, restorer(profile.name), given, outputs, "restore", what, also)
    with resets:
        address.reset("restore", [face], [aligned, *settings], outputs, going)
    batch.fields(profile, start, seed)
    named = dict(zip(("n", "sampler", "calls", "steps", "eta", "estimator", "seed"), settings, strict=True))
    del named["eta"]  # goes back to its default with the sampler
    return Tab(face, aligned, where, start, seed, named, outputs[4], send)


def _advanced(profile: profiles.Profile, aligned: gr.Checkbox) -> list[gr.components.Component]:
    """The settings that most visitors leave alone: `aligned`, and those in the order in which `restore` takes them."""
    with gr.Accordion("Advanced", open=False):
        aligned.render()
        start = widgets.start(profile.begin_index)
        scheduler = gr.Dropdown(SCHEDULERS, value=profile.fast, label="Sampler")
        with gr.Column() as of_solvers:
            calls = widgets.slider(
                1, 50, FAST_CALLS, step=1, label="Network calls", info="Five are enough.", precision=0
            )
        with gr.Column(visible=False) as of_ddim:
            steps = gr.Dropdown(
                DDIM_STEPS,
                value=DEFAULT_STEPS,
                label="DDIM steps",
                info="Of the whole chain of 1000; those below N are taken, so N = 400 and 250 steps make 100 network "
                "calls.",
            )
            eta = widgets.slider(
                0, 1, DEFAULT_ETA, step=0.05, label="η", info="Fresh noise per step: 0 is none (DDIM), 1 is DDPM."
            )
        estimator = gr.Dropdown(
            list(profile.estimators), label="Estimator", info="The network that makes the rough estimate."
        )
        seed = widgets.seed()
    scheduler.change(_fit_fields, scheduler, [of_solvers, of_ddim, eta], api_name="fit_fields", **widgets.PRIVATE)
    return [start, scheduler, calls, steps, eta, estimator, seed]


def _fit_fields(scheduler: str) -> tuple[dict, dict, float]:
    """Show the fields that a sampler has; eta, which others refuse, goes back to its default."""
    is_ddim = scheduler == "ddim"
    return gr.update(visible=not is_ddim), gr.update(visible=is_ddim), DEFAULT_ETA


def _outputs(
    profile: profiles.Profile, examples: Path
) -> tuple[list[gr.components.Component], gr.Button, gr.Button, dict[str, gr.Button]]:
    """What a request shows, in the order in which `restore` returns it; the buttons for another seed, for the map of
    what is made up, and to other tabs."""
    landing = _landing(examples)
    pair = widgets.comparison("result", value=landing)
    status = widgets.status("summary", widgets.note(LANDING if landing else ""))
    with gr.Row(elem_classes="buttons"):
        download = widgets.download("download")
        again = gr.Button("Another answer", elem_id="another", size="md", min_width=140)
        where = gr.Button("What is made up?", elem_id="where", size="md", min_width=140)
        send = {
            tab: gr.Button(f"Send to {name}", elem_id=f"send-{tab}", size="md", min_width=140) for tab, name in SEND
        }
    files = widgets.files("files")
    with gr.Accordion("Why does it look different from the person?", open=False):
        enlarged = ", and what you see here is enlarged" if profile.size < shared.SHOWN else ""
        gr.Markdown(WHY.format(size=profile.size, enlarged=enlarged))
    with gr.Accordion("What the model saw, and its first estimate", open=False, elem_id="between"), gr.Row():
        seen = widgets.shown("As the model saw it", "seen", min_width=140)
        estimate = widgets.shown("Estimate f(y)", "estimate", min_width=140)
    return [pair, seen, estimate, status, download, files], again, where, send


def _landing(examples: Path) -> tuple[Image.Image, Image.Image] | None:
    """An example and what the embedded models made of it, where there is one in the folder restored."""
    after = next(iter(sorted((examples / RESTORED).glob("*.png"))), None)
    if after is None:
        return None
    pair = [shared.enlarged(images.to_tensors(images.read(path))[0]) for path in (examples / after.name, after)]
    return pair[0], pair[1]


def restorer(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def restore(
        face: str | None,
        aligned: bool,
        start: int,
        scheduler: str,
        calls: int,
        steps: int,
        eta: float,
        estimator: str,
        seed: int,
    ) -> Iterator[tuple]:
        """Restore one face, and show how it comes about."""
        with shared.one_line():
            picture, seed = shared.read(face), shared.seed_of(seed)
            yield None, None, None, widgets.under_way("Loading the networks"), None, None
            count = steps if scheduler == "ddim" else calls
            pipeline = shared.pipeline_for(profile, estimator, scheduler, start)
            total = len(chain(pipeline.scheduler, pipeline.config.begin_index, count, eta).timesteps)
            crop, note = shared.aligned_face(picture, aligned, pipeline.size)
            full = images.to_tensors(crop)[0]
            seen = images.fit_square(full, pipeline.size)
            tone = tone_of(seen)
            before, pixels = shared.enlarged(seen), shared.pixels(tone.given)

            def attempt(report: Callable, device: str) -> tuple[downloads.Frames, DifFaceOutput]:
                pipeline = shared.pipeline_for(profile, estimator, scheduler, start, device)
                frames = downloads.Frames(total)
                follow = running.follower(frames.kept_by(report), total)
                return frames, pipeline(seen, count, eta, *shared.generators(seed), output_type="pt", **follow)

            def view(step: running.Step) -> tuple:
                bar = widgets.under_way("Drawing the details", step)
                return (before, shared.enlarged(tone.back(step.x0_hat[0]))), pixels, None, bar, None, None

            run = running.run_of(attempt)
            began = time.perf_counter()
            yield from run.steps(view)
            (frames, output), notes = run.result()
            seconds = time.perf_counter() - began
            result = images.to_pil(images.unfit_square(output.images[0], *full.shape[-2:]))  # its size in the upload
            done = picture.info["notes"] + tone.notes
            info = output.info | {"sampler": scheduler, "estimator": estimator, "notes": done}
            file = shared.save(result, face, info, profile, seed, picture=picture)
            made = f"{total} network calls from N = {start} in {seconds:.1f} s"
            summary = _summary(made, pipeline, seed, result)
            text = widgets.note(note, *shared.said(done), *notes, summary)
            pair = before, shared.enlarged(output.images[0])
            shown = pair, pixels, shared.enlarged(output.estimates[0]), text, file
            yield *shown, None  # the other files take their time
            steps_seen = [shared.enlarged(tone.back(x0_hat)) for x0_hat in frames.kept[:-1]]
            files = downloads.write(file, *pair, steps_seen, metadata.restored_text(info, profile, seed))
            yield *shown, files

    return restore


def send(single: Tab, to: dict[str, tuple[gr.Image, gr.Checkbox]], tabs: gr.Tabs) -> None:
    """Let the buttons take the face to other tabs: the result, where there is one, else the picture as it is.

    Args:
        single: the tab with the buttons.
        to: where the face and whether it is aligned go, by the tab's name.
        tabs: all of them, to go there.
    """

    def sender(tab: str) -> Callable:
        return lambda result, face, aligned: (result or face, bool(result) or aligned, gr.Tabs(selected=tab))

    for tab, button in single.send.items():
        given = [single.result, single.face, single.aligned]
        button.click(sender(tab), given, [*to[tab], tabs], api_name=f"send_to_{tab}", **widgets.PRIVATE)


def _summary(made: str, pipeline: DifFacePipeline, seed: int, result: Image.Image) -> str:
    kind, reason = choose("auto", pipeline.device)
    return (
        f"What the photo does not show is made up. {made}, seed {seed}. The model saw and drew {pipeline.size} × "
        f"{pipeline.size} pixels; the file has the {result.width} × {result.height} of the face in your picture, and "
        f"says inside that it is AI-restored. The networks computed in {kind}: {reason}."
    )
