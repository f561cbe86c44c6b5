"""Fig. 7b: how scores fall as the downsampling of Eq. 17 grows, over the ten levels of s of the test grid."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.progress import track

from difface import images
from difface.degradation import Degradation, Ranges, degrade, grid
from eval.figures.bench import Bench
from eval.figures.faces import Faces, noises
from eval.figures.options import figure
from eval.figures.scores import CURVES, axis_label
from eval.figures.style import LINES, note, panels
from eval.settings import FolderMethod


@figure("estimator", "begin_index", "steps", "others", "metrics", metrics=(*CURVES, "LPIPS"))
def figure_7b(bench: Bench) -> tuple[Figure, pd.DataFrame]:
    """Scores over s: DifFace, f(y) alone, and other methods.

    The faces need a truth; their own inputs are not used, they are made here (`levels`). A folder of another method's
    answers is laid out as `write_levels` writes the inputs; a level that is not there leaves a gap. A metric that
    cannot be had leaves a panel that says so.

    Returns:
        The plots; and for each s and method the number of `faces` and the scores.

    Raises:
        ValueError: faces without truth, a folder of answers without a level, or a level without a face, before anything
            is restored.
    """
    setting, rows = bench.ours(), []
    setting.chain()  # refused, if it must be, before anything is restored
    methods = {f"DifFace, $N$ = {setting.begin_index}": setting, "$f(y)$ alone": replace(setting, begin_index=None)}
    given = {name: _answers(name, Path(folder), bench.faces) for name, folder in (bench.others or {}).items()}
    for s, faces in track(levels(bench.faces).items(), "Figure 7b"):
        level = replace(bench, faces=faces)
        there = {name: FolderMethod(name, found[s]) for name, found in given.items() if s in found}
        for title, method in (methods | there).items():
            row = {"s": s, "method": title.replace("$", ""), "faces": len(faces.names)}
            rows.append(row | level.whole(method))
    table = pd.DataFrame(rows)
    titles = {title.replace("$", ""): title for title in (*methods, *given)}
    figure, axes = panels(len(bench.metrics))
    for name, plot in zip(bench.metrics, axes, strict=True):
        _over_s(plot, table, name, titles, bench.notes.get(name))
    return figure, table


def levels(faces: Faces) -> dict[float, Faces]:
    """s -> the same faces degraded at that level.

    At every level a face has the same blur, noise and quality, but for sigma_y: those of the cell of the grid that a
    seeded permutation of the level's 400 gives to it.
    """
    cells = grid(Ranges.nearest(faces.size).size)
    order: list[int] = []
    result = {}
    for s in sorted({cell.scale for cell in cells}):
        those: list[Degradation] = [cell for cell in cells if cell.scale == s]
        order = order or torch.randperm(len(those), generator=torch.Generator().manual_seed(0)).tolist()
        parameters = [those[order[k % len(order)]] for k in range(len(faces.names))]
        result[s] = replace(faces, lq=degrade(faces.truth(), parameters, noises(faces.names)))
    return result


def _answers(name: str, folder: Path, faces: Faces) -> dict[float, Path]:
    """s -> the folder of another method's answers, of the levels that it has."""
    there = {s: folder / _folder(s) for s in Ranges.nearest(faces.size).grid_scale if (folder / _folder(s)).is_dir()}
    if not there:
        raise ValueError(
            f"the folder {folder} of '{name}' has no level; s_1, s_2, ... with a picture of each face are accepted: "
            "answer the inputs that `python -m eval levels` writes."
        )
    for level in there.values():
        lacking = [face for face in faces.names if not (level / f"{face}.png").is_file()]
        if lacking:
            raise ValueError(f"{level} has no picture of {lacking[0]}; {lacking[0]}.png is accepted: add it.")
    return there


def write_levels(faces: Faces, folder: Path) -> None:
    """Write the inputs of all levels, FOLDER/s_4/NAME.png, for another method to answer."""
    for s, level in levels(faces).items():
        for name, lq in zip(level.names, level.lq, strict=True):
            images.write(images.to_pil(lq), Path(folder) / _folder(s) / f"{name}.png")


def _folder(s: float) -> str:
    return f"s_{s:g}"


def _over_s(axes: Axes, table: pd.DataFrame, name: str, titles: dict[str, str], missing: str | None) -> None:
    axes.set(xlabel=f"downsampling factor $s$ ({table.faces[0]} faces at each)", ylabel=axis_label(name))
    if missing:
        note(axes, f"{name}: {missing}")
        return
    lines = table.pivot(index="s", columns="method", values=name)
    for (method, title), look in zip(titles.items(), cycle(LINES), strict=False):
        axes.plot(lines.index, lines[method], **look, label=title)
    axes.legend()
