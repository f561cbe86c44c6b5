"""What a table would do: its rows, and every file that it asks for, here or still to be fetched."""

from pathlib import Path

from difface import profiles, weights
from difface.weights import CATALOG, WeightError
from eval.datasets.reference import FFHQ_STATISTICS
from eval.metrics import METRICS
from eval.tables import definitions


def plan(number: str, options: definitions.Options, reference: Path | None = None) -> str:
    """Rows and files of a table in lines, nothing computed or fetched.

    Args:
        number, options: as for `build.build`.
        reference: folder of real faces; without it FID-F takes the statistics of FFHQ at the profile's size.

    Raises:
        ValueError: as `definitions.rows` and `definitions.columns`.
    """
    lines = [f"Table {number} with the profile '{options.profile}':"]
    for row in definitions.rows(number, options):
        what = row.reason if row.method is None else getattr(row.method, "name", row.method)
        lines.append(f"  {row.label}: {'n/a, ' if row.method is None else ''}{what}")
    chosen = profiles.profile(options.profile)
    needed = list(chosen.files)
    for name in definitions.columns(number, options.columns):
        needed += METRICS[name]().needs if name in METRICS else ()
        if name.startswith("FID-F") and reference is None and chosen.size in FFHQ_STATISTICS:
            needed.append(FFHQ_STATISTICS[chosen.size])
    lines.append("Files of weights:" if needed else "Files of weights: none beside those in assets/.")
    return "\n".join([*lines, *(f"  {_state(name)}" for name in dict.fromkeys(needed))])


def _state(name: str) -> str:
    try:
        return f"{name}: {weights.find(name)}"
    except WeightError:
        url = CATALOG[name].source
        return f"{name}: missing, " + (f"would be fetched from {url}" if url else "has no public address: put it there")
