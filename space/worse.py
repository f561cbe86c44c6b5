"""The tab that degrades a clean face by Eq. 17 and restores it, with scores: error contraction at work."""

import math
from collections.abc import Callable, Iterator, Sequence

import gradio as gr
import torch
from PIL import Image

from difface import images, metadata, profiles, weights
from difface.contraction import contraction
from difface.degradation import Degradation, Ranges, degrade, noise_generator
from difface.metrics.identity import EMBEDDING, IdentityAngle
from difface.metrics.psnr import PSNR
from difface.metrics.ssim import SSIM
from difface.pipeline import DifFaceOutput
from difface.schedulers import FAST_CALLS
from difface.weights import WeightError
from space import batch, running, shared, widgets

INVENT_STEPS = 25
"""Network calls for a face out of nothing."""
PREVIEW = dict(concurrency_id="preview", concurrency_limit=1)
"""Of what is shown while the sliders move: it runs no restoration, and waits for none."""
SETTINGS = ("s", "σ₁", "σ₂", "the angle of the blur", "δ", "q")
"""The sliders, as errors call them."""
HEADERS = ["", "PSNR (dB) ↑", "SSIM ↑", "Identity angle (°) ↓", "Detail (% of the truth)"]
WIDTHS = ["100px", "80px", "80px", "110px", "110px"]
"""Of the columns: on a narrow screen the table is scrolled, and words stay whole."""
SCORES = (
    "PSNR and SSIM fall from the estimate to the answer by design: they reward blur. The identity angle is 0° for the "
    "same person and about 90° for a stranger; detail says how much fine structure there is, 100 % as in the truth, "
    "not whether it is in its place: noise has more. How real answers look, only sets of faces show (Table I)."
)
PICTURES = {
    "Truth": ("truth.png", metadata.UNTOUCHED),
    "Input y": ("input.png", metadata.UNTOUCHED),
    "Estimate f(y)": ("estimate.png", metadata.RESTORED),
    "DifFace": ("restored.png", metadata.RESTORED),
}
"""What is compared: caption -> file, and what its metadata say of it."""


def tab(profile: profiles.Profile) -> tuple[gr.Image, gr.Checkbox]:
    """Draw the tab; a clean face, and whether it is aligned."""
    gr.Markdown(
        "Take a **clean** face, make it worse with the degradation of the paper (Eq. 17), and restore it: here the "
        "truth is known, so every step can be scored."
    )
    with gr.Row(elem_classes="stales"):
        with gr.Column(min_width=300):
            face, _ = widgets.picture("A clean face", shared.EXAMPLES / "none", "clean-face")
            aligned = widgets.aligned()
            with gr.Row(elem_classes="buttons"):
                astronaut = gr.Button("Take the astronaut", elem_id="astronaut", min_width=140)
                invent = gr.Button("Invent a face", elem_id="invent", min_width=140)
            settings = _sliders(Ranges.nearest(profile.size))
            seed = widgets.seed()
        with gr.Column(min_width=300):
            worse = widgets.shown("Made worse, y", "worse", ["fullscreen"], height=320)
            start = widgets.start(profile.begin_index)
            pressed = widgets.buttons("Restore it", "restore-worse")
            status = widgets.status("worse-summary")
            with gr.Column(elem_classes="outcome"):
                gallery = widgets.gallery("Truth, input, estimate, DifFace", 2, "worse-answers")
                label = "Scores against the truth"
                shown = dict(column_widths=WIDTHS, interactive=False, wrap=True, elem_id="scores")
                scores = gr.Dataframe(headers=HEADERS, label=label, **shown)
                download = widgets.download("worse-download", "Download all (ZIP)")
    given = [face, aligned, *settings, seed]
    gr.on(
        [face.change, aligned.input, seed.change, *(slider.change for slider in settings)],
        worsener(profile.size),
        given,
        worse,
        trigger_mode="always_last",
        api_name="worsen",
        api_description="Eq. 17 on a clean face.",
        show_progress="hidden",
        **PREVIEW,
    )
    what = "Degrade a clean face by Eq. 17, restore it, and score the input, the estimate and the answer."
    outputs = [gallery, scores, status, download]
    widgets.on_press(pressed, worse_restorer(profile.name), [*given, start], outputs, "restore_worse", what)
    about = "The face of scikit-image's astronaut (NASA, public domain)."
    taken = dict(api_name="astronaut", api_description=about)
    astronaut.click(lambda: _astronaut(profile.size), None, face, **taken, **shared.QUEUE)
    another = "() => Math.floor(Math.random() * 2 ** 31)"  # each time; over the API a seed draws its face
    drawn = dict(api_name="invent", api_description="A face that nobody has: a sample of the prior, by its seed.")
    invent.click(inventor(profile.name), seed, face, js=another, **drawn, **shared.QUEUE)
    return face, aligned


def _sliders(ranges: Ranges) -> list[gr.Slider]:
    """The parameters of Eq. 17, in its order."""
    scale, sigma = ranges.grid_scale[-1], ranges.sigma[1]
    sliders = [
        gr.Slider(1, scale, ranges.grid_scale[4], step=0.5, label="s: made smaller by this factor"),
        gr.Slider(0, sigma, round(sigma / 3, 1), step=0.1, label="σ₁: blur along one axis (pixels)"),
        gr.Slider(0, sigma, round(sigma / 3, 1), step=0.1, label="σ₂: blur along the other"),
        gr.Slider(-180, 180, 0, step=15, label="Angle of the blur (degrees)"),
        gr.Slider(0, 30, 5, step=1, label="δ: noise (grey levels of 255)"),
        gr.Slider(5, 100, 60, step=1, label="q: JPEG quality"),
    ]
    return [widgets.may_be_empty(slider) for slider in sliders]


def worsener(size: int) -> Callable:
    """The function behind the sliders."""

    def worsen(face, aligned, scale, sigma_1, sigma_2, angle, noise, quality, seed) -> Image.Image | None:
        """Degrade a clean face."""
        settings = (scale, sigma_1, sigma_2, angle, noise, quality)
        if not face:
            return None
        if None in (*settings, seed):  # while another number is typed
            return gr.skip()
        with shared.one_line():
            truth, _ = _truth(face, aligned, size)
            return shared.enlarged(_worse(truth, settings, shared.seed_of(seed)))

    return worsen


def worse_restorer(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def restore_worse(face, aligned, scale, sigma_1, sigma_2, angle, noise, quality, seed, start) -> Iterator[tuple]:
        """Degrade a clean face, restore it, and score what came of it."""
        with shared.one_line():
            truth, note = _truth(face, aligned, profiles.profile(profile).size)
            seed = shared.seed_of(seed)
            lq = _worse(truth, (scale, sigma_1, sigma_2, angle, noise, quality), seed)
            yield [], None, widgets.under_way("Loading the networks"), None

            def attempt(report: Callable, device: str) -> DifFaceOutput:
                pipeline = shared.pipeline_for(profile, start=start, device=device)
                follow = running.follower(report, FAST_CALLS)
                return pipeline(lq, generator=shared.generators(seed), output_type="pt", **follow)

            run = running.run_of(attempt)
            yield from run.steps(lambda step: ([], None, widgets.under_way("Drawing the details", step), None))
            output, notes = run.result()
            compared = dict(zip(PICTURES, [truth, lq, output.estimates[0], output.images[0]], strict=True))
            files = _files(compared, output.info, profile, seed, invented=_is_invented(face))
            scores = [[name, *_scores(image, truth)] for name, image in compared.items() if name != "Truth"]
            text = widgets.note(note, *notes, _contracted(truth, output), SCORES, _no_identity())
            yield files, scores, text, batch.zipped([path for path, _ in files], "made_worse.zip")

    return restore_worse


def inventor(profile: str) -> Callable:
    """The function behind the button that draws a clean face."""

    @shared.on_gpu
    def invent(seed: int) -> str:
        """A face that nobody has: a sample of the prior."""
        with shared.one_line():
            seed = shared.seed_of(seed)

            def attempt(device: str, _: int) -> DifFaceOutput:
                pipeline = shared.pipeline_for(profile, device=device)
                return pipeline.sample(1, INVENT_STEPS, generator=shared.generators(seed))

            output, _ = running.within_memory(attempt)
            text = metadata.restored_text(output.info, profile, seed, metadata.GENERATED)
            return _file(output.images[0], f"invented_{seed}", text)

    return invent


def _astronaut(size: int) -> str:
    """The astronaut of scikit-image (NASA, public domain)."""
    from eval.gallery import astronaut_face

    return _file(astronaut_face(size), "astronaut")


def _file(picture: Image.Image, name: str, text: dict[str, str] | None = None) -> str:
    path = shared.result_folder() / f"{name}.png"
    images.write(picture, path, text)
    return str(path)


def _is_invented(path: str) -> bool:
    """Whether a file is a face that *Invent a face* drew."""
    with Image.open(path) as picture:
        return metadata.text_of(picture).get("Comment") == metadata.GENERATED


def _files(
    compared: dict[str, torch.Tensor], info: dict, profile: str, seed: int, invented: bool
) -> list[tuple[str, str]]:
    """The pictures, enlarged, as files, so that a download says whether an AI made it; each with its caption."""
    folder, files = shared.result_folder(), []
    for caption, picture in compared.items():
        name, comment = PICTURES[caption]
        if invented and comment == metadata.UNTOUCHED:
            comment = metadata.GENERATED
        text = metadata.restored_text(info, profile, seed, comment)
        images.write(shared.enlarged(picture), folder / name, text)
        files.append((str(folder / name), caption))
    return files


def _truth(face: str | None, aligned: bool, size: int) -> tuple[torch.Tensor, str]:
    """x_0 at the model's size, and a sentence on where it is from."""
    crop, note = shared.aligned_face(shared.read(face), aligned, size)
    return images.fit_square(images.to_tensors(crop)[0], size), note


def _worse(truth: torch.Tensor, settings: Sequence[float | None], seed: int) -> torch.Tensor:
    """y of Eq. 17, by the sliders' values in their order; the angle in degrees.

    Raises:
        ValueError: one is missing or not accepted.
    """
    for name, value in zip(SETTINGS, settings, strict=True):
        if value is None:
            raise ValueError(f"{name} is empty; a number is accepted: type one.")
    scale, sigma_1, sigma_2, angle, noise, quality = settings
    degradation = Degradation(scale, sigma_1, sigma_2, math.radians(angle), noise, int(quality))
    return degrade(truth, degradation, noise_generator(seed))


def _scores(image: torch.Tensor, truth: torch.Tensor) -> tuple[str, str, str, str]:
    """PSNR, SSIM, the identity angle and the detail, as they are shown."""
    psnr, ssim = (metric().score(image[None], truth[None]).item() for metric in (PSNR, SSIM))
    angle = "n/a" if _no_identity() else f"{IdentityAngle().score(image[None], truth[None])[0]:.0f}"
    return f"{psnr:.2f}", f"{ssim:.3f}", angle, f"{100 * detail(image) / detail(truth):.0f}"


def detail(image: torch.Tensor) -> float:
    """How much fine structure a picture (3, H, W) in [0, 1] has: the mean size of its Laplacian in grey; above 0."""
    grey = image.mean(0)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return laplacian.abs().mean().item() + 1e-6


def _no_identity() -> str:
    """Why there is no identity angle here, in a sentence; empty where there is one."""
    try:
        weights.find(EMBEDDING)
    except WeightError:
        return f"There is no identity angle here: {EMBEDDING} is missing."
    return ""


def _contracted(truth: torch.Tensor, output: DifFaceOutput) -> str:
    """Eq. 13 for this face."""
    error = 2 * (truth - output.estimates[0]).norm().item()
    factor = contraction().factor[output.info["noise_timestep"]].item()
    return (
        f"The estimate is off by ‖e‖ = {error:.1f} (images in [-1, 1]). Noise up to N = {output.info['begin_index']} "
        f"shrinks that to √ᾱ_N ‖e‖ = {factor:.2f} × {error:.1f} = {factor * error:.1f}; from there the prior draws a "
        "face."
    )
