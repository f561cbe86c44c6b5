"""Several pictures at once: a face of each is restored, all come as a ZIP file, a table says what happened to each."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from difface import images, profiles
from difface.files import whole_file
from difface.schedulers import FAST_CALLS
from space import running, shared, widgets

MOST = 50
"""Pictures at once."""
NONE_CHOSEN = f"no picture is chosen; 1 to {MOST} of {images.ACCEPTED} are accepted: upload some."


def fields(profile: profiles.Profile, start: gr.Slider, seed: gr.Number) -> None:
    """Draw the fields.

    Args:
        profile: whose networks.
        start, seed: of the tab.
    """
    with gr.Accordion("Many pictures at once", open=False, elem_id="batch-fold"), gr.Row(elem_classes="work"):
        with gr.Column():
            files = gr.File(
                label="Pictures of one face each", file_count="multiple", file_types=["image"], elem_id="batch-files"
            )
            pressed = widgets.buttons("Restore all", "batch")
        with gr.Column(elem_classes="outcome"):
            table = gr.Dataframe(
                headers=["Picture", "What happened"],
                label="Pictures",
                interactive=False,
                wrap=True,
                elem_id="batch-table",
            )
            status, download = widgets.status("batch-summary"), widgets.download("batch-download", "Download all (ZIP)")
    what = "Restore a face of each of several pictures: a table of what happened to each, and a ZIP file."
    widgets.on_press(pressed, batcher(profile.name), [files, start, seed], [table, status, download], "batch", what)


def batcher(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def batch(files: list[str] | None, start: int, seed: int) -> Iterator[tuple]:
        """Restore the largest face of every picture."""
        with shared.one_line():
            seed, count = shared.seed_of(seed), len(files or [])
            if not 0 < count <= MOST:
                raise ValueError(NONE_CHOSEN if not files else f"{count} pictures are too many: {NONE_CHOSEN}")
            yield None, widgets.under_way("Loading the networks"), None
            rows: list[list[str]] = []
            made: list[str] = []

            def work(report: Callable) -> None:
                for k, path in enumerate(files, 1):
                    told, file = _one(path, profile, start, seed)
                    rows.append([Path(path).name, told])
                    made.extend(file)
                    report(k, count)

            run = running.Run(work)
            yield from run.steps(lambda step: ([*rows], widgets.under_way("Restoring the pictures", step), None))
            run.result()
            yield rows, widgets.note(_summary(len(made), count)), zipped(made, "restored.zip") if made else None

    return batch


def _one(path: str, profile: str, start: int, seed: int) -> tuple[str, list[str]]:
    """What happened to a picture, and its file, if there is one."""
    try:
        picture = shared.read(path)
        pipeline = shared.pipeline_for(profile, start=start)
        crop, note = shared.aligned_face(picture, False, pipeline.size)
        output = pipeline(crop, FAST_CALLS, generator=shared.generators(seed))
        file = shared.save(output.images[0], path, output.info, profile, seed, picture=picture)
    except images.ImageError as error:
        return f"Not restored: {error}", []
    return f"Restored. {note}", [file]


def zipped(files: list[str], name: str) -> str:
    """A ZIP file of these, in a folder of its own; of equal names the second gets a number."""
    path, seen = shared.result_folder() / name, set()
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in map(Path, files):
            inside, k = file.name, 2
            while inside in seen:
                inside, k = f"{file.stem}_{k}{file.suffix}", k + 1
            seen.add(inside)
            archive.write(file, inside)
    return str(path)


def _summary(made: int, count: int) -> str:
    pictures = "1 picture was" if made == 1 else f"{made} pictures were"
    return f"{pictures} restored of {count}. What a photo does not show is made up; the files say that inside."
