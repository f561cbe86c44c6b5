"""How the figures look: sizes of a two-column page, a palette for every eye, and files written whole."""

import functools
import textwrap
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from difface.files import whole_file

COLUMN, PAGE = 3.5, 7.16
"""Width of one column and of the page, in inches."""
DPI, PRINT_DPI = 200, 600
"""Of the PNG and of pictures in the PDF; the second is a multiple of the first: pixels stay whole in both."""
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
"""Okabe and Ito's palette."""
LINES = [
    dict(color=colour, marker=marker, linestyle=dash)
    for colour, marker, dash in zip(
        (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK),
        "os^Dv<>",
        ("-", "-", "--", "-.", ":", "--", "-."),
        strict=True,
    )
]
"""Lines that differ by colour, marker and dash."""
GREY = "0.45"
HEAT = "inferno"

_RC = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,
}


def styled(function: Callable) -> Callable:
    """Run a function with this style, and leave matplotlib's settings as they were."""

    @functools.wraps(function)
    def wrapped(*arguments, **options):
        with matplotlib.rc_context(_RC):
            return function(*arguments, **options)

    return wrapped


def panels(count: int, height: float = 1.9) -> tuple[Figure, list[Axes]]:
    """`count` plots: one at column width, two to four in rows of the page's width, more in rows of three.

    Args:
        count: how many.
        height: of a row, in inches.
    """
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(COLUMN if count == 1 else PAGE, height * rows), layout="constrained", dpi=DPI)
    figure.get_layout_engine().set(w_pad=0.07)
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


def note(axes: Axes, text: str) -> None:
    """Say in a panel why there is nothing to see in it."""
    width = max(int(axes.get_window_extent().width / DPI * 15), 12)
    axes.clear()
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, textwrap.fill(f"n/a: {text}", width), ha="center", va="center", color=GREY, transform=axes.transAxes
    )


@styled
def save(figure: Figure, table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Write NAME.pdf, NAME.png and NAME.csv, all three whole or none.

    Args:
        figure: the picture.
        table: the numbers behind it; NaN is written as n/a.
        folder: made if it is not there.
        name: without a suffix.

    Returns:
        The three paths.
    """
    paths = [Path(folder) / f"{name}{suffix}" for suffix in (".pdf", ".png", ".csv")]
    with ExitStack() as files:
        pdf, png, csv = (files.enter_context(whole_file(path)) for path in paths)
        figure.savefig(pdf, format="pdf", dpi=PRINT_DPI, metadata={"CreationDate": None})
        figure.savefig(png, format="png", dpi=DPI)
        table.to_csv(csv, index=False, na_rep="n/a", float_format="%.6g")
    return paths
