"""The tab that makes several answers to one face, and maps where they agree."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import torch

from difface import certainty, images, profiles
from difface.metrics.identity import EMBEDDING, angle, embed
from difface.pipeline import DifFaceOutput
from difface.schedulers import FAST_CALLS
from difface.weights import WeightMissing
from space import address, batch, running, shared, widgets
from space.restore import Tab

MOST = 8
"""Answers at most."""
NOT_THERE = Path("no examples")
"""A folder without examples."""
RANKED = (
    "The answers stand in the order of likeness to the person's photo: the angle between embeddings (MobileFaceNet), 0 "
    "for the same picture, about 90 for a stranger. It is no proof of who somebody is."
)


def tab(profile: profiles.Profile, examples: Path, single: Tab, tabs: gr.Tabs) -> address.Fields:
    """Draw the tab; its settings, for the page's address.

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
            with gr.Accordion("Rank the answers by another photo of the person", open=False):
                person, _ = widgets.picture(
                    "The same person, in a clear photo", NOT_THERE, "answers-person", height=190
                )
        with gr.Column(elem_classes="outcome"):
            outputs, use = _outputs()
        with gr.Column(elem_classes="settings"):
            count = widgets.slider(2, MOST, 4, step=1, label="Answers", precision=0)
            preset = widgets.presets(profile.begin_index)
            with gr.Accordion("Advanced", open=False):
                aligned.render()
                start = widgets.start(profile.begin_index)
                seed = widgets.seed()
            resets = gr.Row()
    widgets.follow(preset, start, "answers")
    sent = single.where.click(
        lambda face, aligned: (face, aligned, gr.Tabs(selected="answers")),
        [single.face, single.aligned],
        [face, aligned, tabs],
        api_name="to_answers",
        **widgets.PRIVATE,
    )
    what = "Answers k = 0, 1, ... have seed + k; the map is the standard deviation over them at every pixel."
    given = [face, aligned, count, start, seed, person]
    use.click(
        lambda face, aligned, start, seed: (face, aligned, start, seed, gr.Tabs(selected="restore")),
        [face, aligned, start, outputs[-1]],
        [single.face, single.aligned, single.start, single.seed, tabs],
        api_name="use_answer",
        **widgets.PRIVATE,
    )
    going = widgets.on_press(pressed, answerer(profile.name), given, outputs, "answers", what, [*chosen, sent])
    with resets:
        address.reset("answers", [face, person], [aligned, count, start, seed], outputs, going)
    return {"n": start, "seed": seed, "samples": count}


def _outputs() -> tuple[list[gr.components.Component], gr.Button]:
    """The map over an answer, what it means, all answers (a click puts one under the map), their ZIP file, the one
    under the map and its seed; and the button that goes on with it."""
    certainty_map = widgets.comparison("map", "Certainty map")
    gr.HTML(_legend(), padding=False)
    status = widgets.status("certainty")
    gallery = widgets.gallery("Answers", 4, "answers")
    with gr.Row(elem_classes="buttons"):
        archive = widgets.download("answers-download", "Download all (ZIP)")
        one = gr.DownloadButton(
            "Download this one (PNG)", visible=False, elem_id="answers-one", size="md", min_width=140
        )
        use = gr.Button("Use this one", elem_id="answers-use", size="md", min_width=140)
    seed = gr.State(0)
    gallery.select(
        under_map, [gallery, certainty_map], [certainty_map, one, seed], api_name="under_map", **widgets.PRIVATE
    )
    return [certainty_map, status, gallery, archive, one, seed], use


def under_map(answers: list[tuple[str, str]] | None, pair: tuple[str, str] | None, chosen: gr.SelectData) -> tuple:
    """The answer that was clicked on, with the map beside it; its file, and its seed."""
    if not answers or not pair or not 0 <= chosen.index < len(answers):
        return gr.skip(), gr.skip(), gr.skip()
    path, caption = answers[chosen.index]
    return (path, pair[1]), path, int(caption.split(",")[0].removeprefix("Seed "))


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
    def answers(
        face: str | None, aligned: bool, count: int, start: int, seed: int, person: str | None = None
    ) -> Iterator[tuple]:
        """Several answers to one face, and where they differ."""
        with shared.one_line():
            picture, seed = shared.read(face), shared.seed_of(seed)
            yield None, widgets.under_way("Loading the networks"), None, None, None, seed
            size = shared.pipeline_for(profile).size
            crop, note = shared.aligned_face(picture, aligned, size)
            seen = images.fit_square(images.to_tensors(crop)[0], size)

            truth = _aligned(person, size)

            def work(report: Callable) -> tuple[tuple[torch.Tensor, dict], list[str]]:
                return running.within_memory(
                    lambda device, batch: _answers(seen, profile, start, seed, count, device, batch, report), count
                )

            run = running.Run(work)
            yield from run.steps(
                lambda step: (None, widgets.under_way("Drawing the answers", step), None, None, None, seed)
            )
            (result, info), notes = run.result()
            info["notes"] = picture.info["notes"] + info["notes"][0]
            values = certainty.spread(result)
            overlay = certainty.heat_map(values, result[0])
            order, angles, ranked = _ranked(result, truth)
            shown = [shared.enlarged(answer) for answer in result]
            # as files, so that what is downloaded says that it is AI-restored
            pictures = [
                (
                    shared.save(shown[k], f"seed_{seed + k}.png", info, profile, seed + k, picture=picture),
                    f"Seed {seed + k}" + (f", {angles[k]:.0f}° from the person" if angles else ""),
                )
                for k in order
            ]
            text = widgets.note(note, *shared.said(info["notes"]), *notes, ranked, certainty.sentence(values, count))
            archive = batch.zipped([path for path, _ in pictures], "answers.zip")
            pair = shown[order[0]], shared.enlarged(overlay)
            yield pair, text, pictures, archive, pictures[0][0], seed + order[0]

    return answers


def _aligned(person: str | None, size: int) -> torch.Tensor | None:
    """The face in a photo of the person, (1, 3, `size`, `size`) in [0, 1]; None without a photo.

    Raises:
        ImageError: no face is found in it.
    """
    if not person:
        return None
    crop, _ = shared.aligned_face(shared.read(person), False, size)
    return images.fit_square(images.to_tensors(crop)[0], size)[None]


def _ranked(answers: torch.Tensor, truth: torch.Tensor | None) -> tuple[list[int], list[float], str]:
    """Answers in the order of likeness to a face.

    Args:
        answers: (B, 3, H, H) in [0, 1].
        truth: (1, 3, H, H); None leaves the answers in their order.

    Returns:
        Their places, the angles of the embeddings in degrees (in the answers' own order; none without a truth or
        without the network's weights), and a sentence on that.
    """
    order = list(range(len(answers)))
    if truth is None:
        return order, [], ""
    try:
        angles = angle(embed(answers), embed(truth).repeat(len(answers), 0)).tolist()
    except WeightMissing:  # its message names folders of the server
        return order, [], f"Not ranked by the person's photo: the weights of the embedding, {EMBEDDING}, are not here."
    return sorted(order, key=angles.__getitem__), angles, RANKED


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
