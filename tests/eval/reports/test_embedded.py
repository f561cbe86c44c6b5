"""The report's rows are the promised ones, resume, and repeat; the shipped ones are as good as asked."""

import json

import pytest
import torch

from difface import images, profiles
from eval.reports import embedded, samples
from eval.reports.embedded import UNTOUCHED
from eval.reports.study import Study
from eval.settings import Setting


def test_report(onnx, tmp_path, monkeypatch):
    for folder, count in (("train", 4), ("test", 2)):
        for k in range(count):
            face = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(k))
            images.write(images.to_pil(face), tmp_path / folder / f"{k}.png")
    few = [Setting(), Setting("tiny", "srcnn"), Setting("tiny", "swinir", 400, "dpm++", 5)]
    monkeypatch.setattr(embedded, "settings", lambda *_: few)
    for name, small in (("COUNT", 2), ("BATCH", 2), ("STEPS", 5)):
        monkeypatch.setattr(samples, name, small)
    given = Study(tmp_path / "test", tmp_path / "train", tmp_path / "work"), tmp_path / "report.json"
    done = embedded.report(*given)
    rows, told = done["rows"], done["samples"]
    assert len(rows) == 1 + 3 * 3 and json.loads((tmp_path / "report.json").read_text()) == done
    assert rows[0]["level"] == UNTOUCHED and rows[0]["PSNR"] is None and rows[0]["ID angle"] < 0.1
    assert rows[0]["SSIM"] == 1 and told["count"] == 2 and len(done["weights"]["swinir"]) == 64
    assert told["pixels_test_p1"] < 1e-6 < told["pixels_samples_p1"]  # the test faces are training faces here
    assert told["angle_test_p1"] < 0.1 < told["angle_samples_p1"]
    assert {row["s"] for row in rows} == {1, 2, 4, 8} and done["faces"] == 2
    table = embedded.markdown(done)
    assert table.count("| f(y), srcnn |") == 3 and "--fast (5 calls)" in table and "SCRFD finds" in table
    assert table.index("**mild**") < table.index("**middle**") < table.index("**severe**")

    monkeypatch.setattr(Setting, "method", lambda *_: 1 / 0)  # nothing is left to do
    assert embedded.report(*given) == done
    images.write(images.to_pil(torch.rand(3, 64, 64)), tmp_path / "test" / "0.png")  # another face of the same name
    with pytest.raises((ZeroDivisionError, ValueError)):
        embedded.report(*given)


def test_all_settings_are_there():
    rows = embedded.settings("tiny")
    assert len(rows) == len(set(rows)) == 3 + 3 * 3 + 3 + 2 * 4
    labels = {embedded.label({"level": "mild", "setting": embedded._told(row)}) for row in rows}
    assert len(labels) == len(rows)


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
        for setting in (
            Setting(),
            Setting("tiny", "swinir"),
            Setting("tiny", "swinir", 250),
            Setting("tiny", "swinir", 400),
        )
    )
    assert estimate["PSNR"] >= lq["PSNR"] + 2
    assert near["FD identity"] <= min(1.10 * untouched, 0.6 * estimate["FD identity"])
    assert far["FD identity"] <= 1.05 * untouched
    severe = kept["severe", Setting("tiny", "swinir", 400)]
    assert severe["FD identity"] <= 1.08 * untouched and severe["PSNR"] > kept["severe", Setting()]["PSNR"]


@pytest.mark.xfail(
    strict=True, reason="a draw from the posterior loses up to 3 dB to its mean; with less loss it is less realistic"
)
def test_restored_faces_lose_at_most_1_2_db_to_the_estimate(kept):
    assert (
        kept["middle", Setting("tiny", "swinir", 250)]["PSNR"]
        >= kept["middle", Setting("tiny", "swinir")]["PSNR"] - 1.2
    )


@pytest.mark.xfail(strict=True, reason="16 x 16 pixels tell too little of who it is, and the estimate is good already")
def test_restored_faces_are_nearer_in_identity_than_the_estimate(kept):
    assert (
        kept["middle", Setting("tiny", "swinir", 250)]["ID angle"]
        <= kept["middle", Setting("tiny", "swinir")]["ID angle"] - 6
    )


@pytest.mark.parametrize("level", ["mild", "middle", "severe"])
def test_matched_start_and_five_calls_lose_no_fidelity(kept, level):
    for begin_index in (250, 400):
        matched, official = (
            kept[level, Setting("tiny", "swinir", begin_index, steps=20, official_start=start)]["PSNR"]
            for start in (False, True)
        )
        assert matched > official
        five, full = (
            kept[level, Setting("tiny", "swinir", begin_index, "dpm++", 5)],
            kept[level, Setting("tiny", "swinir", begin_index)],
        )
        assert five["PSNR"] >= full["PSNR"]
