"""The report's rows are the promised ones, resume, and repeat."""

import json

import torch

from difface import images
from eval import prior_samples, tiny_report


def test_report(onnx, tmp_path, monkeypatch):
    for folder, count in (("train", 4), ("test", 2)):
        for k in range(count):
            face = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(k))
            images.write(images.to_pil(face), tmp_path / folder / f"{k}.png")
    few = [tiny_report.Setting(), tiny_report.Setting("srcnn"), tiny_report.Setting("swinir", 400, "dpm++", 5)]
    monkeypatch.setattr(tiny_report, "settings", lambda: few)
    output = tmp_path / "report.json"
    monkeypatch.setattr(prior_samples, "COUNT", 2)
    monkeypatch.setattr(prior_samples, "BATCH", 2)
    monkeypatch.setattr(prior_samples, "STEPS", 5)
    done = tiny_report.report(tmp_path / "train", tmp_path / "test", output)
    rows, samples = done["rows"], done["samples"]
    assert len(rows) == 1 + 3 * 3 and json.loads(output.read_text()) == done
    assert rows[0]["level"] == "untouched" and rows[0]["PSNR"] is None and rows[0]["ID angle"] < 0.1
    assert rows[0]["SSIM"] == 1 and samples["count"] == 2
    assert samples["pixels_test_p1"] < 1e-6 < samples["pixels_samples_p1"]  # the test faces are training faces here
    assert samples["angle_test_p1"] < 0.1 < samples["angle_samples_p1"]

    output.write_text(json.dumps(done | {"rows": rows[:5]}))
    assert tiny_report.report(tmp_path / "train", tmp_path / "test", output) == done
    monkeypatch.setattr(tiny_report, "_restored", lambda *a: 1 / 0)  # nothing is left to do
    assert tiny_report.report(tmp_path / "train", tmp_path / "test", output) == done
    table = tiny_report.markdown(done)
    assert table.count("| f(y), srcnn |") == 3 and "--fast (5 calls)" in table and "SCRFD finds" in table


def test_all_settings_are_there():
    rows = tiny_report.settings()
    assert len(rows) == len(set(rows)) == 3 + 2 * 3 + 2 * 6
    assert len({row.label for row in rows}) == len(rows)
