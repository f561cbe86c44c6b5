"""What ways to restore cost: the order of the runs, what is timed, memory, and quality of real answers."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from difface import images, profiles
from eval import stand_ins
from eval.reports import speed
from eval.reports.speed import Place, Way
from eval.reports.study import Study
from eval.settings import Setting

FAST = Setting("tiny", "swinir", 400, "ddpm", 1)


def test_the_first_way_is_the_official_path():
    first, *others = speed.ways("tiny", "cpu", ["fast"])
    assert first.calls == 100 and first.dtype == "float32" and not first.channels_last and first.made.official_start
    names = [way.name for way in (first, *others)]
    assert len(set(names)) == len(names), "tables are joined by these"
    assert {way.calls for way in others} >= {1, 2, 3, 4, 5, 20, 100} and "DR2" in names
    assert {way.dtype for way in others} >= {"float32", "bfloat16"}
    filling = speed.ways("ffhq256-inpaint", "cpu")
    assert all(way.made.scheduler == "ddim" and way.made.agreement for way in filling)


def test_ways_are_timed_in_turn_and_against_the_first(monkeypatch):
    done = []
    seconds = {"a": 4.0, "b": 1.0, "c": 2.0}
    clock = [0.0]

    def prepared(self, way):
        def call(count):
            done.append((way.name, way.made.steps, count))
            clock[0] += seconds[way.name] * count

        return call

    monkeypatch.setattr(Place, "prepared", prepared)
    monkeypatch.setattr(speed, "perf_counter", lambda: clock[0])
    order = [Way(name, Setting("tiny", "swinir", 400, steps=50)) for name in seconds]
    table = speed.timed(Place("tiny", "cpu"), order, 3, (4,))
    rounds = [name for name, steps, count in done if steps == 50 and count == 1]
    assert rounds == ["a", "b", "c"] * 3, "A B C A B C: a machine that slows down slows all"
    assert list(table["seconds"]) == [4, 1, 2] and list(table["ratio"]) == [1, 4, 2]
    assert list(table["faces/s at 4"]) == [0.25, 1, 0.5] and list(table["calls"]) == [20, 20, 20]


def test_memory_is_of_a_process_of_its_own():
    held = torch.ones(2_000_000_000 // 4)  # 2 GB here, which the other process has not got
    found = speed.memory(Place("tiny", "cpu"), Way("a", FAST))
    assert 0.2 < found["host GB"] < 1.9 and held[0] > 0


def test_a_bench_says_what_answers_are_worth(onnx, tmp_path, monkeypatch):
    for folder, count in (("train", 6), ("test", 5)):
        for k in range(count):
            face = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(k))
            images.write(images.to_pil(face), tmp_path / folder / f"{k}.png")
    few = [Way("official", Setting("tiny", "swinir", 400, steps=5, official_start=True)), Way("one", FAST)]
    monkeypatch.setattr(speed, "ways", lambda *_: few)
    monkeypatch.setattr(speed, "memory", lambda *_: {"host GB": 1.0})
    monkeypatch.setattr(speed, "LONG", 10)
    monkeypatch.setattr(speed, "REFERENCED", 2)
    study = Study(tmp_path / "test", tmp_path / "train", tmp_path / "work")
    paths = speed.bench(Place("tiny", "cpu"), tmp_path / "out", study, 1, (2,))
    assert [path.name for path in paths] == ["speed_tiny.csv", "speed_tiny.md", "speed_tiny.png"]
    table = pd.read_csv(paths[0])
    assert list(table["way"]) == ["official", "one"] and (table["seconds"] > 0).all()
    for scale in speed.SCALES:
        assert table[f"{speed.AGREES}, s = {scale}"][0] == float("inf")
        restored, truth = (
            torch.stack([images.to_tensors(images.read(file))[0] for file in sorted(Path(folder).glob("*.png"))])
            for folder in (_folder(study, scale), tmp_path / "test")
        )
        psnr = (-10 * torch.log10((restored - truth).square().mean((1, 2, 3)))).mean().item()
        assert table[f"PSNR, s = {scale}"][1] == pytest.approx(psnr, abs=0.01)
    text = paths[1].read_text()
    assert "its own weights" in text and "| one | 1 |" in text and "1 round;" in text


def _folder(study: Study, scale: float) -> Path:
    """Where the answers of the way `one` are."""
    return speed._runner(study, Way("one", FAST)).pictures(study.degraded(scale), FAST)


def test_random_networks_have_the_official_sizes(parity):
    told = json.loads((parity / "official_state_dicts.json").read_text())
    for profile, name in (("ffhq512", "prior_ffhq512"), ("ffhq256-inpaint", "prior_ffhq256")):
        with torch.device("meta"):
            assert sum(p.numel() for p in stand_ins._prior(profile).parameters()) == told[name]["parameters"]
    with pytest.raises(ValueError, match="no stand-in for 'tiny'"):
        stand_ins.stand_in("tiny", "ddim", "cpu", "float32")


def test_a_place_without_weights_says_so(no_weights):
    assert Place("ffhq512", "cpu").random and not Place("tiny", "cpu").random
    assert profiles.profile("ffhq512").size == 512
