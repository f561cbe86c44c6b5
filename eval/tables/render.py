"""A measured table as CSV, Markdown and LaTeX: best in bold, second best marked, printed numbers apart."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from difface.files import whole_file
from eval import paper, published
from eval.markdown import markdown_grid
from eval.metrics import METRICS, IndRMSE
from eval.tables import ntire, statistics, verdicts
from eval.tables.build import OURS, Block, Cell, Result
from eval.tables.definitions import CALLS

AS_PRINTED = "as printed"
"""The CSV's column that says whether data and networks are the paper's."""
_DIGITS = {"SSIM": 3, "SSIM (RGB)": 3, "LPIPS": 3, "LPIPS-alex": 3, "LPIPS-squeeze": 3}
_DIGITS |= {CALLS: 0, ntire.BELOW: 0}
_DIGITS |= dict.fromkeys(("KID identity", "KID-prior", "KID-F", "KID-G"), 4)
"""Decimals of measured columns; two elsewhere."""


@dataclass(frozen=True)
class Marks:
    """How a format writes the best and the second best, escapes text, and shows up and down arrows."""

    best: str
    second: str
    escape: Callable[[str], str]
    up: str
    down: str


MARKDOWN = Marks("**{}**", "_{}_", lambda text: text.replace("|", "\\|"), "↑", "↓")
LATEX = Marks(
    r"\textbf{{{}}}",
    r"\underline{{{}}}",
    lambda text: text.replace("&", r"\&").replace("%", r"\%").replace("_", r"\_"),
    r"$\uparrow$",
    r"$\downarrow$",
)


def write(result: Result, folder: Path) -> list[Path]:
    """Write table_N.csv, .md, .tex and .json (the record), each whole or not at all; their paths."""
    texts = {"csv": frame(result).to_csv(index=False), "md": markdown(result), "tex": latex(result)}
    texts["json"] = json.dumps(result.record, indent=1) + "\n"
    paths = [folder / f"table_{result.number}.{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def frame(result: Result) -> pd.DataFrame:
    """One line per row and block: `AS_PRINTED`, measured columns, intervals, p, and printed columns (`paper ...`)."""
    records = []
    for block in result.blocks:
        for line in block.lines:
            record: dict[str, object] = {"data": block.name, "method": line.label, AS_PRINTED: block.as_printed}
            for name in result.columns:
                cell = line.measured[name]
                record[name] = cell.value
                if cell.interval:
                    record |= {f"{name} low": cell.interval[0], f"{name} high": cell.interval[1]}
                if cell.p is not None:
                    record[f"{name} p"] = cell.p
            records.append(record | {f"paper {name}": value for name, value in line.printed.items()})
    return pd.DataFrame(records)


def markdown(result: Result) -> str:
    """The table with its captions, data sets, reasons for what is not there, printed numbers, and notes on those."""
    parts = [f"### Table {result.number}: {result.caption}"]
    parts += [f"Made with: {result.made}."] if result.made else []
    for block in result.blocks:
        parts += [f"**Measured** on {block.footer}" + _legend(block), markdown_grid(_measured(result, block, MARKDOWN))]
        parts += _orders(block) + _reasons(block, result.columns)
    for title, grid in _printed(result.number, MARKDOWN):
        parts += [f"**Printed in the paper** ({title})", markdown_grid(grid)]
    parts += filter(None, [published.markdown(result.protocol)])
    if result.notes:
        parts.append("Notes on the printed numbers:\n\n" + "\n".join(f"- {note}" for note in result.notes))
    return "\n\n".join(parts) + "\n"


def latex(result: Result) -> str:
    """The same as `tabular`s for booktabs, without the reasons and notes."""
    grids = [(f"measured on {block.footer}", _measured(result, block, LATEX)) for block in result.blocks]
    printed = _printed(result.number, LATEX)
    grids += [(f"printed in the paper: {title}", grid) for title, grid in printed]
    parts = [f"% Table {result.number}: {result.caption}. Needs \\usepackage{{booktabs}}."]
    parts += [f"% Made with: {result.made}."] if result.made else []
    for title, grid in grids:
        head, *body = [" & ".join(row) + r" \\" for row in grid]
        lines = [rf"\begin{{tabular}}{{l{'r' * (len(grid[0]) - 1)}}}", r"\toprule", head, r"\midrule", *body]
        parts.append("\n".join([f"% {title}", *lines, r"\bottomrule", r"\end{tabular}"]))
    return "\n\n".join(parts) + "\n"


def _legend(block: Block) -> str:
    cells = [cell for line in block.lines for cell in line.measured.values()]
    kinds = {cell.moved is None for cell in cells if cell.interval and not math.isnan(cell.interval[0])}
    text = {
        (True,): ". In brackets: 95 % bootstrap interval of the mean",
        (False,): ". " + _JACKKNIFE,
        (False, True): ". In brackets: 95 % bootstrap interval of a mean over pictures. " + _JACKKNIFE,
    }.get(tuple(sorted(kinds)), "")
    if any(cell.p is not None for cell in cells):
        ours = OURS if any(line.label == OURS for line in block.lines) else "the first measured row"
        text += f"; * differs from {ours}, p < 0.05 (Wilcoxon's signed-rank test; of distances the paired jackknife's)"
    return text + "."


_JACKKNIFE = (
    "In the brackets of distances between sets: 95 % jackknife interval over the scored pictures, best and second best "
    "marked only where the paired jackknife tells them from all rows behind them"
)


def _measured(result: Result, block: Block, marks: Marks) -> list[list[str]]:
    """Header and rows of the measured numbers; rows and columns without any are left to the reasons."""
    columns = [name for name in result.columns if any(line.measured[name].value is not None for line in block.lines)]
    lines = [line for line in block.lines if any(cell.value is not None for cell in line.measured.values())]
    ranks = {name: _ranks({k: line.measured[name] for k, line in enumerate(lines)}, name) for name in columns}
    body = [
        [
            marks.escape(line.label),
            *(_cell(line.measured[name], name, ranks[name].get(k), marks) for name in columns),
        ]
        for k, line in enumerate(lines)
    ]
    return [["", *(_head(name, marks) for name in columns)], *body]


def _printed(number: str, marks: Marks) -> list[tuple[str, list[list[str]]]]:
    """For each printed block its title and its rows under a header."""
    table, result = paper.table(number), []
    for block in table.blocks:
        body = [
            [
                marks.escape(row.method),
                *(
                    "-" if value is None else f"{value:.{column.digits}f}"
                    for value, column in zip(row.values, table.columns, strict=True)
                ),
            ]
            for row in block.rows
        ]
        size = f", {table.setting.size} pixels" if table.setting.size else ""
        title = paper.place(table, block) + size
        result.append((title, [["", *(_head(column.name, marks) for column in table.columns)], *body]))
    return result


def _ranks(cells: dict[int, Cell], name: str) -> dict[int, int]:
    """Row -> 0 for the best, 1 for the second best value of a column with a good direction; equal print, equal rank.

    Of distances between sets only what is told from all rows behind it; f(y) has no rank among distances to itself.
    """
    better, digits = _better(name), _DIGITS.get(name, 2)
    there = {k: cell for k, cell in cells.items() if cell.value is not None and not math.isnan(cell.value)}
    if better is not None and any(cell.moved is not None for cell in there.values()):
        return _told_apart(there)
    printed = {k: round(cell.value, digits) for k, cell in there.items() if name != IndRMSE.name or cell.value}
    if better is None or len(set(printed.values())) < 2:
        return {}
    order = sorted(set(printed.values()), reverse=better)
    return {k: order.index(value) for k, value in printed.items() if order.index(value) < 2}


def _told_apart(cells: dict[int, Cell]) -> dict[int, int]:
    """The ranks of distances: a row has its own if it differs from every row behind by more than 1.96 paired errors."""
    order = sorted(cells, key=lambda k: cells[k].value)
    ranks: dict[int, int] = {}
    for rank, k in enumerate(order[:2]):
        behind = [cells[other] for other in order[rank + 1 :]]
        if not all(_differ(other, cells[k]) for other in behind) or (rank == 0 and not behind):
            break  # without a best there is no second best
        ranks[k] = rank
    return ranks


def _differ(a: Cell, b: Cell) -> bool:
    return a.value - b.value > statistics.SURE * statistics.error_of_difference(a.moved or {}, b.moved or {})


def _better(name: str) -> bool | None:
    if name in METRICS:
        return METRICS[name]().higher_is_better
    return {"Runtime": False, ntire.SCORE: True, ntire.BELOW: False}.get(name)


def _head(name: str, marks: Marks) -> str:
    better = _better(name)
    unit = {column.name: column.unit for table in paper.tables().values() for column in table.columns}.get(name)
    arrow = "" if better is None else f" {marks.up if better else marks.down}"
    return marks.escape(name) + arrow + (f" ({unit})" if unit else "")


def _cell(cell: Cell, name: str, rank: int | None, marks: Marks) -> str:
    if cell.value is None:
        return "n/a"
    digits = _DIGITS.get(name, 2)
    text = f"{cell.value:.{digits}f}"
    text = text if rank is None else (marks.best, marks.second)[rank].format(text)
    if cell.interval and not math.isnan(cell.interval[0]):
        text += f" ({cell.interval[0]:.{digits}f} to {cell.interval[1]:.{digits}f})"
    return text + ("*" if cell.p is not None and cell.p < 0.05 else "")


def _orders(block: Block) -> list[str]:
    """What the block says of the paper's orders."""
    found = [f"- {verdicts.sentence(one)}" for one in verdicts.verdicts(block)]
    if not found:
        return []
    head = "The paper's order, here" + ("" if block.as_printed else " on other faces and networks")
    return [f"{head} (the other method's number against DifFace's; open: not told apart):\n\n" + "\n".join(found)]


def _reasons(block: Block, columns: tuple[str, ...]) -> list[str]:
    """Why there is no number: of whole rows, and of columns."""
    empty = {line.label: line for line in block.lines if all(cell.value is None for cell in line.measured.values())}
    found = [f"- {label}: {next(iter(line.measured.values())).reason}" for label, line in empty.items()]
    others = [line.measured[name].reason for line in block.lines if line.label not in empty for name in columns]
    found += [f"- {reason}" for reason in dict.fromkeys(reason for reason in others if reason)]
    return ["n/a:\n\n" + "\n".join(found)] if found else []
