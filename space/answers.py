"""The tab that makes several answers to one face, and maps where they agree."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import torch

from difface import certainty, images, profiles
from difface.pipeline import DifFaceOutput
from difface.schedulers import FAST_CALLS
from space import batch, running, shared, widgets
from space.restore import Tab

MOST = 8
"""Answers at most."""


def tab(profile: profiles.Profile, examples: Path, single: Tab, tabs: gr.Tabs) -> None:
    """Draw the tab.

    Args:
        profile: whose networks.
        examples: folder of faces to click on.
        single: the tab that sends its face here.
        tabs: all of them, to come here.
    """
    with gr.Row(elem_classes="work"):
        with gr.Column():
            aligned = widgets.aligned(render=False)
            face, chosen = widgets.picture("A face", examples, "answers-face", aligned=aligned)
            pressed = widgets.buttons("Make answers", "answer")
        with gr.Column(elem_classes="outcome"):
            outputs = _outputs()
        with gr.Column(elem_classes="settings"):
            count = widgets.slider(2, MOST, 4, step=1, label="Answers", precision=0)
            preset = widgets.presets(profile.begin_index)
            with gr.Accordion("Advanced", open=False):
                aligned.render()
                start = widgets.start(profile.begin_index)
                seed = widgets.seed()
    widgets.follow(preset, start, "answers")
    sent = single.where.click(
        lambda face, aligned: (face, aligned, gr.Tabs(selected="answers")),
        [single.face, single.aligned],
        [face, aligned, tabs],
        api_name="to_answers",
        **widgets.PRIVATE,
    )
    what = "Answers k = 0, 1, ... have seed + k; the map is the standard deviation over them at every pixel."
    given = [face, aligned, count, start, seed]
    widgets.on_press(pressed, answerer(profile.name), given, outputs, "answers", what, [*chosen, sent])


def _outputs() -> list[gr.components.Component]:
    """The map over an answer, what it means, all answers (a click puts one under the map), and their ZIP file."""
    certainty_map = widgets.comparison("map", "Certainty map")
    gr.HTML(_legend(), padding=False)
    status = widgets.status("certainty")
    gallery = widgets.gallery("Answers", 4, "answers")
    gallery.select(under_map, [gallery, certainty_map], certainty_map, api_name="under_map", **widgets.PRIVATE)
    return [certainty_map, status, gallery, widgets.download("answers-download", "Download all (ZIP)")]


def under_map(
    answers: list[tuple[str, str]] | None, pair: tuple[str, str] | None, chosen: gr.SelectData
) -> tuple[str, str] | dict:
    """The answer that was clicked on, with the map beside it."""
    if not answers or not pair or not 0 <= chosen.index < len(answers):
        return gr.skip()
    return answers[chosen.index][0], pair[1]


def _legend() -> str:
    """The map's scale."""
    colours = [images.to_uint8(row.view(3, 1, 1))[0, 0] for row in certainty.palette()[::51]]
    stops = ", ".join(f"rgb({r}, {g}, {b})" for r, g, b in colours)
    least = f"dark: ±{certainty.FULL * 255:.0f} grey levels or more, invented"
    return (
        f'<div class="legend"><span>{least}</span><span class="scale" style="background: linear-gradient(to '
        f'right, {stops})">'
        "</span><span>bright: all agree</span></div>"
    )


def answerer(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def answers(face: str | None, aligned: bool, count: int, start: int, seed: int) -> Iterator[tuple]:
        """Several answers to one face, and where they differ."""
        with shared.one_line():
            picture, seed = shared.read(face), shared.seed_of(seed)
            yield None, widgets.under_way("Loading the networks"), None, None
            size = shared.pipeline_for(profile).size
            crop, note = shared.aligned_face(picture, aligned, size)
            seen = images.fit_square(images.to_tensors(crop)[0], size)

            def work(report: Callable) -> tuple[tuple[torch.Tensor, dict], list[str]]:
                return running.within_memory(
                    lambda device, batch: _answers(seen, profile, start, seed, count, device, batch, report), count
                )

            run = running.Run(work)
            yield from run.steps(lambda step: (None, widgets.under_way("Drawing the answers", step), None, None))
            (result, info), notes = run.result()
            info["notes"] = picture.info["notes"] + info["notes"][0]
            values = certainty.spread(result)
            overlay = certainty.heat_map(values, result[0])
            shown = [shared.enlarged(answer) for answer in result]
            # as files, so that what is downloaded says that it is AI-restored
            pictures = [
                (
                    shared.save(answer, f"seed_{seed + k}.png", info, profile, seed + k, picture=picture),
                    f"Seed {seed + k}",
                )
                for k, answer in enumerate(shown)
            ]
            text = widgets.note(note, *shared.said(info["notes"]), *notes, certainty.sentence(values, count))
            archive = batch.zipped([path for path, _ in pictures], "answers.zip")
            yield (shown[0], shared.enlarged(overlay)), text, pictures, archive

    return answers


def _answers(
    seen: torch.Tensor, profile: str, start: int, seed: int, count: int, device: str, batch: int, report: Callable
) -> tuple[torch.Tensor, dict]:
    """(count, 3, H, H) in [0, 1], `batch` at once, and the pipeline's `.info`."""
    parts: list[DifFaceOutput] = []
    for first in range(0, count, batch):
        generators = shared.generators(seed, count)[first : first + batch]
        pipeline = shared.pipeline_for(profile, start=start, device=device)
        follow = running.follower(report, -(-count // batch) * FAST_CALLS, len(parts) * FAST_CALLS)
        parts.append(
            pipeline(seen, generator=generators, num_images_per_input=len(generators), output_type="pt", **follow)
        )
    return torch.cat([part.images for part in parts]), parts[0].info
