"""Pictures side by side: cells on whole pixels, so that a face of 64 pixels is seen as it is."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from difface.images import to_uint8
from eval.figures.style import DPI, HEAT, PAGE, note

_HEAD, _LABEL, _GAP, _CAPTION, _BLOCK = (round(inches * DPI) for inches in (0.2, 0.2, 0.03, 0.16, 0.08))
_LARGEST = round(1.5 * DPI)


class Sheet:
    """A figure of `rows` by `columns` square cells with headings above, labels at the left and captions below them.

    Lengths are in pixels of the PNG (`style.DPI`). A row may be a fraction: 0.5 lies in the middle of rows 0 and 1.

    Args:
        rows, columns: cells.
        size: side of the pictures in pixels; a cell is a whole multiple of it where it is not smaller.
        block: rows that belong together; where they are several, a wider gap follows each.
        labels: leave room for row labels.
        captions: leave room below each cell.
        right: room for a colour bar.
        below: height of a plot or a colour bar beneath.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        size: int,
        block: int = 1,
        labels: bool = True,
        captions: bool = True,
        right: float = 0.0,
        below: float = 0.0,
    ):
        self.block, self.between = block, _BLOCK if block > 1 else 0
        self.left, self.right, self.below = _LABEL if labels else 0, round(right * DPI), round(below * DPI)
        free = round(PAGE * DPI) - self.left - self.right - (columns - 1) * _GAP
        cell = min(free // columns, _LARGEST)
        self.cell = cell // size * size if cell >= size else cell
        self.nearest = cell >= size
        self.step = self.cell + (_CAPTION if captions else _GAP)
        self.width = self.left + columns * self.cell + (columns - 1) * _GAP + self.right
        self.height = _HEAD + rows * self.step + (rows - 1) // block * self.between + self.below
        self.columns = columns
        self.figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)

    def picture(self, row: float, column: int, image: Tensor, caption: str = "") -> None:
        """(3, H, H) in [0, 1]; values outside are clipped."""
        self._image(row, column, caption, X=to_uint8(image.clamp(0, 1)))

    def heat(self, row: float, column: int, values: Tensor, largest: float, caption: str = "") -> None:
        """(H, H), from 0 to `largest`, as a heat map."""
        self._image(row, column, caption, X=values.numpy(), cmap=HEAT, vmin=0, vmax=largest)

    def note(self, row: float, column: int, text: str) -> None:
        """Why a cell has no picture."""
        note(self._axes(row, column), text)

    def column(self, column: int, text: str, batch: Tensor) -> None:
        """A heading, and a picture for each row, (rows, 3, H, H)."""
        self.heading(column, text)
        for row, image in enumerate(batch):
            self.picture(row, column, image)

    def ends(self, lq: Tensor | None, hq: Tensor | None) -> None:
        """The inputs as the first column and the truths as the last, (rows, 3, H, H), those that are given."""
        if lq is not None:
            self.column(0, "input $y$", lq)
        if hq is not None:
            self.column(self.columns - 1, "truth $x_0$", hq)

    def heading(self, column: float, text: str) -> None:
        """Above a column; between two of them where it is a fraction."""
        x = self.left + column * (self.cell + _GAP) + self.cell / 2
        self._text(x, _HEAD * 0.55, text)

    def label(self, row: float, text: str) -> None:
        """At the left of a row, upwards."""
        self._text(self.left * 0.45, self._top(row) + self.cell / 2, text, rotation=90)

    def colour_bar(self, first: float, last: float, largest: float, text: str) -> None:
        """The scale of `heat`, at the right of these rows."""
        top, bottom = self._top(first), self._top(last) + self.cell
        left = self.width - self.right + round(0.06 * DPI)
        self._bar(self._place(left, top, round(0.07 * DPI), bottom - top), largest, text, "vertical")

    def colour_bar_below(self, column: int, largest: float, text: str) -> None:
        """The scale of `heat`, below a column, in the room that `below` leaves."""
        left, top = self.left + column * (self.cell + _GAP), self.height - self.below + round(0.05 * DPI)
        self._bar(self._place(left, top, self.cell, round(0.07 * DPI)), largest, text, "horizontal")

    def _bar(self, axes: Axes, largest: float, text: str, orientation: str) -> None:
        bar = self.figure.colorbar(ScalarMappable(Normalize(0, largest), HEAT), cax=axes, orientation=orientation)
        bar.outline.set_linewidth(0.5)
        bar.set_label(text, labelpad=2)
        bar.ax.tick_params(pad=1.5, length=2)

    def plot(self, left: float = 0.55, bottom: float = 0.38, top: float = 0.1) -> Axes:
        """An ordinary plot beneath the pictures, with these margins in inches."""
        left, bottom, top = (round(inches * DPI) for inches in (left, bottom, top))
        return self._place(
            left, self.height - self.below + top, self.width - left - round(0.05 * DPI), self.below - top - bottom
        )

    def _top(self, row: float) -> int:
        """Upper edge of a row; a fraction is a place between the rows above and below it."""
        whole = int(row)
        top = _HEAD + whole * self.step + whole // self.block * self.between
        return top if row == whole else round(top + (row - whole) * (self._top(whole + 1) - top))

    def _place(self, left: int, top: int, width: int, height: int) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def _axes(self, row: float, column: int) -> Axes:
        return self._place(self.left + column * (self.cell + _GAP), self._top(row), self.cell, self.cell)

    def _image(self, row: float, column: int, caption: str, X: np.ndarray, **colours) -> None:
        axes = self._axes(row, column)
        axes.imshow(X, interpolation="nearest" if self.nearest else "antialiased", **colours)
        axes.set_axis_off()
        if caption:
            x = self.left + column * (self.cell + _GAP) + self.cell / 2
            self._text(x, self._top(row) + self.cell + _CAPTION * 0.52, caption, fontsize=7)

    def _text(self, x: float, y: float, text: str, **options) -> None:
        self.figure.text(x / self.width, 1 - y / self.height, text, ha="center", va="center", **options)
