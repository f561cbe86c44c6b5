"""What the notebooks' cells call: faces that anybody may use, pictures at the right size, sliders, kept trends."""

import io
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
import pandas as pd
import torch
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from torch import Tensor

from difface import folders, images, profiles
from difface.degradation import Ranges, cells, degrade, level
from eval.figures.faces import Faces, noises
from eval.figures.scores import axis_label
from eval.figures.sheet import Sheet
from eval.figures.style import DPI, LINES, panels, styled
from eval.gallery import TURNS, clean_faces

ROOT = Path(__file__).resolve().parents[2]
FACES = ROOT / "notebooks" / "faces"
"""The astronaut and samples of an earlier embedded prior, 64 pixels, kept so that no notebook draws for minutes."""
RESULTS = ROOT / "eval" / "results"
SHOWN_DPI = 100
"""Pictures are `DPI` dots an inch and shown at half of that: sharp on a dense screen."""


def count(full: int, fast: int) -> int:
    """`full`, or `fast` where `DIFFACE_FAST` is 1: how many faces or steps a cell takes."""
    return fast if os.environ.get("DIFFACE_FAST") == "1" else full


def faces(profile: str = "tiny", limit: int = 3) -> Faces:
    """The astronaut and samples of a prior, degraded by Eq. 17, with their truth.

    For the embedded profile they are read from the notebooks' folder; for another its own prior draws them. At 64
    pixels the three levels of the gallery take turns, at other sizes each face has a cell of the test grid.

    Args:
        profile: whose size, and whose samples.
        limit: how many, from 1; of the embedded profile's at most those that are kept.

    Raises:
        ValueError: more or fewer than that.
    """
    kept = folders.find([FACES]) if profile == "tiny" else None
    if limit < 1 or (kept and limit > len(kept)):
        raise ValueError(f"`limit` must be in 1..{len(kept) if kept else 'any number'}; got {limit}.")
    if kept:
        clean = {file.stem: images.to_tensors(images.read(file))[0] for file in kept[:limit]}
    else:
        clean = clean_faces(range(limit - 1), profile)
    names, hq = tuple(clean), torch.stack(list(clean.values()))
    size = hq.shape[-1]
    if kept:
        parameters = [level(size, TURNS[k % len(TURNS)]) for k in range(len(names))]
    else:
        parameters = cells(Ranges.nearest(size).size, len(names))
    return Faces(names, hq, degrade(hq, parameters, noises(names)))


@styled
def pictures(columns: Mapping[str, Tensor]) -> Figure:
    """Columns of pictures, each with its heading.

    Args:
        columns: heading -> (B, 3, H, H) in [0, 1], the same shape for all.
    """
    batches = list(columns.values())
    sheet = Sheet(len(batches[0]), len(batches), batches[0].shape[-1], labels=False, captions=False)
    for k, (heading, batch) in enumerate(columns.items()):
        sheet.column(k, heading, batch)
    return sheet.figure


def show(figure: Figure, alt: str) -> Image:
    """A figure as a PNG for the page.

    Args:
        figure: the picture.
        alt: what is to be seen, for those who cannot.
    """
    return Image(data=_png(figure), width=round(figure.get_figwidth() * SHOWN_DPI), alt=alt)


def slider(draw: Callable[[Any], Figure], values: Sequence, value: Any, label: str) -> None:
    """A slider that redraws a figure; where no kernel runs, the figure at `value` stands still in its place.

    Args:
        draw: one of `values` -> the figure.
        values: the slider's stops.
        value: the first one shown.
        label: beside the slider.
    """
    still = _png(draw(value))
    choice = ipywidgets.SelectionSlider(options=values, value=value, description=label, continuous_update=False)
    picture = ipywidgets.Image(value=still, layout={"max_width": "100%"})

    def redraw(change: dict) -> None:
        picture.value = _png(draw(change["new"]))

    choice.observe(redraw, "value")
    live = ipywidgets.VBox([choice, picture])._repr_mimebundle_()
    display(live | {"image/png": still, "text/plain": f"{label} {value}"}, raw=True)


def trend(name: str) -> pd.DataFrame:
    """A trend over the 100 test faces, as `python -m eval trends` measured and kept it.

    Args:
        name: "contraction", "n", "eta" or "s".

    Raises:
        ValueError: it has not been measured.
    """
    path = RESULTS / f"trends_{name}.csv"
    if not path.is_file():
        raise ValueError(f"the trend '{name}' is not kept in eval/results; measure it with `python -m eval trends`.")
    return pd.read_csv(path)


@styled
def trend_figure(table: pd.DataFrame, xlabel: str) -> Figure:
    """A panel for each metric of a trend, a line for each method.

    Args:
        table: the variable first, then columns "METRIC" (DifFace's) or "METHOD METRIC".
        xlabel: the variable, in words.
    """
    variable, *columns = table.columns
    metrics = [name for name in ("PSNR", "ID angle", "FD identity") if any(c.endswith(name) for c in columns)]
    figure, axes = panels(len(metrics))
    for metric, plot in zip(metrics, axes, strict=True):
        lines = [column for column in columns if column.endswith(metric)]
        for look, column in zip(LINES, lines, strict=False):
            plot.plot(table[variable], table[column], **look, label=column.removesuffix(metric).strip() or "DifFace")
        plot.set(xlabel=xlabel, ylabel=axis_label(metric))
        plot.legend()
    return figure


def at_every_step(table: pd.DataFrame, column: str, claim: str) -> str:
    """Whether a column of a trend falls or rises at every step of its first column, in a sentence with the numbers.

    Args:
        table: a trend, in order of its first column.
        column: the quantity.
        claim: "falls" or "rises".

    Raises:
        ValueError: another claim.
    """
    if claim not in ("falls", "rises"):
        raise ValueError(f"`claim` must be 'falls' or 'rises'; got {claim!r}.")
    variable, values = table.columns[0], table[column]
    steps = values.diff().dropna()
    kept = steps < 0 if claim == "falls" else steps > 0
    first, last = (f"{values.iloc[k]:.2f} at {variable} = {table[variable].iloc[k]:g}" for k in (0, -1))
    verdict = "yes" if kept.all() else f"no, in {kept.sum()} of {len(kept)}"
    return f"{column} {claim} at every step of {variable}: {verdict} ({first}, {last})."


def kept_table(number: str) -> Markdown:
    """A table of the paper as measured on the 100 test faces, beside the printed numbers; or how to measure it."""
    return _kept(f"table_{number}", f"table {number}")


def kept_constraints() -> Markdown:
    """How well known degradations are kept and undone on the 100 test faces; or how to measure it."""
    return _kept("constraints", "constraints")


def _kept(name: str, command: str) -> Markdown:
    path = RESULTS / f"{name}.md"
    if path.is_file():
        return Markdown(path.read_text(encoding="utf-8"))
    return Markdown(f"Not kept in `eval/results`: measure it with `python -m eval {command}`.")


def small_table(number: str, profile: str = "tiny", limit: int = 4, steps: int = 50, printed: bool = True) -> Markdown:
    """The same table, measured now on the first few faces that are kept beside the notebooks.

    Args:
        number: as for `python -m eval table`.
        profile: whose networks; another than the embedded one draws its own faces.
        limit: faces, from 2.
        steps: length of the DDIM grid in rows that do not vary it.
        printed: with what the paper prints.
    """
    from eval.run import Runner
    from eval.tables import build, definitions, render
    from eval.tables.data import datasets, samples

    chosen = faces(profile, limit)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, face in zip(chosen.names, chosen.truth(), strict=True):
            images.write(images.to_pil(face), root / "sampled faces" / f"{name}.png")
        options = definitions.Options(profile, steps)
        found = datasets(number, [str(root / "sampled faces")], root / "data", profile, limit, None)
        runner = Runner(root, guess=options.guess)
        result = build.build(number, found, lambda: samples(root / "data", limit, profile, steps), runner, options)
        text = render.markdown(result)
    return Markdown(text if printed else text.partition("**Printed in the paper**")[0])


@styled
def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
