"""The tab that draws the paper's figures from a face of the visitor's choice, and shows its tables."""

import html
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident

import gradio as gr
import pandas as pd
import torch

from difface import images, profiles
from space import about, running, shared, widgets

FIGURES = [
    ("Fig. 3: reconstruction", "3"),
    ("Fig. 4: contraction over t", "4"),
    ("Fig. 5: the error contracts", "5"),
    ("Fig. 6: several N", "6"),
    ("Fig. 7a: scores over N", "7a"),
    ("Fig. 7b: scores over s", "7b"),
    ("Fig. 8: several η", "8"),
]
STEPS = 20
"""Length of the DDIM grid of a live figure; the paper's is 250."""
STARTS = (100, 200, 300, 400, 600)
"""N in the figures that take several: at `STEPS` each leaves two network calls or more."""
RESULTS = shared.ROOT / "eval" / "results"
"""Where measured tables are, table_N.csv; a table that is not there shows the printed numbers only."""
SPEED = RESULTS / "speed_tiny.png"
"""The plot of `python -m eval bench`."""
MEASURED = "the embedded 64-pixel models on 100 held-out portraits: not the paper's faces, size or networks"
NOT_MEASURED = (
    "Not measured here: it needs real low-quality photos, or metrics whose weights and picture size the embedded "
    "models do not have. <code>python -m eval table</code> makes it."
)
OURS = {"ID angle": "ID angle ↓ (degrees)", "FD-prior": "FD-prior ↓"}
"""Columns that the paper does not have, with units and arrows."""
MARKS = {"reproduced": "✓", "off": "≠", "other data": "○", "cannot run": "–"}
"""State of a printed number -> its mark beside the number."""
TABLES = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI"]


def tab(profile: profiles.Profile) -> None:
    """Draw the tab."""
    gr.Markdown(
        f"**Figures 3 to 8, live**, on a clean face of your choice (or the astronaut), with {STEPS} DDIM steps instead "
        "of the paper's 250. It takes some seconds."
    )
    with gr.Row(elem_classes="stales"):
        with gr.Column(min_width=300, scale=1):
            face, _ = widgets.picture("A clean face (optional)", shared.EXAMPLES / "none", "paper-face", height=240)
            aligned = widgets.aligned()
            number = gr.Dropdown(FIGURES, value="5", label="Figure", elem_id="figure-number")
            pressed = widgets.buttons("Draw", "draw")
        with gr.Column(min_width=300, scale=2, elem_classes="outcome"):
            drawn = widgets.shown("Figure", "figure", ["fullscreen", "download"])
            status = widgets.status("figure-status")
            files = gr.File(label="As PDF, PNG and CSV", file_count="multiple", interactive=False)
    what = "A figure of the paper, drawn from a clean face, and its files."
    widgets.on_press(pressed, drawer(profile.name), [number, face, aligned], [drawn, files, status], "figure", what)
    gr.Markdown("**Tables I to XI**: what the paper prints, and beside it what was measured here, where it was.")
    documents = [
        ("docs/results.md", "all results that were measured"),
        ("docs/status/status.md", "all printed numbers"),
    ]
    gr.HTML(f"<p>More: {' · '.join(about.link(*one) for one in documents)}</p>", padding=False)
    table = gr.Dropdown(TABLES, value="I", label="Table", elem_id="table-number")
    shown = gr.HTML(table_html("I"), label="The table", elem_id="table", padding=False)
    said = "A table of the paper: what is printed, what was measured here, and notes."
    told = dict(api_name="table", api_description=said)
    if SPEED.exists():
        gr.Markdown(
            "**What the fast path gains**: seconds for a face, and how real its answers look, setting by setting."
        )
        widgets.shown("Quality against seconds", "speed", ["fullscreen"], value=str(SPEED))
    table.change(table_html, table, shown, queue=False, show_progress="hidden", **told)


def drawer(profile: str) -> Callable:
    """The function behind the button."""

    @shared.on_gpu
    def figure(number: str, face: str | None = None, aligned: bool = False) -> Iterator[tuple]:
        """Draw a figure."""
        with shared.one_line():
            yield None, None, widgets.under_way("Drawing")
            faces = _faces(face, aligned, profiles.profile(profile).size)

            run = running.run_of(lambda report, device: _draw(number, faces, profile, device, report))
            yield from run.steps(lambda step: (None, None, widgets.under_way(f"{step.done} network calls made")))
            (pdf, png, csv), notes = run.result()
            yield str(png), [str(pdf), str(png), str(csv)], widgets.note("Drawn.", *notes)

    return figure


def _draw(number: str, faces, profile: str, device: str, report: Callable) -> list[Path]:
    """The files of a figure; `report` is told of every call of the prior, how many there will be is not known."""
    from eval.figures import FIGURES as FUNCTIONS  # matplotlib takes its time: only for those who ask
    from eval.figures import save
    from eval.run import Runner

    def make(profile: str, estimator: str | None, scheduler: str):
        return shared.pipeline_for(profile, estimator, scheduler, device=device)

    calls, here = count(1), get_ident()

    def called(*_) -> None:
        if get_ident() == here:  # the network is shared: another visitor's calls are none of this figure's
            made = next(calls)
            report(made, made)

    hook = make(profile, None, "ddim").unet.register_forward_hook(called)
    try:
        with TemporaryDirectory(dir=shared.result_folder()) as work:
            runner = Runner(Path(work), device, "auto", make=make)
            drawn, table = FUNCTIONS[number](faces, runner, profile, **_options(number))
    finally:
        hook.remove()
    return save(drawn, table, shared.result_folder(), f"figure_{number}")


def _options(number: str) -> dict:
    """What a live figure is drawn with: few steps, one face, and only scores that one face has."""
    options = {} if number == "4" else {"steps": STEPS}
    if number in ("3", "6", "7a"):
        options["starts"] = STARTS
    if number in ("3", "6", "7a", "7b", "8"):
        options["metrics"] = ("PSNR", "SSIM")
    return options


def _faces(face: str | None, aligned: bool, size: int):
    """The visitor's face or the astronaut, made worse at the middle level of the examples."""
    from difface.degradation import degrade, level
    from eval.figures import Faces
    from eval.gallery import astronaut_face

    if face:
        picture, _ = shared.aligned_face(shared.read(face), aligned, size)
    else:
        picture = astronaut_face(size)
    hq = images.fit_square(images.to_tensors(picture)[0], size)
    lq = degrade(hq, level(size, "middle"), torch.Generator().manual_seed(0))
    return Faces(("face",), hq[None], lq[None])


def table_html(number: str) -> str:
    """A table of the paper: printed numbers, measured ones where there are, and notes.

    Args:
        number: "I" to "XI".
    """
    from eval import paper

    printed = paper.table(number)
    parts = [f"<h2>Table {number}: {_text(printed.caption)}</h2>"]
    measured = RESULTS / f"table_{number}.csv"
    if measured.is_file():
        parts += _measured(measured, OURS | {column.name: _head(column) for column in printed.columns})
    else:
        parts.append(f"<p>{NOT_MEASURED}</p>")
    states = _states(number)
    for block in printed.blocks:
        place = paper.place(printed, block)
        head = ["", *(_head(column) for column in printed.columns)]
        rows = []
        for row in block.rows:
            marks = [_mark(states.get((block.name, row.method, column.name))) for column in printed.columns]
            values = map(_number, row.values, (column.digits for column in printed.columns))
            rows.append([row.method, *(f"{value} {mark}".strip() for value, mark in zip(values, marks, strict=True))])
        parts += [f"<p><b>Printed in the paper</b> ({_text(place)})</p>", _grid(head, rows)]
    parts.append(_legend(states))
    notes = "".join(f"<li>{_text(note)}</li>" for note in printed.notes)
    return "".join(parts) + (
        f"<details><summary>Notes on the printed numbers</summary><ul>{notes}</ul></details>" if notes else ""
    )


@cache
def _states(number: str) -> dict:
    """What became of every printed number of a table (`eval.status`): block, method, column -> it."""
    from eval import paper
    from eval.status import status

    return {(one.block, one.method, one.column): one for one in status(RESULTS, [paper.table(number)])}


def _mark(number) -> str:
    return MARKS[number.state] if number else ""


def _legend(states: dict) -> str:
    """What the marks mean and how often each stands there, and every number's state in full, folded."""
    counted = Counter(one.state for one in states.values())
    said = " · ".join(f"{mark} {state}: {counted[state]}" for state, mark in MARKS.items())
    lines = [
        [", ".join(filter(None, (block, method, column))), f"{one.printed:g}", one.said]
        for (block, method, column), one in states.items()
    ]
    grid = _grid(["Number", "Printed", "State, and what gets it"], lines)
    return (
        f"<p>The status of the {len(states)} printed numbers here: {said}.</p>"
        f"<details class='states'><summary>Number by number</summary>{grid}</details>"
    )


def _measured(path: Path, heads: dict[str, str]) -> list[str]:
    """Blocks of a results file: its columns but for the printed ones; `heads` have their units and arrows."""
    frame = pd.read_csv(path)
    names = [
        name
        for name in frame.columns
        if name not in ("data", "method")
        and not name.startswith("paper ")
        and not name.endswith((" low", " high", " p"))
    ]
    names = [name for name in names if frame[name].notna().any()]
    head, parts = ["", *(heads.get(name, name) for name in names)], []
    frame = frame[frame[names].notna().any(axis=1)]  # other methods have printed numbers only
    for data, block in frame.groupby("data", sort=False):
        rows = [[row["method"], *(_number(row[name], 3) for name in names)] for _, row in block.iterrows()]
        parts += [f"<p><b>Measured here</b> ({_text(str(data))}): {_text(MEASURED)}</p>", _grid(head, rows)]
    return parts


def _head(column) -> str:
    arrow = {True: " ↑", False: " ↓", None: ""}[column.higher_is_better]
    return column.name + arrow + (f" ({column.unit})" if column.unit else "")


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None or pd.isna(value) else f"{value:.{digits}f}"


def _grid(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th scope='col'>{_text(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{_text(first)}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    return f"<div class='grid' tabindex='0'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _text(text: str) -> str:
    return html.escape(text)
