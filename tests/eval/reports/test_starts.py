"""N by how bad a face is, measured: the law is found again, and limits at both ends are one N for all."""

import pandas as pd
import pytest
import torch

from difface import images
from difface.start import LEAST, MOST, Doubt
from eval.reports import starts
from eval.reports.study import Study


def test_the_limits_lead_from_one_end_to_the_other(onnx, tmp_path, monkeypatch):
    for folder, count in (("train", 3), ("test", 3)):
        for k in range(count):
            face = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(k))
            images.write(
                images.to_pil(images.resize(face[None], 64, 64)[0].clamp(0, 1)), tmp_path / folder / f"{k}.png"
            )
    monkeypatch.setattr(starts, "STARTS", (LEAST, MOST))
    monkeypatch.setattr(starts, "LIMITS", (1e-9, 1e9))
    monkeypatch.setattr(starts.Ranges, "for_size", lambda size: type("Two", (), {"grid_scale": (2, 8)}))
    csv, text = starts.starts(Study(tmp_path / "test", tmp_path / "train", tmp_path / "work"), tmp_path / "out")
    table = pd.read_csv(csv)
    for scale in (2, 8):
        of = table[table["s"] == scale].set_index("N")
        for name, n in (("auto, 1e-09 times the limit", MOST), ("auto, 1e+09 times the limit", LEAST)):
            assert of.loc[name, "mean N"] == n
            for metric in starts.METRICS:
                assert of.loc[name, metric] == pytest.approx(of.loc[str(n), metric], rel=1e-4)
    assert "Mean square of x_0 - f(y)" in text.read_text() and "| 450 | 450 |" in text.read_text()


def test_the_law_is_found_again(monkeypatch, tmp_path):
    """Faces whose estimates are off by exactly 0.2 * moved^0.8."""
    generator = torch.Generator().manual_seed(0)
    estimates = torch.rand(20, 3, 8, 8, generator=generator)
    moved = torch.linspace(0.01, 0.2, 20)[:, None, None, None]
    truth = estimates + (0.2 * (4 * moved**2) ** 0.8).sqrt() / 2
    monkeypatch.setattr(starts, "_estimated", lambda *_: (estimates - moved, estimates))
    monkeypatch.setattr(starts, "read", lambda hq: truth[hq])
    items = [type("Item", (), {"hq": index})() for index in range(20)]
    monkeypatch.setattr(starts.Study, "degraded", lambda self, scale: type("Set", (), {"items": items})())
    monkeypatch.setattr(starts.Study, "runner", lambda self, batch: None)
    items[0].hq = 20  # a face of that number is the first; 0 would say that there is no truth
    truth = torch.cat([truth, truth[:1]])
    found = starts.fitted(Study(tmp_path, tmp_path, tmp_path))
    assert found.factor == pytest.approx(0.2, rel=1e-4) and found.power == pytest.approx(0.8, rel=1e-4)
    assert isinstance(found, Doubt)
