"""The Space: a Gradio page that restores one face at a time. It maps fields to a call of the library, nothing more."""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import gradio as gr
import torch
from PIL import Image

from difface import DifFacePipeline, build_scheduler, images, profiles
from difface.pipeline import DEFAULT_ETA, DEFAULT_STEPS
from difface.schedulers import FAST_CALLS
from difface.weights import WeightError

EXAMPLES = Path(__file__).resolve().parent / "assets" / "examples"
PROFILES = ("tiny", "ffhq512")
"""Those that restore faces without a mask."""
SHOWN = 512
"""Side in pixels to which pictures are enlarged on the page."""
MIN_START = 60
"""Smallest N on the page: every other field's values fit below it."""
CLEANING = (300, 1800)
"""Files older than the second number of seconds are deleted, looked for as often as the first says."""
MAX_UPLOAD = "64mb"
MAX_WAITING = 20
MAX_SEED = 2**32 - 1
SCHEDULERS = [
    ("DPM-Solver++, the fast one", "dpm++"),
    ("DPM-Solver++ SDE", "dpm++sde"),
    ("UniPC", "unipc"),
    ("DDIM, the paper's", "ddim"),
]
DDIM_STEPS = [20, 50, 100, 250, 500, 1000]
THEME = gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # no font is fetched
CSS = """
.gradio-container {max-width: 1180px !important; margin: 0 auto !important}
#face .image-frame img {width: 100%; height: 100%; object-fit: contain}
footer .divider {display: none}
@media (max-width: 480px) {.gradio-container {padding: 8px !important}}
"""

INTRO = """
# DifFace Studio
Restores a blurred, noisy or compressed **face**: a plain network makes a rough estimate, then a diffusion model that
knows faces draws the details. Choose one aligned face, seen from the front and filling the picture, and press *Restore*.

The model works at **{size} × {size} pixels**; what you see here is enlarged. {note}
"""
SMALL = "It is meant for small faces: a large, sharp photo comes back softer than it was."
HONEST = f"""
**Please note.** The model makes up what the picture does not show: details may be invented, and a restored face is no
evidence of anyone's identity. Nothing you upload is kept: it is used for your request only, and deleted from this
server within {sum(CLEANING) // 60} minutes.

Method: DifFace (Yue and Loy, TPAMI 2024), on Hugging Face diffusers. Weights: {{licence}}.
"""


def build(profile_name: str = "tiny", examples: Path = EXAMPLES) -> gr.Blocks:
    """The page.

    Args:
        profile_name: of `difface.profiles`; its networks are loaded by the first request.
        examples: folder of pictures to click on; may be empty or missing.
    """
    profile = profiles.profile(profile_name)
    with gr.Blocks(title="DifFace Studio", analytics_enabled=False, delete_cache=CLEANING) as page:
        gr.Markdown(INTRO.format(size=profile.size, note=SMALL if profile.size < 128 else ""))
        with gr.Row():
            with gr.Column(min_width=300):
                face = _face(examples)
                button = gr.Button("Restore", variant="primary", elem_id="restore")
                fields = _fields(profile)
            with gr.Column(min_width=300):
                outputs = _outputs(profile.size)
        gr.Markdown(HONEST.format(licence=profile.licence))
        restored = button.click(
            restorer(profile.name),
            [face, *fields],
            outputs,
            api_name="restore",
            show_progress_on=outputs[0],
            scroll_to_output=True,
            concurrency_limit=1,
        )
        restored.success(
            lambda: gr.update(interactive=True),
            None,
            outputs[2],
            api_name="enable",
            api_visibility="private",
            queue=False,
        )
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


def _face(examples: Path) -> gr.Image:
    """Where a face is uploaded, and the examples below."""
    face = gr.Image(
        label="A face", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=320, elem_id="face"
    )
    # The file is handed over unread, so that `difface.images` judges it: bad files end in its one line.
    # (Gradio rebuilds a component whose properties an event updates; events here give this one values only.)
    face.preprocess = lambda upload: upload.path if upload else None
    samples = [[str(path)] for path in sorted(examples.glob("*.png"))]
    if samples:
        dataset = gr.Dataset(label="Examples", components=[gr.Image(render=False)], samples=samples, elem_id="examples")
        dataset.click(
            lambda sample: sample[0], dataset, face, api_name="example", api_visibility="private", queue=False
        )
    return face


def _fields(profile: profiles.Profile) -> list[gr.components.Component]:
    """The settings, in the order in which `restore` takes them."""
    start = gr.Slider(
        MIN_START,
        1000,
        profile.begin_index,
        step=10,
        label="N: from fidelity (left) to realism (right)",
        info="Small N keeps close to the picture; large N looks better and invents more.",
    )
    with gr.Accordion("Advanced", open=False):
        scheduler = gr.Dropdown(SCHEDULERS, value="dpm++", label="Sampler")
        calls = gr.Slider(2, 50, FAST_CALLS, step=1, label="Network calls", info="Five are enough.")
        steps = gr.Dropdown(
            DDIM_STEPS,
            value=DEFAULT_STEPS,
            visible=False,
            label="DDIM steps",
            info="Of the whole chain of 1000; those below N are taken, so N = 400 and 250 steps make 100 network calls.",
        )
        eta = gr.Slider(
            0,
            1,
            DEFAULT_ETA,
            step=0.05,
            visible=False,
            label="η",
            info="Fresh noise per step: 0 is none (DDIM), 1 is DDPM.",
        )
        estimator = gr.Dropdown(
            list(profile.estimators), label="Estimator", info="The network that makes the rough estimate."
        )
        seed = gr.Number(
            0, label="Seed", info="Another seed draws other details.", precision=0, minimum=0, maximum=MAX_SEED
        )
    scheduler.change(
        _fit_fields,
        scheduler,
        [calls, steps, eta],
        api_name="fit_fields",
        api_visibility="private",
        queue=False,
        show_progress="hidden",
    )
    return [start, scheduler, calls, steps, eta, estimator, seed]


def _fit_fields(scheduler: str) -> tuple[dict, dict, dict]:
    """Show the fields that a sampler has; one that is hidden goes back to its default."""
    is_ddim = scheduler == "ddim"
    return gr.update(visible=not is_ddim), gr.update(visible=is_ddim), gr.update(visible=is_ddim, value=DEFAULT_ETA)


def _outputs(size: int) -> list[gr.components.Component]:
    """What a request shows, in the order in which `restore` returns it."""
    pair = gr.ImageSlider(
        label="Before and after",
        format="png",
        interactive=False,
        max_height=SHOWN,
        buttons=["fullscreen"],
        elem_id="result",
    )
    gr.Markdown(f"Left: your picture as the model sees it, at {size} × {size} pixels. Right: restored.")
    with gr.Row():
        with gr.Column(min_width=180):
            estimate = gr.Image(
                label="Rough estimate", format="png", interactive=False, buttons=["fullscreen"], elem_id="estimate"
            )
        with gr.Column(min_width=180):
            download = gr.DownloadButton("Download (PNG)", interactive=False, elem_id="download")
            summary = gr.Markdown(label="Summary", elem_id="summary")
    return [pair, summary, download, estimate]


def restorer(profile_name: str) -> Callable:
    """The function behind the button."""

    def restore(
        face: str | None,
        start: int,
        scheduler: str,
        calls: int,
        steps: int,
        eta: float,
        estimator: str,
        seed: int,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (how Gradio asks for it)
    ) -> tuple:
        """Restore one aligned face; eta and steps are for the sampler "ddim", calls for the others."""
        with one_line():
            picture = _read(face)
            generator = _generator(seed)
            progress(0, desc="Loading the networks")
            pipeline = request_pipeline(profile_name, estimator, scheduler, start)
            count = steps if scheduler == "ddim" else calls
            total = len(pipeline.check_inputs(count, eta))

            def follow(pipeline: DifFacePipeline, step: int, timestep: int, tensors: dict) -> dict:
                progress((step + 1, total), desc="Drawing the details")
                return {}

            began = time.perf_counter()
            full = images.to_tensors(picture)[0]
            seen = images.fit_square(full, pipeline.size)
            output = pipeline(seen, count, eta, generator, output_type="pt", callback_on_step_end=follow)
            result = images.to_pil(images.unfit_square(output.images[0], *full.shape[-2:]))
            file = _save(result, Path(face).stem, images.restored_text(output.info, profile_name, seed))
            summary = f"{total} network calls from N = {start} in {time.perf_counter() - began:.1f} s, seed {seed}. "
            summary += f"The file has the size of your picture, {result.width} × {result.height} pixels."
            pair = (_enlarged(seen), _enlarged(output.images[0]))
            return pair, summary, file, _enlarged(output.estimates[0])

    return restore


@contextmanager
def one_line() -> Iterator[None]:
    """Show what was not accepted as one message on the page, without a traceback."""
    try:
        yield
    except (ValueError, WeightError) as error:
        raise gr.Error(" ".join(str(error).split()), print_exception=False) from None


def _read(path: str | None) -> Image.Image:
    if path is None:
        raise images.ImageError("no picture is chosen; a PNG, JPEG, WebP, BMP or TIFF file is accepted: upload one.")
    return images.read(path, Path(path).name)  # the visitor's name for it


def _generator(seed: int | None) -> torch.Generator:
    if seed is None:
        raise ValueError(f"the seed is empty; a whole number in 0..{MAX_SEED} is accepted: type one.")
    return torch.Generator().manual_seed(seed)


unet = cache(profiles.load_unet)
estimator_of = cache(profiles.load_estimator)
"""Networks, loaded once and shared by all requests."""


def request_pipeline(profile_name: str, estimator: str, scheduler: str, start: int) -> DifFacePipeline:
    """A pipeline for one request: the shared networks, a scheduler and an N of its own."""
    networks = unet(profile_name), build_scheduler(scheduler), estimator_of(profile_name, estimator)
    pipeline = DifFacePipeline(*networks, begin_index=start)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _save(result: Image.Image, stem: str, text: dict[str, str]) -> str:
    """Write the result where Gradio serves it from and deletes it, see `CLEANING`."""
    cache_folder = Path(gr.utils.get_upload_folder())
    cache_folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=cache_folder)) / f"{stem}_restored.png"
    images.write(result, path, text)
    return str(path)


def _enlarged(picture: torch.Tensor) -> Image.Image:
    """(3, H, W) as a picture of `SHOWN` pixels; larger ones as they are."""
    side = max(SHOWN, *picture.shape[-2:])
    return images.to_pil(images.resize(picture[None], side, side)[0])


def serve(page: gr.Blocks, port: int, **options) -> tuple:
    """Start the server; `options` are Gradio's."""
    return page.launch(
        server_port=port,
        theme=THEME,
        css=CSS,
        max_file_size=MAX_UPLOAD,
        allowed_paths=[str(EXAMPLES)],
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        **options,
    )


def main() -> None:
    """Parse, build, serve."""
    parser = argparse.ArgumentParser(description="Serve the page of DifFace Studio.")
    parser.add_argument("--profile", default="tiny", choices=PROFILES)
    parser.add_argument("--port", type=int, default=7860)
    arguments = parser.parse_args()
    try:
        serve(build(arguments.profile), arguments.port)
    except OSError:
        parser.error(f"the port {arguments.port} cannot be used; a free one is accepted: choose another with --port.")


if __name__ == "__main__":
    main()
