"""Of every number that the paper prints: was it reproduced, by how much is it off, or why can it not be had here?"""

import html
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from difface import profiles, weights
from difface.files import whole_file
from difface.weights import WeightError
from eval import paper, rivals
from eval.markdown import markdown_grid
from eval.metrics import METRICS
from eval.results_page import RESULTS
from eval.tables import definitions
from eval.tables.definitions import Row
from eval.tables.record import record_file
from eval.tables.render import AS_PRINTED

REPRODUCED, OFF, OTHER_DATA, CANNOT_RUN = STATES = ("reproduced", "off", "other data", "cannot run")
MACHINES = ("Runtime",)
"""Columns that belong to a machine: another one's are never the paper's."""
DATA = {
    **dict.fromkeys(("I", "II", "III", "VI", "VII", "IX", "X"), "celeba=DIR"),
    "IV": "wider=DIR --data lfw=DIR --data webphoto=DIR",
    "V": "wider=DIR",
    "VIII": "celeba=DIR",
    "XI": "DIR",
}
"""Number of a table -> the data that it asks for."""


@dataclass(frozen=True)
class Number:
    """What became of a printed number.

    Attributes:
        table, block, method, column: where the paper prints it; `block` is None in tables of one part.
        printed: the number, in the column's unit.
        state: one of `STATES`. Reproduced is: on the paper's data with its networks the printed number, as it is
            rounded, touches the 95 % interval, or is the rounded measured one where there is no interval.
        measured: what was measured here; None where nothing was.
        difference: measured less printed, where the state is "off".
        detail: why there is no number and what gets it, or what else was measured on.
        pictures: folder, below that of the results, of the pictures that were scored; None where it is not there.
    """

    table: str
    block: str | None
    method: str
    column: str
    printed: float
    state: str
    measured: float | None = None
    difference: float | None = None
    detail: str = ""
    pictures: str | None = None

    @property
    def said(self) -> str:
        """State and detail in a line."""
        text = f"off by {self.difference:+.3g}" if self.state == OFF else self.state
        return f"{text}: {self.detail}" if self.detail else text


def status(results: Path = RESULTS, tables: Iterable[paper.Table] | None = None) -> list[Number]:
    """Every printed number, in the paper's order.

    Args:
        results: folder of `python -m eval table`, with table_N.csv of what was measured.
        tables: of these; None for all.
    """
    tables = paper.tables().values() if tables is None else tables
    return [number for table in tables for number in _of_table(table, results)]


def _of_table(table: paper.Table, results: Path) -> Iterator[Number]:
    file = results / f"table_{table.number}.csv"
    measured = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=["data", "method"])
    networks = definitions.NETWORKS[table.number]
    ours = definitions.TABLES[table.number](definitions.Options(networks))
    rows = {row.printed: row for row in ours if row.printed}
    for block in table.blocks:
        for row in block.rows:
            found = _measured_row(measured, block.name, row.method, rows.get(row.method))
            pictures = None if found is None else _pictures(results, table.number, found)
            for column, printed in zip(table.columns, row.values, strict=True):
                if printed is not None:
                    place = (table.number, block.name, row.method, column.name, printed)
                    judged = _judged(place, column.digits, found)
                    seen = pictures if column.name in METRICS else None
                    yield (replace(judged, pictures=seen) if judged else _absent(place, rows.get(row.method), networks))


def _pictures(results: Path, number: str, found: pd.Series) -> str | None:
    """The folder of a measured row's pictures, by the table's record, if both are there."""
    file = record_file(results, number)
    blocks = json.loads(file.read_text(encoding="utf-8"))["blocks"] if file.is_file() else ()
    named = [block["rows"].get(found["method"]) for block in blocks if block["name"] == found["data"]]
    folder = named[0]["pictures"] if named and named[0] else None
    return folder if folder and any((results / folder).glob("*.png")) else None


def _measured_row(table: pd.DataFrame, block: str | None, method: str, row: Row | None) -> pd.Series | None:
    """The line of a results file that stands for a printed row; that on the paper's data where there are several."""
    here = table[table["method"].isin([method, row.label if row else method])]
    here = here if block is None or block not in set(table["data"]) else here[here["data"] == block]
    if here.empty:
        return None
    same = here[AS_PRINTED].astype(bool) if AS_PRINTED in here else pd.Series(False, index=here.index)
    return here.loc[same.sort_values(ascending=False, kind="stable").index[0]]


def _judged(place: tuple, digits: int, found: pd.Series | None) -> Number | None:
    """The state of a number that was measured; None where it was not."""
    column, printed = place[3:]
    value = None if found is None else found.get(column)
    if value is None or pd.isna(value):
        return None
    if column in MACHINES or not bool(found.get(AS_PRINTED, False)):
        where = "another machine" if column in MACHINES else str(found["data"])
        return Number(*place, OTHER_DATA, float(value), detail=f"{value:.{digits}f} on {where}")
    half = 0.5 * 10**-digits
    low, high = (found.get(f"{column} {end}", value) for end in ("low", "high"))
    if low - half <= printed <= high + half:
        return Number(*place, REPRODUCED, float(value))
    return Number(*place, OFF, float(value), float(value - printed))


def _absent(place: tuple, row: Row | None, networks: str) -> Number:
    """A number that was not measured: what is missing here, and the command that gets and measures it."""
    number, _, method, column, _ = place
    run = f"python -m eval table {number} --profile {networks} --data {DATA[number]} -o results"
    if row is None:
        here = rivals.rival(method, definitions.TASKS[number], networks) if number in definitions.TASKS else None
        run += f" --methods {here.key if here else f'{method.lower()}=DIR'}"
    lacking = [name for name in profiles.profile(networks).files if not _is_here(name)]
    missing = (
        [f"python -m difface fetch {networks} --accept-licence"] if lacking and (row is None or row.method) else []
    )
    missing += [row.reason] if row and row.reason else []
    needs = METRICS[column]().needs if column in METRICS else ()
    missing += [f"python -m difface fetch {name}" for name in needs if not _is_here(name)]
    return Number(*place, CANNOT_RUN, detail="; ".join([*missing, run]))


def _is_here(name: str) -> bool:
    try:
        return weights.is_converted(name) or bool(weights.find(name))
    except WeightError:
        return False


def counts(numbers: list[Number]) -> dict[str, int]:
    """State -> how many numbers have it."""
    found = Counter(number.state for number in numbers)
    return {state: found[state] for state in STATES}


def markdown(numbers: list[Number]) -> str:
    """How many of each state in every table, then every number."""
    tables = dict.fromkeys(number.table for number in numbers)
    head = ["Table", *STATES, "all"]
    of = {table: [number for number in numbers if number.table == table] for table in tables} | {"all": numbers}
    grid = [[table, *map(str, counts(some).values()), str(len(some))] for table, some in of.items()]
    return "\n\n".join([markdown_grid([head, *grid]), markdown_grid(_lines(numbers), texts=4)])


def _lines(numbers: list[Number]) -> list[list[str]]:
    body = [
        [
            number.table,
            " ".join(filter(None, [number.block, number.method])),
            number.column,
            number.said.replace("|", "\\|"),
            f"{number.printed:g}",
            "-" if number.measured is None else f"{number.measured:.4g}",
        ]
        for number in numbers
    ]
    return [["Table", "row", "column", "state", "printed", "measured"], *body]


def write(numbers: list[Number], folder: Path, results: Path = RESULTS) -> list[Path]:
    """Write status.md, status.json, status.html and the badge status.svg, each whole or not at all; their paths.

    Args:
        numbers, results: as for `status`; the page has links to the pictures that are there, relative to its folder.
        folder: where to.
    """
    texts = {
        "md": markdown(numbers) + "\n",
        "json": json.dumps({"counts": counts(numbers), "numbers": [asdict(number) for number in numbers]}, indent=1),
        "html": _page(numbers, Path(os.path.relpath(results, folder)), results),
        "svg": badge(numbers),
    }
    paths = [folder / f"status.{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


_HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Every number of the paper</title>
<style>body{{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}}
td,th{{padding:.2em .6em;text-align:left;border-bottom:1px solid #ddd}}table{{border-collapse:collapse}}
img{{height:2.6em;vertical-align:middle}}.reproduced{{background:#d9f2dd}}.off{{background:#fbe3d6}}</style>
<h1>Every number of the paper</h1><p>{summary}</p>{grid}</html>
"""


def _page(numbers: list[Number], way: Path, results: Path) -> str:
    """The HTML page, from whose folder `way` leads to the results."""
    head, *body = _lines(numbers)
    top = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in [*head, "pictures"])
    rows = "".join(
        f"<tr class='{number.state.split()[0]}'>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}"
        f"<td>{_link(number, way, results)}</td></tr>"
        for number, cells in zip(numbers, body, strict=True)
    )
    summary = ", ".join(f"{count} {state}" for state, count in counts(numbers).items())
    return _HTML.format(summary=html.escape(summary), grid=f"<table><thead><tr>{top}</tr></thead>{rows}</table>")


def _link(number: Number, way: Path, results: Path) -> str:
    """The first of the pictures behind a number, as a link to their folder; "" where there are none."""
    if number.pictures is None:
        return ""
    names = sorted(file.name for file in (results / number.pictures).glob("*.png"))
    folder = quote((way / number.pictures).as_posix())
    first = f"<img src='{folder}/{quote(names[0])}' alt='{html.escape(names[0])}' loading='lazy'>"
    return f"<a href='{folder}/' title='{len(names)} pictures'>{first}</a>"


_BADGE = """<svg xmlns="http://www.w3.org/2000/svg" width="250" height="20" role="img" aria-label="{text}">
<rect width="110" height="20" fill="#555"/><rect x="110" width="140" height="20" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">
<text x="55" y="14">paper's numbers</text><text x="180" y="14">{text}</text></g></svg>
"""


def badge(numbers: list[Number]) -> str:
    """An SVG that says how many of the numbers were reproduced."""
    reproduced = counts(numbers)[REPRODUCED]
    return _BADGE.format(text=f"{reproduced} of {len(numbers)} reproduced", colour="#2e7d32" if reproduced else "#666")
