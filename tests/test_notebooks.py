"""The kept notebooks: their code is the code that was executed, they are small and clean, and all of them run."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from difface import profiles
from eval import notebooks as nb
from eval.notebooks import kept

NOTEBOOKS = kept.find()
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@names
def test_kept_as_executed(path):
    assert kept.problems(path) == []
    code = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    stored = json.loads(path.read_text())["metadata"]["difface"]["code_sha256"]
    assert stored == hashlib.sha256("\0".join(code).encode()).hexdigest()


@names
def test_clean(path):
    text = path.read_text()
    assert len(text.encode()) < 2_000_000 and 'PROFILE = \\"tiny\\"' in text
    for place in (str(kept.FOLDER.parent), str(Path.home()) + os.sep, tempfile.gettempdir() + os.sep):
        assert place not in text


@names
def test_runs_fast(path):
    ran = kept.execute(path, fast=True)
    assert all(cell.execution_count for cell in ran.cells if cell.cell_type == "code")


@names
def test_ran_on_the_shipped_weights(path):
    folder = profiles.ASSETS / "tiny"
    shipped = {
        file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*/*.safetensors")
    }
    assert json.loads(path.read_text())["metadata"]["difface"]["weights_sha256"] == shipped


def test_changed_weights_are_seen(tmp_path, monkeypatch):
    assets = tmp_path / "assets"
    shutil.copytree(profiles.ASSETS / "tiny", assets / "tiny", ignore=shutil.ignore_patterns("*.png", "*.md"))
    monkeypatch.setattr(profiles, "ASSETS", assets)
    assert kept.problems(NOTEBOOKS[0]) == []
    with (assets / "tiny" / "lama" / "diffusion_pytorch_model.safetensors").open("ab") as file:
        file.write(b"0")
    assert "the weights have changed" in kept.problems(NOTEBOOKS[0])[0]


def test_changed_code_is_seen(tmp_path):
    path = tmp_path / "one.ipynb"
    path.write_text(NOTEBOOKS[0].read_text())
    assert kept.problems(path) == []
    path.write_text(path.read_text().replace('PROFILE = \\"tiny\\"', 'PROFILE = \\"ffhq512\\"'))
    assert "has changed" in kept.problems(path)[0]


def test_at_every_step():
    table = pd.DataFrame({"N": [100, 200, 300], "down": [3.0, 2.0, 1.0], "mixed": [3.0, 1.0, 2.0]})
    assert "yes" in nb.at_every_step(table, "down", "falls") and "no, in 1 of 2" in nb.at_every_step(
        table, "mixed", "rises"
    )
    with pytest.raises(ValueError, match="`claim`"):
        nb.at_every_step(table, "down", "grows")
