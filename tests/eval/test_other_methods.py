"""Other methods in the tables: which run, what makes their rows, and what is said of those that do not."""

import pandas as pd
import pytest
import torch
from PIL import ImageOps
from scipy import stats

from difface import images, methods
from difface.masks import MASKS
from difface.weights import WeightMissing
from eval import rivals
from eval.cli import main
from eval.datasets import generator_of
from eval.figures.draw import draw
from eval.rivals import Rival
from eval.tables import definitions


@pytest.fixture
def faces(tmp_path, astronaut_face):
    for name, face in (("a", astronaut_face), ("b", ImageOps.mirror(astronaut_face))):
        images.write(face, tmp_path / "faces" / f"{name}.png")
    return tmp_path / "faces"


def test_groups_hold_what_can_do_the_task():
    every = {one.key for one in rivals.chosen(["all"], "inpainting", "tiny")}
    free = {one.key for one in rivals.chosen(["free"], "inpainting", "tiny")}
    fast = {one.key for one in rivals.chosen(["fast"], "inpainting", "tiny")}
    assert every - free == {"lama"} and "ilvr" not in every and "difface" not in every
    assert {"ddrm", "pigdm", "ddnm", "diffpir"} <= fast < free and not {"repaint", "mcg", "dps"} & fast
    assert rivals.chosen(["none"], "inpainting", "tiny") == []
    assert [one.key for one in rivals.chosen(["repaint", "ddrm"], "inpainting", "tiny")] == ["repaint", "ddrm"]
    with pytest.raises(ValueError, match="'telepathy' is unknown; all, free, fast, none, repaint"):
        rivals.chosen(["telepathy"], "inpainting", "tiny")
    with pytest.raises(ValueError, match="ILVR takes"):
        rivals.chosen(["ilvr"], "inpainting", "tiny")


def test_a_row_is_the_method_s_own_call(faces):
    truth = torch.stack([images.to_tensors(images.read(file))[0] for file in sorted(faces.iterdir())])
    made_by = [MASKS["box"](generator_of(f"{name} box")) for name in "ab"]
    mask = torch.cat([one.paint(64) for one in made_by])
    lq = truth * (1 - mask)
    found = Rival("ddrm", "inpainting").method("cpu", "float32")(lq, [generator_of(name) for name in "ab"], made_by)
    method = methods.load("ddrm", "inpainting", "tiny", "cpu")
    method.set_progress_bar_config(disable=True)
    own = method.restore(lq, mask=mask, generator=[generator_of(name) for name in "ab"])
    assert torch.equal(found, own) and not torch.equal(found, truth)


def test_rows_are_tested_against_difface(tmp_path, faces):
    """Whatever stands above it: here DDRM."""
    for k in range(7):
        images.write(images.read(faces / "a.png").rotate(3 * k), faces / f"c{k}.png")
    given = ["--data", str(faces), "--steps", "20", "--device", "cpu", "-o", str(tmp_path), "--batch", "9"]
    assert main(["table", "XI", *given, "--methods", "ddrm"]) == 0
    table = pd.read_csv(tmp_path / "table_XI.csv").set_index("method")
    assert pd.isna(table.loc["DifFace", "PSNR p"])
    scores = {
        name: pd.read_csv(next((tmp_path / "scores").glob(f"*/*{name}*/PSNR.csv"))).set_index("name")["value"]
        for name in ("ddrm", "N250-ddim20-eta0.5-[0-9a-f]")
    }
    expected = stats.wilcoxon(*scores.values()).pvalue
    assert table.loc["DDRM", "PSNR p"] == pytest.approx(expected)
    assert "* differs from DifFace" in (tmp_path / "table_XI.md").read_text()


def test_figures_show_what_runs_here(tmp_path):
    given = ["--limit", "2", "--steps", "10", "-o", str(tmp_path)]
    assert main(["figure", "12", *given, "--methods", "diffpir"]) == 0
    table = pd.read_csv(tmp_path / "figure_12.csv")
    rows = table[table["method"] == "DiffPIR"].set_index("mask")
    assert list(rows["calls"]) == [19] * 4 and (rows["PSNR in hole"] > 8).all()
    with pytest.raises(ValueError, match="RePaint takes"):
        list(draw("14", tmp_path, rivals=("repaint",), limit=2))


def test_printed_rows_run_under_their_printed_name(tmp_path, faces, capsys):
    given = ["--data", str(faces), "--steps", "20", "--device", "cpu", "-o", str(tmp_path / "out")]
    assert main(["table", "XI", *given, "--methods", "ddrm"]) == 0, capsys.readouterr().err
    table = pd.read_csv(tmp_path / "out" / "table_XI.csv").set_index("method")
    assert table.loc["DDRM", "PSNR"] > 15 and pd.isna(table.loc["DDRM", "paper PSNR"])
    assert pd.isna(table.loc["IIGDM", "PSNR"]) and table.loc["IIGDM", "paper PSNR"] > 0
    assert "--methods pigdm runs it here, 100 network calls" in (tmp_path / "out" / "table_XI.md").read_text()
    (row,) = [row for row in definitions.rows("XI", definitions.Options(rivals=("pigdm",))) if row.printed == "IIGDM"]
    assert row.label == "PiGDM" and row.method == Rival("pigdm", "super-resolution")


def test_what_does_not_run_says_what_would_give_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    rivals._calls.cache_clear()
    reasons = {row.label: row.reason for row in definitions.rows("VI", definitions.Options(rivals=("ddrm", "lama")))}
    assert reasons["DDRM"] is None
    assert reasons["LaMa"] == "needs big-lama.pt, get it with: python -m difface fetch big-lama.pt"
    assert "--methods repaint runs it here, 2,410 network calls" in reasons["RePaint"]
    assert reasons["DSI"] == "--methods dsi=DIR scores the pictures of its own code"
    with pytest.raises(WeightMissing):
        Rival("lama", "inpainting").method("cpu", "float32")


def test_tables_of_our_own_settings_take_no_rivals():
    for number in ("I", "II", "IX"):
        rows = definitions.rows(number, definitions.Options(rivals=("fast",)))
        assert not [row for row in rows if isinstance(row.method, Rival)]
