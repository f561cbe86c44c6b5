"""What a table would do: its rows, and every file that it asks for, here or still to be fetched."""

from difface import profiles, weights
from difface.weights import CATALOG, WeightError
from eval.metrics import METRICS
from eval.tables import definitions


def plan(number: str, options: definitions.Options) -> str:
    """Rows and files of a table in lines, nothing computed or fetched.

    Raises:
        ValueError: as `definitions.rows`.
    """
    lines = [f"Table {number} with the profile '{options.profile}':"]
    for row in definitions.rows(number, options):
        what = row.reason if row.method is None else getattr(row.method, "name", row.method)
        lines.append(f"  {row.label}: {'n/a, ' if row.method is None else ''}{what}")
    needed = list(profiles.profile(options.profile).files)
    for name in definitions.columns(number):
        needed += METRICS[name]().needs if name in METRICS else ()
    lines.append("Files of weights:" if needed else "Files of weights: none beside those in assets/.")
    return "\n".join([*lines, *(f"  {_state(name)}" for name in dict.fromkeys(needed))])


def _state(name: str) -> str:
    try:
        return f"{name}: {weights.find(name)}"
    except WeightError:
        url = CATALOG[name].source
        return f"{name}: missing, " + (f"would be fetched from {url}" if url else "has no public address: put it there")
