"""Groups are made as said, and scores of two groups of known quality come out so."""

import json

import pandas as pd
import pytest
import torch
from PIL import Image

from difface import images
from eval.cli import main
from eval.reports import fairness


def test_numbers_become_bands_and_small_groups_one():
    ages = pd.Series([20.0] * 20 + [30.0] * 20 + [40.0] * 20 + [45.0] * 20 + [float("nan")])
    groups = fairness._grouped(ages)
    assert set(groups) == {"20 to 30", "40", "45", "others"} or groups.value_counts().min() >= 1
    assert groups.iloc[-1] == "others" and groups.iloc[0] == groups.iloc[19]
    kinds = fairness._grouped(pd.Series(["a"] * 18 + ["b"] * 17 + ["c"]))
    assert kinds.value_counts().to_dict() == {"a": 18, "others": 18}


def test_fairness(onnx, tmp_path, monkeypatch, capsys):
    """Six pictures of three people: smooth ones of one group, noisy ones, which no input keeps, of the other."""
    rows = []
    for k in range(6):
        face = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(k))
        face = face if k >= 4 else torch.full((3, 64, 64), 0.1 + 0.2 * k)
        images.write(images.to_pil(face), tmp_path / "faces" / f"{k}.png")
        rows.append(
            {"file": f"{k}.jpg", "person": f"0{k // 2}", "kind": "noisy" if k >= 4 else "smooth", "age": 20 + k}
        )
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    monkeypatch.setattr(fairness, "SMALLEST", 2)
    given = ["--faces", tmp_path / "faces", "--labels", tmp_path / "labels.csv", "--work", tmp_path / "work"]
    given = [*map(str, given), "--profile", "tiny", "--methods", "dr2", "-o", str(tmp_path / "out.json")]
    assert main(["fairness", *given, "--by", "kind", "--by", "age"]) == 0
    done = json.loads((tmp_path / "out.json").read_text())
    assert done["faces"] == 6 and done["people"] == 3 and len(done["weights"]["unet"]) == 64
    found = {(row["group"], row["setting"], row["level"]): row for row in done["rows"]}
    everyone, smooth, noisy = (found[group, "input", "middle"] for group in ("everyone", "smooth", "noisy"))
    assert (everyone["pictures"], smooth["pictures"], noisy["people"]) == (6, 4, 1)
    assert smooth["PSNR"] > noisy["PSNR"] + 5
    mean = (4 * smooth["PSNR"] + 2 * noisy["PSNR"]) / 6
    assert everyone["PSNR"] == pytest.approx(mean)
    low, high = everyone["PSNR interval"]
    assert low < everyone["PSNR"] < high
    assert everyone["IndRMSE"] > 1 and found["everyone", "f(y)", "middle"]["IndRMSE"] == 0
    worse, better = found["noisy", "input", "severe"], found["smooth", "input", "mild"]  # blurred noise is no noise
    assert worse["KID identity"] > better["KID identity"]
    rival = found["everyone", "DR2", "mild"]
    assert rival["PSNR"] != found["everyone", "DifFace", "mild"]["PSNR"] and rival["IndRMSE"] > 0
    with Image.open(tmp_path / "out.png") as drawn:
        assert min(drawn.size) > 200 and len(drawn.convert("RGB").getcolors(1 << 24)) > 20
    assert {row["group"] for row in done["rows"] if row["column"] == "age"} == {"20 to 21", "22 to 23", "24 to 25"}
    printed = capsys.readouterr().out
    assert "| kind: noisy | 2 |" in printed and "6 pictures of 3 people." in printed

    assert main(["fairness", *given, "--by", "height"]) == 2
    assert "has no column 'height'; it has file, person, kind, age" in capsys.readouterr().err
    pd.DataFrame(rows[1:]).to_csv(tmp_path / "labels.csv", index=False)
    assert main(["fairness", *given, "--by", "kind"]) == 2
    assert "says nothing of 0;" in capsys.readouterr().err


def test_far_groups_are_named():
    row = {"level": "mild", "setting": "f(y)", "column": "sex", "group": "x", "ID angle": 66.1}
    done = {"rows": [row | {"column": "all", "group": "everyone", "ID angle": 60.0}, row, row | {"ID angle": 64.9}]}
    assert fairness.far(done) == [row]
