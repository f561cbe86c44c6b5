"""What a table was made of, as JSON beside it, so that `eval.again` can make any of its numbers again."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eval.datasets import Dataset
from eval.metrics import METRICS, IndRMSE
from eval.run import Runner, packages
from eval.settings import FolderMethod
from eval.tables.definitions import Row


def record_file(folder: Path, number: str) -> Path:
    """Where the record of a table lies."""
    return folder / f"table_{number}.json"


def pictures_sha256(folder: Path, dataset: Dataset) -> str:
    """Of the names and bytes of a folder's pictures, one for each of the data set's."""
    result = hashlib.sha256()
    for item in dataset.items:
        result.update(
            f"{item.name} {hashlib.sha256((folder / f'{item.name}.png').read_bytes()).hexdigest()}\n".encode()
        )
    return result.hexdigest()


def record(
    number: str, columns: Iterable[str], blocks: Iterable[tuple[str, Dataset, list[Row]]], runner: Runner
) -> dict[str, Any]:
    """All that `eval.again` asks for.

    Returns:
        `table`, `device`, `dtype`, `batch`, `reference` (digest of the faces that distances between sets refer to;
        None: the truth), `guess` (the f(y) that IndRMSE is to; None where it is no column), `packages`, and `blocks`:
        of each its `name`, `data` (the data set's folder), `sha256` (its digest), and `rows`, label -> `pictures`
        (their folder; None where they are not made here), their `sha256`, and `scores` (metric -> file). Folders and
        files are below the table's own.
    """
    scored = [name for name in columns if name in METRICS]
    return {
        "table": number,
        "device": runner.device,
        "dtype": runner.dtype,
        "batch": runner.batch,
        "reference": runner.reference_sha256,
        "guess": runner.guess.record() if runner.guess and IndRMSE.name in scored else None,
        "packages": packages(),
        "blocks": [
            {
                "name": name,
                "data": _below(dataset.items[0].lq.parent.parent, runner),
                "sha256": dataset.digest,
                "rows": {row.label: _row(row, dataset, runner, scored) for row in rows},
            }
            for name, dataset, rows in blocks
        ],
    }


def _row(row: Row, dataset: Dataset, runner: Runner, scored: list[str]) -> dict[str, Any]:
    if row.method is None or isinstance(row.method, str | FolderMethod) or not scored:
        return {"pictures": None, "sha256": None, "scores": {}}
    folder = runner.pictures(dataset, row.method)
    files = {metric: runner.score_file(dataset, row.method, metric) for metric in scored}
    return {
        "pictures": _below(folder, runner),
        "sha256": pictures_sha256(folder, dataset),
        "scores": {metric: _below(file, runner) for metric, file in files.items() if file.exists()},
    }


def _below(path: Path, runner: Runner) -> str:
    """A path below the results' folder, with slashes."""
    return path.resolve().relative_to(runner.root.resolve()).as_posix()
