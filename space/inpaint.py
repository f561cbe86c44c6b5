"""The tab that fills missing parts of a face: painted by the visitor, a mask of the paper's kinds, or black holes."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import gradio as gr
import numpy as np
import torch
from gradio.components.image_editor import EditorData
from gradio.events import Dependency
from PIL import Image
from torch.nn import functional

from difface import images, masks, metadata, methods, profiles
from difface.chain import chain
from difface.constraints import Masked
from difface.inpaint import ETA, START, fill
from difface.pipeline import DifFaceOutput
from difface.tone import tone_of
from difface.weights import WeightError
from space import api, downloads, entry, judged, running, shared, widgets
from space.restore import DDIM_STEPS

KINDS = [
    ("Box", "box"),
    ("Irregular", "irregular"),
    ("Half", "half"),
    ("Expand", "expand"),
    ("Black holes of the picture", "auto"),
]
CLEAN = "clean"
"""Folder in that of the examples with faces that nothing was done to."""
RIVALS = [("None", "none"), ("DDRM", "ddrm"), ("DiffPIR", "diffpir"), ("DDNM", "ddnm"), ("ΠGDM", "pigdm")]
"""Methods of `difface.methods` that take seconds, by their number of network calls: 20, 19, 100, and 100 and back."""
STEPS = 100
"""DDIM steps at first; the released 250 take two and a half times as long."""
RULES = [("Step, as released", "step"), ("Closed form (Eq. 16)", "closed")]
OTHER_PROFILE = {"ffhq512": "ffhq256-inpaint"}
"""Who fills in where a profile has no estimator for it."""
EDGES = {"Left edge": 30, "Top edge": 35, "Right edge": 70, "Bottom edge": 55}
"""Of a rectangle, in percent of the width from the left and of the height from the top: the eyes, at first."""
MARK = dict(api_visibility="private", **judged.LOOK)
KEYS = (
    '<p class="keys">Keys: <kbd>[</kbd> <kbd>]</kbd> brush size, hold <kbd>O</kbd> for the original, <kbd>Ctrl</kbd> '
    "<kbd>Z</kbd> undo.</p>"
)
NOTHING_MISSING = (
    "nothing is marked as missing; white paint or a mask is accepted: paint over what to fill, or choose a mask."
)
NOTHING_KNOWN = "the whole picture is marked as missing; some known pixels are accepted: take some paint away."


def tab(profile: profiles.Profile, examples: Path) -> tuple[gr.Image, gr.Checkbox]:
    """Draw the tab; the face to fill, and whether it is aligned."""
    name = OTHER_PROFILE.get(profile.name, profile.name)
    if not profiles.profile(name).inpainting:
        gr.Markdown(f"**Not to be had here:** {_missing(name)}", elem_id="inpaint-missing")
    size = profiles.profile(name).size
    with gr.Row(elem_classes="work"):
        with gr.Column():
            aligned = widgets.aligned(render=False)
            face, _ = widgets.picture("A face", examples / CLEAN, "inpaint-face", 150, aligned)
            canvas = _canvas()
            gr.HTML(KEYS, label="Keys", padding=False)
            original = gr.HTML(label="The original", elem_id="inpaint-original", padding=False)
            pressed = widgets.buttons("Fill in", "inpaint")
            said = widgets.status("inpaint-mask")
        with gr.Column(elem_classes="outcome"):
            outputs = _outputs()
        with gr.Column(elem_classes="settings"):
            kind = gr.Radio(KINDS, label="Or a mask at a click", elem_id="inpaint-kind")
            edges, mark = _rectangle_fields()
            rival = gr.Dropdown(RIVALS, value="none", label="Beside another method", elem_id="inpaint-rival")
            mask_seed, settings = _advanced(aligned)
    marked = [face, aligned, canvas, *edges]
    filled = [
        *_prepare_canvas(size, [face, aligned, kind, mask_seed], [canvas, kind, said, original]),
        mark.click(rectangle_marker(size), marked, [canvas, kind], api_name="mark_rectangle", **MARK),
    ]
    for k, event in enumerate(filled):
        event.success(None, js="() => window.difface.filled()", api_name=f"canvas_filled_{k}", **widgets.PRIVATE)
    what = "Fill the missing parts of a face: those that are white in a layer of `painted`."
    given = [face, aligned, canvas, *settings, rival]
    widgets.on_press(pressed, inpainter(name), given, outputs, "inpaint", what)
    return face, aligned


def _prepare_canvas(
    size: int, given: list[gr.components.Component], painted: list[gr.components.Component]
) -> list[Dependency]:
    """A new face comes on the canvas with the mask of the kind that is chosen, and a new kind on the face.

    Both are one event that runs anew while the fields have changed, so that neither undoes the other.

    Args:
        size: side in pixels at which the model works.
        given: the face, whether it is aligned, the kind of mask and its seed.
        painted: the canvas, the kind, what is said of them, and the face without paint.

    Returns:
        The events that have filled the canvas.
    """
    face, aligned, kind, mask_seed = given
    chosen = gr.on(
        [face.change, aligned.change, kind.input],
        painter(size),
        given,
        painted,
        trigger_mode="always_last",
        api_name="inpaint_canvas",
        api_visibility="private",
        show_progress_on=painted[0],
        **judged.LOOK,
    )
    # What clears the canvas takes the face away, too, which no undo brings back.
    cleared = painted[0].clear(
        lambda face, aligned: (painter(size)(face, aligned, None, None)[0], None),
        given[:2],
        painted[:2],
        api_name="inpaint_cleared",
        api_visibility="private",
        **judged.LOOK,
    )
    seeded = mask_seed.input(
        masker(size),
        given,
        painted[0],
        trigger_mode="always_last",
        api_name="mask_of_seed",
        api_visibility="private",
        show_progress_on=painted[0],
        **judged.LOOK,
    )
    gr.Button(visible=False).click(  # for the API alone
        mask_maker(size),
        given,
        gr.JSON(visible=False, label="The mask, as /inpaint takes it"),
        api_name="mask",
        api_description="A mask for a face, to be handed to /inpaint as `painted`.",
        **judged.LOOK,
    )
    return [chosen, cleared, seeded]


def _rectangle_fields() -> tuple[list[gr.Number], gr.Button]:
    """Four numbers that mark a hole, for who does not paint, and what marks it."""
    with gr.Accordion("Mark a rectangle by numbers", open=False, elem_id="inpaint-rectangle"):
        with gr.Row():
            edges = [
                gr.Number(value, label=f"{name} (%)", precision=0, minimum=0, maximum=100, min_width=100)
                for name, value in EDGES.items()
            ]
        mark = gr.Button("Mark it as missing", elem_id="inpaint-mark", size="md")
    return edges, mark


def rectangle_marker(size: int) -> Callable:
    """The function behind the button that marks a rectangle, for a model of `size` pixels."""

    def mark_rectangle(face: str | None, aligned: bool, painted: list, *edges: int | None) -> tuple[dict, None]:
        """The face with a rectangle painted on it, beside what is painted already."""
        with shared.one_line():
            crop = _crop(face, aligned, size)
            left, top, right, bottom = (
                shared.whole(value, name.lower(), 0, 100) for value, name in zip(edges, EDGES, strict=True)
            )
            if left >= right or top >= bottom:
                raise ValueError(
                    f"the rectangle reaches from {left} to {right} % across and from {top} to {bottom} % down; a left "
                    "edge before the right and a top above the bottom are accepted: change them."
                )
            missing = _layers(painted, *crop.size)
            rows = slice(crop.height * top // 100, -(-crop.height * bottom // 100))
            missing[rows, crop.width * left // 100 : -(-crop.width * right // 100)] = True
            return _sheet(crop, torch.from_numpy(missing).float()[None, None]), None

    return mark_rectangle


def load(profile: profiles.Profile) -> None:
    """Load the networks of the tab, where they can be had."""
    name = OTHER_PROFILE.get(profile.name, profile.name)
    with suppress(ValueError, WeightError):
        shared.pipeline_for(name, profiles.inpainting_estimator(name), "ddim")


def _missing(name: str) -> str:
    """Why nothing can be filled in, in a line."""
    try:
        profiles.inpainting_estimator(name)
    except ValueError as error:
        return str(error)
    return ""


def _canvas() -> gr.ImageEditor:
    """Where the visitor paints; a request gets its layers unread, so that `_painted` judges them."""
    canvas = gr.ImageEditor(
        label="Paint here",
        type="pil",
        format="png",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(default_size=40, colors=["#ffffff"], color_mode="fixed"),
        canvas_size=(shared.SHOWN, shared.SHOWN),
        height=430,
        buttons=["fullscreen"],
        elem_id="inpaint-canvas",
        placeholder="Choose a face above",
    )

    def layers(value: EditorData | None) -> list[str]:
        return [layer.path for layer in value.layers] if value else []

    canvas.preprocess = layers
    canvas.api_info = lambda: api.PAINTED_SCHEMA
    return canvas


def _advanced(aligned: gr.Checkbox) -> tuple[gr.Number, list[gr.components.Component]]:
    """The mask's seed, and the settings in the order in which `inpaint` takes them."""
    with gr.Accordion("Advanced", open=False):
        aligned.render()
        mask_seed = gr.Number(
            0,
            label="Seed of the mask",
            info="Another seed draws another mask.",
            precision=0,
            minimum=0,
            maximum=shared.MAX_SEED,
        )
        rule = gr.Dropdown(RULES, value="step", label="Rule", info="How known pixels pull the picture towards them.")
        gamma = gr.Textbox(
            "",
            label="γ",
            info="How strongly: 0 (not at all) to 0.5 with Step, 0 to inf with the closed form. Empty is the most: "
            "exactly.",
            placeholder="the most",
            max_lines=1,
        )
        start = widgets.start(START)
        steps = gr.Dropdown(DDIM_STEPS, value=STEPS, label="DDIM steps", info="Those below N are taken.")
        eta = widgets.slider(0, 1, ETA, step=0.05, label="η", info="Fresh noise per step: 0 is none (DDIM), 1 is DDPM.")
        composite = gr.Checkbox(
            True, label="Composite", info="Put the picture's own pixels back where they are known.", elem_id="composite"
        )
        seed = widgets.seed()
    return mask_seed, [rule, gamma, start, steps, eta, composite, seed]


def _outputs() -> list[gr.components.Component]:
    """What a request shows, in the order in which `inpaint` returns it."""
    pair, status = widgets.comparison("inpaint-result"), widgets.status("inpaint-summary")
    rivals = widgets.gallery("Beside another method", 2, "inpaint-rivals")
    download, files = widgets.download("inpaint-download"), widgets.files("inpaint-files")
    with gr.Accordion("The first estimate", open=False, elem_id="inpaint-between"):
        estimate = widgets.shown("Estimate f(y)", "inpaint-estimate", height=280)
    return [pair, estimate, status, download, rivals, files]


def painter(size: int) -> Callable:
    """The function behind a new picture and a new kind of mask, for a model of `size` pixels."""

    def inpaint_canvas(face: str | None, aligned: bool, kind: str | None, mask_seed: int | None) -> tuple:
        """The face to paint on, with the mask; no kind of mask, and why, where there can be none of it."""
        if not face:
            return None, gr.skip(), widgets.note("Choose a face: the mask comes with it." if kind else ""), ""
        with shared.one_line():
            blank = _sheet(_crop(face, aligned, size), None)
            original = f'<img alt="The original" src="{entry.data_address(blank["background"])}">'
            if kind is None:
                return blank, gr.skip(), "", original
            try:
                return _masked(face, aligned, kind, mask_seed, size), kind, "", original
            except ValueError as error:
                return blank, None, widgets.note(str(error)), original

    return inpaint_canvas


def masker(size: int) -> Callable:
    """The function behind another seed of the mask, for a model of `size` pixels."""

    def mask_of_seed(face: str | None, aligned: bool, kind: str | None, mask_seed: int) -> dict:
        """The face with a mask painted on it; without a kind of mask, what is painted stays."""
        if kind is None:
            return gr.skip()
        with shared.one_line():
            return _masked(face, aligned, kind, mask_seed, size)

    return mask_of_seed


def mask_maker(size: int) -> Callable:
    """The function behind /mask, for a model of `size` pixels."""

    def mask(face: str | None, aligned: bool, kind: str | None, mask_seed: int) -> dict:
        """What the canvas would hold: a layer that is white where the face is missing, as a data address."""
        with shared.one_line():
            if kind is None:
                kinds = ", ".join(kind for _, kind in KINDS)
                raise ValueError(f"no kind of mask is chosen; one of {kinds} is accepted: choose one.")
            sheet = _masked(face, aligned, kind, mask_seed, size)
            return sheet | {"background": None, "layers": [*map(entry.data_address, sheet["layers"])]}

    return mask


def _crop(face: str | None, aligned: bool, size: int) -> Image.Image:
    return shared.aligned_face(shared.read(face), aligned, size, has_holes=True)[0]


def _masked(face: str | None, aligned: bool, kind: str, mask_seed: int | None, size: int) -> dict:
    """The face with a mask of a kind, for the canvas.

    Raises:
        ValueError: there is no such mask for it.
    """
    seed, picture = shared.seed_of(mask_seed, "seed of the mask"), shared.read(face)
    crop, _ = shared.aligned_face(picture, aligned, size, has_holes=True)
    if kind == "auto":
        return _sheet(crop, _holes(face, crop is picture))
    return _sheet(crop, masks.MASKS[kind](*shared.generators(seed)).paint(crop.height, crop.width))


def _holes(path: str, whole: bool) -> torch.Tensor:
    """The mask of a picture's black holes, (1, 1, H, W).

    Raises:
        ImageError: there are none, they are doubtful, or the face is only a part of the picture.
    """
    if not whole:
        raise images.ImageError(
            "the face was cut out of the picture, and with it its exact black; holes are looked for in a whole "
            "picture: tick Already aligned, or paint over what is missing."
        )
    try:
        return masks.find_mask(path)
    except images.ImageError as error:  # what to do is another thing here than on the command line
        raise images.ImageError(f"{str(error).rpartition(': ')[0]}: paint over what is missing.") from None


def _sheet(crop: Image.Image, missing: torch.Tensor | None) -> dict:
    """What the canvas shows: a face brought to about `SHOWN` pixels, and a mask (1, 1, H, W) in white paint."""
    ratio = shared.SHOWN / max(crop.size)
    shown = crop.resize([max(1, round(side * ratio)) for side in crop.size], Image.Resampling.LANCZOS)
    if missing is None:
        return {"background": shown, "layers": [], "composite": None}
    paint = Image.new("RGBA", shown.size, (255, 255, 255, 0))
    paint.putalpha(_picture(_fitted(missing, shown.height, shown.width)))
    return {"background": shown, "layers": [paint], "composite": None}


def _fitted(missing: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A mask at the canvas's size; where that is smaller, a pixel of it is missing if any that it stands for is."""
    if height < missing.shape[2] or width < missing.shape[3]:
        return masks.resized(missing, height, width)
    return functional.interpolate(missing, (height, width), mode="nearest-exact")


def _picture(missing: torch.Tensor) -> Image.Image:
    """A mask (1, 1, H, W) as a grey picture, white = missing."""
    return Image.fromarray(missing[0, 0].numpy().astype(np.uint8) * 255, "L")


def _painted(layers: list[str], width: int, height: int) -> torch.Tensor:
    """The mask (1, 1, height, width) of what is painted: 1 where any layer is white and not transparent.

    Raises:
        ImageError: a layer is no picture or of another shape, or nothing or everything is painted.
    """
    missing = _layers(layers, width, height)
    if not missing.any():
        raise images.ImageError(NOTHING_MISSING)
    if missing.all():
        raise images.ImageError(NOTHING_KNOWN)
    return torch.from_numpy(missing).float()[None, None]


def _layers(layers: list[str], width: int, height: int) -> np.ndarray:
    """What is painted, (height, width) bool."""
    missing = np.zeros((height, width), bool)
    for layer in layers:
        grey, alpha = (np.asarray(part) for part in _layer(layer, width, height).split())
        missing |= _of_the_face((grey > 127) & (alpha > 127), height, width)
    return missing


def _layer(layer: str, width: int, height: int) -> Image.Image:
    """A painted layer in grey with alpha (LA), in the shape of the face."""
    try:
        with Image.open(layer) as picture:
            images.check_size(*picture.size, "the painted mask")
            paint = picture.convert("RGBA").convert("LA")
    except images.ImageError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise images.ImageError("the painted mask is no picture; PNG is accepted: paint it anew.") from None
    if abs(paint.width * height - paint.height * width) > 0.02 * paint.width * height:
        raise images.ImageError(
            f"the painted mask is {paint.width}x{paint.height} and the face {width}x{height} pixels; the same shape is "
            "accepted: paint it anew."
        )
    return paint


def _of_the_face(paint: np.ndarray, height: int, width: int) -> np.ndarray:
    """What is painted, (h, w) bool, at the size of the face: no stroke is lost, however thin, and none moves.

    A pixel of the face is missing if it holds the centre of a painted pixel, or a painted pixel holds its centre: just
    what `_fitted` made the paint of.
    """
    missing = functional.interpolate(torch.from_numpy(paint)[None, None].float(), (height, width), mode="nearest-exact")
    missing = missing[0, 0].bool().numpy()
    y, x = np.nonzero(paint)
    missing[(2 * y + 1) * height // (2 * paint.shape[0]), (2 * x + 1) * width // (2 * paint.shape[1])] = True
    return missing


def _gamma(text: str) -> float | None:
    """gamma from its field; None, the largest, where that is empty."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise ValueError(f"γ is '{text}'; a number or inf is accepted: type one, or leave it empty.") from None


def inpainter(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def inpaint(
        face: str | None,
        aligned: bool,
        painted: list,
        rule: str,
        gamma: str,
        start: int,
        steps: int,
        eta: float,
        composite: bool,
        seed: int,
        rival: str = "none",
    ) -> Iterator[tuple]:
        """Fill the missing parts of a face, and show how it comes about."""
        with shared.one_line():
            picture, seed = shared.read(face), shared.seed_of(seed)
            crop, note = shared.aligned_face(picture, aligned, profiles.profile(profile).size, has_holes=True)
            constraint = Masked(_painted(painted, *crop.size), rule, _gamma(gamma))
            estimator = profiles.inpainting_estimator(profile)
            yield None, None, widgets.under_way("Loading the networks"), None, [], None
            before = _enlarged(masks.paste_known(Image.new("RGB", crop.size, "white"), crop, constraint.mask))

            size = profiles.profile(profile).size
            tone = tone_of(images.fit_square(constraint.prepared(images.to_tensors(crop), size)[0], size))

            def attempt(report: Callable, device: str) -> tuple[downloads.Frames, DifFaceOutput]:
                pipeline = shared.pipeline_for(profile, estimator, "ddim", start, device)
                begin_index = pipeline.config.begin_index
                total = len(chain(pipeline.scheduler, begin_index, steps, eta, constraint).timesteps)
                frames = downloads.Frames(total)
                settings = dict(num_inference_steps=steps, eta=eta, composite=composite)
                follow = running.follower(frames.kept_by(report), total)["callback_on_step_end"]
                made = fill(
                    pipeline, crop, constraint, shared.generators(seed), **settings, callback_on_step_end=follow
                )
                return frames, made

            def as_shown(x0_hat: torch.Tensor) -> Image.Image:
                return _enlarged(images.to_pil(images.unfit_square(tone.back(x0_hat), crop.height, crop.width)))

            def view(step: running.Step) -> tuple:
                bar = widgets.under_way("Filling in", step)
                return (before, as_shown(step.x0_hat[0])), None, bar, None, [], None

            began = time.perf_counter()
            run = running.run_of(attempt)
            yield from run.steps(view)
            (frames, output), notes = run.result()
            ours = output.images[0], time.perf_counter() - began
            done = [*dict.fromkeys(picture.info["notes"] + output.info["notes"])]
            info = output.info | {"notes": done}
            file = shared.save(output.images[0], face, info, profile, seed, picture=picture)
            summary = _summary(output.info, constraint.mask, seed)
            pair = before, _enlarged(output.images[0])
            text = widgets.note(note, *shared.said(done), *notes, summary)
            estimate, beside = _enlarged(output.estimates[0]), []
            if rival != "none":
                run = running.run_of(
                    lambda report, device: _rival(rival, profile, crop, constraint, seed, device, report)
                )
                yield from run.steps(
                    lambda step: (
                        *(pair, estimate, widgets.under_way(f"Filling in by {_title(rival)}", step)),
                        *(None, [], None),
                    )
                )
                theirs, _ = run.result()
                beside = _side_by_side(ours, theirs, rival, output.info, profile, seed)
            yield pair, estimate, text, file, beside, None  # the other files take their time
            steps_seen = [as_shown(x0_hat) for x0_hat in frames.kept[:-1]]
            files = downloads.write(file, *pair, steps_seen, metadata.restored_text(info, profile, seed))
            yield pair, estimate, text, file, beside, files

    return inpaint


def _title(rival: str) -> str:
    """A rival as the page calls it."""
    return next(title for title, name in RIVALS if name == rival)


@cache
def _method(rival: str, profile: str, device: str) -> methods.Method:
    method = methods.load(rival, "inpainting", profile, device, "auto")
    method.set_progress_bar_config(disable=True)
    return method


def _rival(
    rival: str, profile: str, crop: Image.Image, constraint: Masked, seed: int, device: str, report: Callable
) -> tuple[Image.Image, float]:
    """The same face with the same holes, filled by another method with the same prior, and in how many seconds."""
    method = _method(rival, profile, device)
    y = images.fit_square(constraint.prepared(images.to_tensors(crop), method.size)[0], method.size)
    total, began = method.calls("inpainting"), time.perf_counter()

    def follow(method: methods.Method, step: int, timestep: int, tensors: dict) -> None:
        report(min(step + 1, total), total)

    mask, generator = constraint.fitted(1, method.size).mask, shared.generators(seed)
    [filled] = method.restore(y[None], mask=mask, generator=generator, callback_on_step_end=follow)
    whole = images.to_pil(images.unfit_square(filled, crop.height, crop.width))
    return masks.paste_known(whole, crop, constraint.mask), time.perf_counter() - began


def _side_by_side(
    ours: tuple[Image.Image, float],
    theirs: tuple[Image.Image, float],
    rival: str,
    info: dict,
    profile: str,
    seed: int,
) -> list[tuple[str, str]]:
    """Both results as files with their names and seconds."""
    named = {"difface": ("DifFace", ours), rival: (_title(rival), theirs)}
    return [
        (
            shared.save(_enlarged(picture), f"{name}.png", info | {"method": title}, profile, seed),
            f"{title}: {seconds:.1f} s",
        )
        for name, (title, (picture, seconds)) in named.items()
    ]


def _enlarged(picture: Image.Image) -> Image.Image:
    """About `SHOWN` pixels wide or high; larger ones as they are."""
    ratio = max(shared.SHOWN / max(picture.size), 1)
    return picture.resize([round(side * ratio) for side in picture.size], Image.Resampling.BICUBIC)


def _summary(info: dict, missing: torch.Tensor, seed: int) -> str:
    known = "What is known is the picture's own." if info["composite"] else "What is known is as the model gives it."
    return (
        f"{missing.mean().item():.0%} of the face was missing and is made up, in {info['calls']} network calls from "
        f"N = {info['begin_index']}, seed {seed}. {known} Another seed fills it in another way."
    )
