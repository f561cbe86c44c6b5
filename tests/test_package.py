"""What `pip install .` puts into an environment works from any folder, embedded weights included."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import ImageOps

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 90e6
"""Bytes of a wheel."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds the wheel and, unpacked in `site`, what it installs."""
    pytest.importorskip("hatch_requirements_txt", reason="the build system is not installed (requirements-dev.txt)")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True, cwd=folder
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", folder / "site", wheel], check=True, cwd=folder)
    return folder


def run(installed: Path, *command: str | Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(installed / "site"), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


def test_the_wheel_is_small_and_whole(installed):
    (wheel,) = installed.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < LARGEST
    for name in (
        "difface/py.typed",
        "difface/assets/tiny/unet/config.json",
        "difface/assets/small/unet/config.json",
        "eval/paper.yaml",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/", "assets/"))]


def test_the_command_the_library_and_the_tables_work_from_any_folder(installed, astronaut_face):
    astronaut_face.save(installed / "face.png")
    run(installed, installed / "site" / "bin" / "difface", "restore", "face.png", "-o", "out", "--fast")
    assert (installed / "out" / "face.png").exists()
    where = "import difface; from difface import profiles; print(difface.__file__, profiles.load('tiny').size)"
    told = run(installed, sys.executable, "-c", where).stdout.split()
    assert Path(told[0]).is_relative_to(installed / "site") and told[1] == "64"
    (installed / "faces").mkdir()
    astronaut_face.save(installed / "faces" / "a.png")
    ImageOps.mirror(astronaut_face).save(installed / "faces" / "b.png")
    table = ("table", "III", "--data", "faces", "--methods", "none", "--steps", "20", "-o", "tables")
    run(installed, sys.executable, "-m", "eval", *table)
    assert "DifFace" in (installed / "tables" / "table_III.md").read_text()


def test_the_library_knows_nothing_of_the_evaluation_and_the_page():
    """And the evaluation knows nothing of the page."""
    for package, above in (("difface", {"eval", "space"}), ("eval", {"space"})):
        for file in (ROOT / package).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(file.read_text())))
            imported = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
            imported += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
            assert not above & {name.partition(".")[0] for name in imported}, file
