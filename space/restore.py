"""The tab that restores one face, live."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr
from PIL import Image

from difface import images, profiles
from difface.chain import DEFAULT_ETA, DEFAULT_STEPS, chain
from difface.pipeline import DifFaceOutput, DifFacePipeline
from difface.precision import choose
from difface.schedulers import FAST_CALLS
from difface.tone import tone_of
from space import running, shared, widgets

SCHEDULERS = [
    ("DPM-Solver++, the fast one", "dpm++"),
    ("DPM-Solver++ SDE", "dpm++sde"),
    ("UniPC", "unipc"),
    ("DDIM, the paper's", "ddim"),
]
DDIM_STEPS = [20, 50, 100, 250, 500, 1000]


class Tab(NamedTuple):
    """Fields that another tab fills."""

    face: gr.Image
    aligned: gr.Checkbox


def tab(profile: profiles.Profile, examples: Path) -> Tab:
    """Draw the tab."""
    gr.Markdown("Choose a face, press *Restore*, and move the slider across the result.")
    with gr.Row():
        with gr.Column(min_width=300):
            face = widgets.picture("A face", examples, "face")
            aligned = widgets.aligned()
            pressed = widgets.buttons("Restore", "restore")
            start = widgets.start(profile.begin_index)
            advanced = _advanced(profile)
        with gr.Column(min_width=300):
            outputs = _outputs()
    what = "Restore one face. `eta` and `steps` are for the sampler ddim, `calls` for the others."
    given = [face, aligned, start, *advanced]
    widgets.on_press(pressed, restorer(profile.name), given, outputs, "restore", what)
    return Tab(face, aligned)


def _advanced(profile: profiles.Profile) -> list[gr.components.Component]:
    """The settings that most visitors leave alone, in the order in which `restore` takes them."""
    with gr.Accordion("Advanced", open=False):
        scheduler = gr.Dropdown(SCHEDULERS, value="dpm++", label="Sampler")
        with gr.Column() as of_solvers:
            calls = widgets.slider(
                2, 50, FAST_CALLS, step=1, label="Network calls", info="Five are enough.", precision=0
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
    return [scheduler, calls, steps, eta, estimator, seed]


def _fit_fields(scheduler: str) -> tuple[dict, dict, float]:
    """Show the fields that a sampler has; eta, which others refuse, goes back to its default."""
    is_ddim = scheduler == "ddim"
    return gr.update(visible=not is_ddim), gr.update(visible=is_ddim), DEFAULT_ETA


def _outputs() -> list[gr.components.Component]:
    """What a request shows, in the order in which `restore` returns it."""
    pair, status, download = widgets.comparison("result"), widgets.status("summary"), widgets.download("download")
    with gr.Row(elem_classes="pair"):
        seen = widgets.shown("As the model saw it", "seen", min_width=140)
        estimate = widgets.shown("Estimate f(y)", "estimate", min_width=140)
    return [pair, seen, estimate, status, download]


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
            yield None, None, None, widgets.under_way("Loading the networks"), None
            count = steps if scheduler == "ddim" else calls
            pipeline = shared.pipeline_for(profile, estimator, scheduler, start)
            total = len(chain(pipeline.scheduler, pipeline.config.begin_index, count, eta).timesteps)
            crop, note = shared.aligned_face(picture, aligned, pipeline.size)
            full = images.to_tensors(crop)[0]
            seen = images.fit_square(full, pipeline.size)
            tone = tone_of(seen)
            before, pixels = shared.enlarged(seen), shared.pixels(tone.given)

            def attempt(report: Callable, device: str) -> DifFaceOutput:
                pipeline = shared.pipeline_for(profile, estimator, scheduler, start, device)
                follow = running.follower(report, total)
                return pipeline(seen, count, eta, *shared.generators(seed), output_type="pt", **follow)

            def view(step: running.Step) -> tuple:
                bar = widgets.under_way("Drawing the details", step)
                return (before, shared.enlarged(tone.back(step.x0_hat[0]))), pixels, None, bar, None

            run = running.run_of(attempt)
            began = time.perf_counter()
            yield from run.steps(view)
            output, notes = run.result()
            seconds = time.perf_counter() - began
            result = images.to_pil(images.unfit_square(output.images[0], *full.shape[-2:]))  # its size in the upload
            done = picture.info["notes"] + tone.notes
            info = output.info | {"sampler": scheduler, "estimator": estimator, "notes": done}
            file = shared.save(result, face, info, profile, seed, picture=picture)
            made = f"{total} network calls from N = {start} in {seconds:.1f} s"
            summary = _summary(made, pipeline, seed, result)
            text = widgets.note(note, *shared.said(done), *notes, summary)
            pair = before, shared.enlarged(output.images[0])
            yield pair, pixels, shared.enlarged(output.estimates[0]), text, file

    return restore


def _summary(made: str, pipeline: DifFacePipeline, seed: int, result: Image.Image) -> str:
    kind, reason = choose("auto", pipeline.device)
    return (
        f"{made}, seed {seed}. The networks computed in {kind}: {reason}. The model saw and drew {pipeline.size} × "
        f"{pipeline.size} pixels; the file has the {result.width} × {result.height} of the face in your picture, and "
        "says inside that it is AI-restored."
    )
