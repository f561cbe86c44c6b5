"""Runs: pictures are those of the pipeline, nothing is done twice, and neither a stop nor processes change the numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from difface import images, profiles
from eval import run
from eval.cli import main
from eval.datasets import build, generator_of
from eval.run import WHOLE_SET, Runner
from eval.settings import FolderMethod, Setting

FAST = Setting(estimator="srcnn", begin_index=250, scheduler="dpm++", steps=2)


@pytest.fixture
def faces(tmp_path, astronaut_face) -> Path:
    """Five aligned faces."""
    folder = tmp_path / "faces"
    changed = [
        ImageOps.mirror(astronaut_face),
        *(ImageEnhance.Brightness(astronaut_face).enhance(b) for b in (0.7, 0.85, 1.1)),
    ]
    for k, face in enumerate([astronaut_face, *changed]):
        images.write(face, folder / f"face_{k}.png")
    return folder


@pytest.fixture
def dataset(tmp_path, faces):
    return build(faces, tmp_path / "data", 64)


def pictures(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.png"))}


def test_pictures_are_those_of_the_pipeline(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu", batch=2)
    runner.evaluate(dataset, [FAST], [])
    pipeline = profiles.load("tiny", "srcnn", "dpm++", "cpu")
    pipeline.set_begin_index(250)
    for item in dataset.items:
        expected = pipeline(Image.open(item.lq), 2, generator=generator_of(item.name)).images[0]
        found = np.asarray(Image.open(runner.pictures(dataset, FAST) / f"{item.name}.png"), int)
        assert np.abs(found - np.asarray(expected, int)).max() <= 1


def test_what_is_there_is_not_done_again(tmp_path, dataset, monkeypatch) -> None:
    runner = Runner(tmp_path / "out", "cpu", batch=2)
    runner.evaluate(dataset, [FAST], ["PSNR"])
    monkeypatch.setattr(Setting, "method", lambda *_: pytest.fail("restored again"))
    monkeypatch.setattr(Runner, "_values", lambda *_: pytest.fail("scored again"))
    runner.evaluate(dataset, [FAST], ["PSNR"])


def test_a_stopped_run_ends_with_the_same_pictures_and_numbers(tmp_path, dataset, monkeypatch) -> None:
    whole = Runner(tmp_path / "whole", "cpu", batch=2)
    whole.evaluate(dataset, [FAST], ["PSNR", "SSIM"])
    stopped, written, write = Runner(tmp_path / "stopped", "cpu", batch=2), [], images.write

    def failing(image, path, text=None) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write(image, path, text)

    monkeypatch.setattr(run.images, "write", failing)
    with pytest.raises(KeyboardInterrupt):
        stopped.evaluate(dataset, [FAST], ["PSNR", "SSIM"])
    monkeypatch.setattr(run.images, "write", write)
    stopped.evaluate(dataset, [FAST], ["PSNR", "SSIM"])
    assert pictures(stopped.pictures(dataset, FAST)) == pictures(whole.pictures(dataset, FAST))
    for metric in ("PSNR", "SSIM"):
        assert stopped.scores(dataset, FAST, metric) == whole.scores(dataset, FAST, metric)


def test_scores_are_kept_for_every_picture(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu", batch=2)
    runner.evaluate(dataset, [Setting()], ["PSNR", "FD-prior"])
    scores = runner.scores(dataset, Setting(), "PSNR").values
    for item in dataset.items:
        lq, hq = (np.asarray(Image.open(file), float) / 255 for file in (item.lq, item.hq))
        assert scores[item.name] == pytest.approx(-10 * np.log10(((lq - hq) ** 2).mean()), abs=1e-6)
    assert list(runner.scores(dataset, Setting(), "FD-prior").values) == [WHOLE_SET]


def test_a_reference_folder_changes_the_distance_and_is_kept_apart(tmp_path, dataset, faces) -> None:
    to_truth, to_folder = (
        Runner(tmp_path / "out", "cpu"),
        Runner(tmp_path / "out", "cpu", reference=dataset.items[0].lq.parent),
    )
    for runner in (to_truth, to_folder):
        runner.evaluate(dataset, [Setting()], ["FD-prior"])
    assert to_folder.scores(dataset, Setting(), "FD-prior").values[WHOLE_SET] == pytest.approx(0, abs=1e-5)
    assert to_truth.scores(dataset, Setting(), "FD-prior").values[WHOLE_SET] > 0.01


def test_missing_weights_are_a_reason_and_no_number(tmp_path, dataset, monkeypatch) -> None:
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [Setting()], ["IDS"])
    scores = runner.scores(dataset, Setting(), "IDS")
    assert not scores.values and "resnet18_110.pth" in scores.reason


def test_a_folder_of_pictures_is_a_method(tmp_path, dataset) -> None:
    runner, truth = Runner(tmp_path / "out", "cpu"), FolderMethod("truth", dataset.items[0].hq.parent)
    runner.evaluate(dataset, [truth], ["SSIM"])
    assert set(runner.scores(dataset, truth, "SSIM").values.values()) == {1.0}
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"has no face_0.png; one PNG for each of the 5 inputs"):
        runner.evaluate(dataset, [FolderMethod("empty", empty)], ["SSIM"])


def test_the_config_tells_what_the_pictures_depend_on(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [FAST], [])
    config = json.loads((runner.pictures(dataset, FAST) / "config.json").read_text())
    assert config["setting"]["begin_index"] == 250 and len(config["setting"]["weights"]["unet"]) == 64
    assert config["packages"]["torch"] == torch.__version__.split("+")[0] and config["device"] == "cpu"


def test_two_processes_give_the_table_of_one(tmp_path, faces) -> None:
    command = ["table", "III", "--data", str(faces), "--steps", "20", "--batch", "2", "--device", "cpu", "-o"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(run.__file__).parent.parent)}
    single = [sys.executable, "-m", "eval", *command, str(tmp_path / "one")]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu", "-m", "eval"]
    for call in (single, [*launch, *command, str(tmp_path / "two")]):
        done = subprocess.run(call, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (pd.read_csv(tmp_path / name / "table_III.csv") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)


def test_bad_options_end_in_one_line(tmp_path, faces, capsys) -> None:
    for arguments, said in (
        (["table", "XII"], "table 'XII' is not made here"),
        (["table", "III", "--data", str(tmp_path / "none")], "--data must be sampled, a folder"),
        (["table", "III", "--methods", "gfpgan"], "--methods must be NAME=DIR"),
        (["table", "III", "--data", str(faces), "--steps", "7"], "divide"),
    ):
        assert main([*arguments, "-o", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_a_dry_run_names_files_and_addresses(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    assert main(["table", "III", "--profile", "ffhq512", "--dry-run", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for name in ("iddpm_ffhq512_ema500000.pth", "swinir_restoration512_L1.pth"):
        assert f"https://github.com/zsyOAOA/DifFace/releases/download/V1.0/{name}" in said
    assert not (tmp_path / "out").exists()


def test_the_run_time_stands_in_table_viii_and_is_kept(tmp_path, faces) -> None:
    arguments = ["table", "VIII", "--data", str(faces), "--steps", "20", "--limit", "2", "-o", str(tmp_path / "out")]
    assert main(arguments) == 0
    first = pd.read_csv(tmp_path / "out" / "table_VIII.csv").set_index("method")["Runtime"]
    assert (first[["f(y)", "DifFace"]] > 0).all() and np.isnan(first["PULSE"])
    assert main(arguments) == 0
    pd.testing.assert_series_equal(
        first, pd.read_csv(tmp_path / "out" / "table_VIII.csv").set_index("method")["Runtime"]
    )
