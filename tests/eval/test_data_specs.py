"""What --data may name, and the figures' command."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from difface import images, profiles
from eval.cli import main
from eval.tables import data
from eval.tables.data import dataset


@pytest.fixture
def faces(tmp_path, astronaut_face):
    for k in range(3):
        images.write(astronaut_face, tmp_path / "faces" / f"{k}.png")
    return tmp_path / "faces"


def test_clean_faces_are_degraded_and_real_ones_are_not(tmp_path, faces) -> None:
    block, clean = dataset(str(faces), tmp_path / "data", "tiny", None, None)
    assert block is None and len({item.degradation for item in clean.items}) == 3
    block, real = dataset(f"real={faces}", tmp_path / "data", "tiny", None, None)
    assert block is None and all(item.hq is None and item.degradation is None for item in real.items)


def test_one_scale_for_all(tmp_path, faces) -> None:
    _, same = dataset(str(faces), tmp_path / "data", "tiny", 2, 4.0)
    parameters = same.items[0].degradation
    assert len(same.items) == 2 and {item.degradation for item in same.items} == {parameters}
    assert (parameters.scale, parameters.sigma_x, parameters.noise, parameters.jpeg_quality) == (4, 1, 5, 60)


def test_zero_is_no_default_and_a_scale_is_for_clean_faces(tmp_path, faces) -> None:
    with pytest.raises(ValueError, match=r"`scale` must be .*; got 0"):
        dataset(str(faces), tmp_path / "data", "tiny", 2, 0.0)
    with pytest.raises(ValueError, match="no --scale are accepted; got sampled and s = 0"):
        data.datasets("X", ["sampled"], tmp_path / "data", "tiny", None, 0.0)
    with pytest.raises(ValueError, match="--scale is for clean faces; got s = 4 and real="):
        dataset(f"real={faces}", tmp_path / "data", "tiny", None, 4.0)
    for call in (
        lambda: dataset(str(faces), tmp_path / "data", "tiny", 0, None),
        lambda: data.known(str(faces), tmp_path / "data", "tiny", 0, "grey"),
    ):
        with pytest.raises(ValueError, match="`limit` must be a number of pictures from 1; got 0"):
            call()


def test_real_world_sets_stand_in_the_papers_blocks(tmp_path, faces, caplog) -> None:
    assert dataset(f"wider={faces}", tmp_path / "data", "tiny", None, None)[0] == "WIDER"
    assert "WIDER-Test has 970" in caplog.text


@pytest.mark.parametrize("spec", ["lwf={}", "LFW={}", "reel={}"])
def test_a_mistyped_kind_is_refused(tmp_path, faces, spec) -> None:
    with pytest.raises(ValueError, match="celeba|lfw|webphoto|wider|real=FOLDER"):
        dataset(spec.format(faces), tmp_path / "data", "tiny", None, None)


def test_two_sets_for_one_block_are_refused(tmp_path, faces) -> None:
    images.write(images.read(faces / "0.png"), tmp_path / "others" / "0.png")
    specs = [f"real={faces}", f"real={tmp_path / 'others'}"]
    with pytest.raises(ValueError, match="the same block"):
        data.datasets("IV", specs, tmp_path / "data", "tiny", None, None)
    both = data.datasets("IV", [f"lfw={faces}", f"wider={faces}"], tmp_path / "data", "tiny", None, None)
    assert list(both) == ["LFW", "WIDER"]


def test_inputs_of_all_levels_are_written_and_answers_to_them_drawn(tmp_path, faces) -> None:
    common = ["--data", str(faces), "--limit", "2"]
    assert main(["levels", *common, "-o", str(tmp_path / "inputs")]) == 0
    assert len(list((tmp_path / "inputs").iterdir())) == 10
    options = ["--methods", f"other={tmp_path / 'inputs'}", "--steps", "10", "--metrics", "PSNR"]
    assert main(["figure", "7b", *common, *options, "-o", str(tmp_path / "out")]) == 0
    assert "other" in (tmp_path / "out" / "figure_7b.csv").read_text()


def test_samples_are_no_faces_of_another_size(tmp_path, capsys) -> None:
    assert main(["figure", "8", "--profile", "ffhq512", "-o", str(tmp_path / "out")]) == 2
    assert "add --data DIR" in capsys.readouterr().err


def test_a_figure_is_drawn_with_its_table(tmp_path, faces, capsys) -> None:
    assert main(["figure", "4", "--data", str(faces), "--limit", "2", "-o", str(tmp_path / "out")]) == 0
    drawn = [path.suffix for path in (tmp_path / "out").iterdir() if path.name != "work"]
    assert sorted(drawn) == [".csv", ".pdf", ".png"]
    assert main(["figure", "16", "-o", str(tmp_path / "out")]) == 2
    assert "figure '16' is not drawn here" in capsys.readouterr().err


def test_a_curve_is_drawn_from_a_log(tmp_path) -> None:
    (tmp_path / "log.csv").write_text("step,loss,learning_rate\n50,0.5,1e-4\n100,0.1,2e-4\n")
    (tmp_path / "settings.json").write_text(json.dumps({"batch_size": 16}))
    assert main(["curve", str(tmp_path), "-o", str(tmp_path / "curve.png")]) == 0
    assert images.read(tmp_path / "curve.png").width > 500


def test_samples_do_not_depend_on_their_number_and_are_drawn_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(data, "BLOCK", 2)
    two, three = (data.samples(tmp_path, limit, steps=5, device="cpu") for limit in (2, 3))
    assert [item.lq.read_bytes() for item in two.items] == [item.lq.read_bytes() for item in three.items[:2]]
    assert len({item.lq.read_bytes() for item in three.items}) == 3
    three.items[2].lq.unlink()
    assert data.samples(tmp_path, 3, steps=5, device="cpu").digest == three.digest
    monkeypatch.setattr(data, "_draw", lambda *_: pytest.fail("drawn again"))
    assert data.samples(tmp_path, 3, steps=5, device="cpu").digest == three.digest


def test_samples_are_of_the_profile(tmp_path, monkeypatch) -> None:
    def loaded(name: str, *, prior_only: bool, **_) -> SimpleNamespace:
        assert (name, prior_only) == ("ffhq512", True)
        drawn = SimpleNamespace(images=torch.zeros(data.BLOCK, 3, 512, 512), info={})
        return SimpleNamespace(set_progress_bar_config=lambda **_: None, sample=lambda *_, **__: drawn)

    monkeypatch.setattr(profiles, "load", loaded)
    large = replace(profiles.profile("ffhq512"), unet=profiles.profile("tiny").unet)
    monkeypatch.setitem(profiles.PROFILES, "ffhq512", large)
    found = data.samples(tmp_path, 2, "ffhq512")
    assert found.size == 512 and found.label == "2 samples of the prior of ffhq512, 250 steps"
    assert all(item.hq is None for item in found.items)
