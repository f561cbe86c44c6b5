"""The report's rows are the promised ones, resume, and repeat."""

import json

import pytest
import torch

from difface import images, profiles
from eval import prior_samples, tiny_report
from eval.tiny_report import Setting


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
    for changed in ("test", "train"):  # other faces of the same names, or another reference
        picture = images.read(tmp_path / changed / "0.png")
        images.write(images.to_pil(torch.rand(3, 64, 64)), tmp_path / changed / "0.png")
        (tmp_path / f"{changed}.json").write_text(output.read_text())
        with pytest.raises(ZeroDivisionError):
            tiny_report.report(tmp_path / "train", tmp_path / "test", tmp_path / f"{changed}.json")
        images.write(picture, tmp_path / changed / "0.png")
    table = tiny_report.markdown(done)
    assert table.count("| f(y), srcnn |") == 3 and "--fast (5 calls)" in table and "SCRFD finds" in table


def test_all_settings_are_there():
    rows = tiny_report.settings()
    assert len(rows) == len(set(rows)) == 3 + 2 * 3 + 2 * 6
    assert len({row.label for row in rows}) == len(rows)


@pytest.fixture(scope="module")
def kept() -> dict[tuple, dict]:
    """The rows of the report that is shipped, by level and setting."""
    rows = json.loads((profiles.ASSETS / "tiny" / "report.json").read_text())["rows"]
    return {(row["level"], Setting(**row["setting"])): row for row in rows}


def test_shipped_models_are_as_good_as_asked(kept):
    """On 100 test faces: f(y) 2 dB above the input, and realism within 10, 5 and 8 % of untouched faces'."""
    untouched = kept["untouched", Setting()]["FD identity"]
    lq, estimate, near, far = (
        kept["middle", setting]
        for setting in (Setting(), Setting("swinir"), Setting("swinir", 250), Setting("swinir", 400))
    )
    assert estimate["PSNR"] >= lq["PSNR"] + 2
    assert near["FD identity"] <= min(1.10 * untouched, 0.6 * estimate["FD identity"])
    assert far["FD identity"] <= 1.05 * untouched
    severe = kept["severe", Setting("swinir", 400)]
    assert severe["FD identity"] <= 1.08 * untouched and severe["PSNR"] > kept["severe", Setting()]["PSNR"]


@pytest.mark.xfail(
    strict=True, reason="a draw from the posterior loses up to 3 dB to its mean; with less loss it is less realistic"
)
def test_restored_faces_lose_at_most_1_2_db_to_the_estimate(kept):
    assert kept["middle", Setting("swinir", 250)]["PSNR"] >= kept["middle", Setting("swinir")]["PSNR"] - 1.2


@pytest.mark.xfail(strict=True, reason="16 x 16 pixels tell too little of who it is, and the estimate is good already")
def test_restored_faces_are_nearer_in_identity_than_the_estimate(kept):
    assert kept["middle", Setting("swinir", 250)]["ID angle"] <= kept["middle", Setting("swinir")]["ID angle"] - 6


@pytest.mark.parametrize("level", ["mild", "middle", "severe"])
def test_matched_start_and_five_calls_lose_no_fidelity(kept, level):
    for begin_index in (250, 400):
        matched, official = (
            kept[level, Setting("swinir", begin_index, steps=20, official_start=start)]["PSNR"]
            for start in (False, True)
        )
        assert matched > official
        five, full = (
            kept[level, Setting("swinir", begin_index, "dpm++", 5)],
            kept[level, Setting("swinir", begin_index)],
        )
        assert five["PSNR"] >= full["PSNR"]
