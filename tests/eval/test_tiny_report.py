"""The report's rows are the promised ones, resume, and repeat."""

import json

import torch

from difface import images
from eval import tiny_report


def test_report(onnx, tmp_path, monkeypatch):
    for folder, count in (("train", 4), ("test", 2)):
        for k in range(count):
            face = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(k))
            images.write(images.to_pil(face), tmp_path / folder / f"{k}.png")
    few = [tiny_report.Setting(), tiny_report.Setting("srcnn"), tiny_report.Setting("swinir", 400, "dpm++", 5)]
    monkeypatch.setattr(tiny_report, "settings", lambda: few)
    output = tmp_path / "report.json"
    rows = tiny_report.report(tmp_path / "train", tmp_path / "test", output)
    assert len(rows) == 1 + 3 * 3 and json.loads(output.read_text()) == rows
    assert rows[0]["level"] == "untouched" and rows[0]["PSNR"] is None and rows[0]["ID angle"] < 0.1

    output.write_text(json.dumps(rows[:5]))
    assert tiny_report.report(tmp_path / "train", tmp_path / "test", output) == rows
    monkeypatch.setattr(tiny_report, "_restored", lambda *a: 1 / 0)  # nothing is left to do
    assert tiny_report.report(tmp_path / "train", tmp_path / "test", output) == rows
    table = tiny_report.markdown(rows)
    assert table.count("| f(y), srcnn |") == 3 and "--fast (5 calls)" in table


def test_all_settings_are_there():
    rows = tiny_report.settings()
    assert len(rows) == len(set(rows)) == 3 + 2 * 7
    assert len({row.label for row in rows}) == len(rows)
