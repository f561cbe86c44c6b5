"""The kept notebooks: run by nbclient, written whole with digests of their code and weights, checked against them."""

import hashlib
import os
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from difface import profiles
from difface.files import whole_file
from eval.settings import digest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LARGEST = 2_000_000
"""Bytes of a kept notebook."""
TIMEOUT = 600
"""Seconds for a cell."""
_KEY, _CODE, _WEIGHTS = "difface", "code_sha256", "weights_sha256"
_PROFILE = re.compile(r'^PROFILE = "([\w-]+)"', re.MULTILINE)
_PLAIN_PROGRESS = "import rich; rich.reconfigure(stderr=True, force_jupyter=False)"
"""Run first in the kernel: nbclient cannot follow the output widgets that progress bars would use there."""
_WIDGET = "application/vnd.jupyter.widget-view+json"


def find(names: list[str] | None = None) -> list[Path]:
    """The notebooks of these names, or all, in order of name.

    Raises:
        ValueError: a name that no notebook has.
    """
    known = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    if unknown := [name for name in names or () if name not in known]:
        raise ValueError(f"the notebook '{unknown[0]}' is unknown; {', '.join(known)} are accepted: choose of these.")
    return [known[name] for name in names or known]


def read(path: Path) -> NotebookNode:
    """A notebook file."""
    return nbformat.read(path, as_version=4)


def code_sha256(notebook: NotebookNode) -> str:
    """SHA-256 of the code cells in their order, in hexadecimal; text and outputs do not enter."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def weights_sha256(notebook: NotebookNode) -> dict[str, str]:
    """Network -> SHA-256 of its weights, for all of the profile that the notebook's line `PROFILE = "..."` names.

    Raises:
        ValueError: there is no such line, or no such profile.
        difface.weights.WeightMissing: the profile's weights are not here.
    """
    found = [_PROFILE.search(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    names = [match[1] for match in found if match]
    if len(names) != 1:
        raise ValueError(f'a notebook has one line PROFILE = "..."; this one has {len(names)}: write one.')
    chosen = profiles.profile(names[0])
    networks = {"unet": chosen.unet} | chosen.estimators | chosen.inpainting
    return {name: digest(folder()) for name, folder in sorted(networks.items())}


def execute(path: Path, fast: bool = False) -> NotebookNode:
    """Run a notebook from top to bottom in its folder; the file is left as it is.

    Args:
        path: the notebook.
        fast: with fewer images (`DIFFACE_FAST=1`).

    Returns:
        It with its outputs, without progress bars, warnings and widgets' views, and with the digests of its code and
        weights.

    Raises:
        ValueError: a cell failed.
    """
    notebook = read(path)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR", f"--IPKernelApp.exec_lines={_PLAIN_PROGRESS}"],
    )
    try:
        client.execute(env=os.environ | {"DIFFACE_FAST": str(int(fast))})
    except CellExecutionError as error:
        raise ValueError(f"{path.name} failed with {error.ename}: {error.evalue}") from None
    clean(notebook)
    notebook.metadata[_KEY] = {_CODE: code_sha256(notebook), _WEIGHTS: weights_sha256(notebook)}
    return notebook


def clean(notebook: NotebookNode) -> None:
    """Drop from the outputs what nobody reads: stderr, and views of widgets, which need a running kernel."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _readable(output)]
            cell.metadata.pop("execution", None)


def _readable(output: NotebookNode) -> bool:
    """Whether an output is worth keeping; a widget's view is taken out of it, and what stands in for it stays."""
    if output.output_type == "stream":
        return output.name == "stdout" and bool(output.text.strip())
    if output.output_type == "error":
        return True
    widget = output.data.pop(_WIDGET, None) is not None
    return "image/png" in output.data if widget else bool(output.data.get("text/plain", "").strip())


def keep(path: Path) -> None:
    """Execute a notebook and write it back, whole or not at all.

    Raises:
        ValueError: a cell failed, or the file would be larger than `LARGEST`.
    """
    text = nbformat.writes(execute(path)) + "\n"
    if len(text.encode()) > LARGEST:
        raise ValueError(
            f"{path.name} would have {len(text.encode()):,} bytes; up to {LARGEST:,} are accepted: show fewer pictures."
        )
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def problems(path: Path) -> list[str]:
    """What is wrong with a kept notebook, a line each: changed code or weights, cells not run, errors, size."""
    notebook, found = read(path), []
    stored, again = notebook.metadata.get(_KEY, {}), f"run `python -m eval notebooks {path.stem}`."
    if stored.get(_CODE) != code_sha256(notebook):
        found.append(f"{path.name}: the code has changed since it was executed: {again}")
    elif stored.get(_WEIGHTS) != weights_sha256(notebook):
        found.append(f"{path.name}: the weights have changed since it was executed: {again}")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if any(cell.execution_count is None for cell in code):
        found.append(f"{path.name}: some cells have not been executed.")
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        found.append(f"{path.name}: a cell ended in an error.")
    if path.stat().st_size > LARGEST:
        found.append(f"{path.name}: {path.stat().st_size:,} bytes; up to {LARGEST:,} are accepted.")
    return found
