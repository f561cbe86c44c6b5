"""What others printed of DifFace and its rivals, protocol by protocol (`published.yaml`)."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from eval.markdown import markdown_grid

FILE = Path(__file__).with_suffix(".yaml")
PAPER = "paper"
"""The protocol of the paper itself, whose numbers are in `eval/paper.yaml`."""


@cache
def protocols() -> dict[str, dict[str, Any]]:
    """Name -> the protocol, as the file's head says."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))["protocols"]


def protocol(name: str) -> dict[str, Any]:
    """One of them.

    Raises:
        ValueError: an unknown name.
    """
    if name not in protocols():
        known = ", ".join([PAPER, *protocols()])
        raise ValueError(f"the protocol '{name}' is unknown; {known} are accepted: choose one.")
    return protocols()[name]


def columns(name: str) -> tuple[str, ...]:
    """The columns by which this project measures as a protocol does; none more for the paper's own.

    Raises:
        ValueError: as `protocol`.
    """
    return () if name == PAPER else tuple(protocol(name)["measured"])


def markdown(name: str) -> str:
    """What was printed by a protocol, and in what that differs from the paper's; "" for the paper's own."""
    if name == PAPER:
        return ""
    told = protocol(name)
    said = "Printed by" if told["tables"] else "Measured by"
    parts = [f"**{said} the protocol of {told['title']}** ({told['source']}). {told['differs'].strip()}"]
    for data, table in told["tables"].items():
        body = [[method, *("-" if v is None else f"{v:g}" for v in values)] for method, values in table["rows"].items()]
        parts += [f"{data}:", markdown_grid([["", *table["columns"]], *body])]
    return "\n\n".join(parts)
