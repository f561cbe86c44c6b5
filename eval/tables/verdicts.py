"""What a measured table says of the order in which the paper prints DifFace and others: confirmed, refuted, or open."""

from collections.abc import Iterator
from dataclasses import dataclass

from eval.tables.build import OURS, RUNTIME, Block, Cell, Line

STAND_INS = {"IDS": "ID angle", "FID-F": "FD-prior", "FID-G": "FD-prior"}
"""Printed metric -> one of the same kind and good direction, for where its own networks are not here: orders are
compared, not numbers."""

CHANCE = 0.05
"""Two rows whose paired test gives a p from here up are not told apart."""


@dataclass(frozen=True)
class Verdict:
    """One order of the paper.

    Attributes:
        rival: the other row's name.
        metric: as printed.
        measured_by: the metric here; another one where it stands in.
        printed, measured: (the other's number, DifFace's).
        p: of the paired test; None of run times, which are one number each.
        word: "confirmed", "refuted" or "open" (not told apart here).
    """

    rival: str
    metric: str
    measured_by: str
    printed: tuple[float, float]
    measured: tuple[float, float]
    p: float | None
    word: str


def verdicts(block: Block) -> Iterator[Verdict]:
    """Those of every other row of a block of which the paper prints a number that was measured, too."""
    ours = next((line for line in block.lines if line.label == OURS), None)
    for line in block.lines if ours else ():
        for metric, printed in line.printed.items():
            name = _measured_by(metric, line, ours)
            own = ours.printed.get(metric)
            if line is not ours and name and printed is not None and own is not None and printed != own:
                theirs, mine = line.measured[name], ours.measured[name]
                word = _word(printed - own, theirs, mine, name)
                pair = (theirs.value, mine.value)
                yield Verdict(line.label, metric, name, (printed, own), pair, theirs.p, word)


def _measured_by(metric: str, line: Line, ours: Line) -> str | None:
    """The column that measures what a printed one says; None where neither it nor a stand-in has numbers."""
    names = (metric, STAND_INS.get(metric, metric))
    there = [n for n in names if all(n in of.measured and of.measured[n].value is not None for of in (line, ours))]
    return there[0] if there else None


def _word(printed: float, theirs: Cell, mine: Cell, name: str) -> str:
    if name != RUNTIME and not (theirs.p is not None and theirs.p < CHANCE):
        return "open"
    return "confirmed" if printed * (theirs.value - mine.value) > 0 else "refuted"


def sentence(verdict: Verdict) -> str:
    """A verdict in words."""
    by = "" if verdict.measured_by == verdict.metric else f", here by {verdict.measured_by}"
    printed, measured = (f"{pair[0]:.4g} against {pair[1]:.4g}" for pair in (verdict.printed, verdict.measured))
    chance = "" if verdict.p is None else f", p = {verdict.p:.2g}"
    return f"{verdict.rival}, {verdict.metric}{by}: printed {printed}, measured {measured}{chance}: **{verdict.word}**"
