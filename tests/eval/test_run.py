"""Runs: pictures are the pipeline's, nothing is done twice, and neither a stop nor processes change numbers."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from difface import images, precision, profiles
from difface.metrics import FID, METRICS, PSNR, FDPrior, RunTime, iqa
from difface.weights import WeightMissing
from eval import run
from eval.cli import main
from eval.datasets import build, build_real, generator_of
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
    monkeypatch.setattr(Runner, "_score", lambda *_: pytest.fail("scored again"))
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


def test_a_run_stopped_while_it_scores_goes_on_behind_what_is_scored(tmp_path, dataset, monkeypatch) -> None:
    whole = Runner(tmp_path / "whole", "cpu", batch=2)
    whole.evaluate(dataset, [Setting()], ["PSNR"])
    stopped, scored, score = Runner(tmp_path / "stopped", "cpu", batch=2), [], PSNR.score

    def failing(self, restored, truth):
        if len(scored) == 4:
            raise KeyboardInterrupt
        scored.extend(restored)
        return score(self, restored, truth)

    monkeypatch.setattr(PSNR, "score", failing)
    with pytest.raises(KeyboardInterrupt):
        stopped.evaluate(dataset, [Setting()], ["PSNR"])
    folder = stopped.score_file(dataset, Setting(), "PSNR").parent
    (log,) = folder.glob("*.log")
    log.write_text(log.read_text() + '["face_4", 1')  # a line that was cut
    monkeypatch.setattr(PSNR, "score", lambda *given: scored.extend(given[1]) or score(*given))
    stopped.evaluate(dataset, [Setting()], ["PSNR"])
    assert len(scored) == len(dataset.items), "none twice"
    assert stopped.scores(dataset, Setting(), "PSNR") == whole.scores(dataset, Setting(), "PSNR")
    assert [file.name for file in folder.iterdir()] == ["PSNR.csv"]


def test_scores_are_kept_for_every_picture(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu", batch=2)
    runner.evaluate(dataset, [Setting()], ["PSNR", "FD-prior"])
    scores = runner.scores(dataset, Setting(), "PSNR").values
    for item in dataset.items:
        lq, hq = (np.asarray(Image.open(file), float) / 255 for file in (item.lq, item.hq))
        assert scores[item.name] == pytest.approx(-10 * np.log10(((lq - hq) ** 2).mean()), abs=1e-6)
    assert list(runner.scores(dataset, Setting(), "FD-prior").values) == [WHOLE_SET]


def test_the_distance_to_the_first_guess_is_that_of_the_pictures(tmp_path, dataset) -> None:
    guess = Setting("tiny", "swinir")
    runner = Runner(tmp_path / "out", "cpu", batch=2, guess=guess)
    runner.evaluate(dataset, [Setting(), guess], ["IndRMSE"])
    assert set(runner.scores(dataset, guess, "IndRMSE").values.values()) == {0.0}
    found, made = runner.scores(dataset, Setting(), "IndRMSE").values, runner.pictures(dataset, guess)
    for item in dataset.items:
        lq, estimate = (np.asarray(Image.open(file), float) for file in (item.lq, made / f"{item.name}.png"))
        assert found[item.name] == pytest.approx(((lq - estimate) ** 2).mean() ** 0.5, rel=1e-5)
        assert found[item.name] > 1
    other = Runner(tmp_path / "out", "cpu", batch=2, guess=Setting("tiny", "srcnn"))
    other.evaluate(dataset, [Setting()], ["IndRMSE"])
    assert other.scores(dataset, Setting(), "IndRMSE") != runner.scores(dataset, Setting(), "IndRMSE")
    without = Runner(tmp_path / "out", "cpu", batch=2)
    without.evaluate(dataset, [Setting()], ["IndRMSE"])
    assert "needs no mask" in without.scores(dataset, Setting(), "IndRMSE").reason


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
    assert not scores.values
    assert scores.reason == "needs arcface_resnet18.pth, get it with: python -m difface fetch arcface_resnet18.pth"


def test_the_reason_names_the_very_file_that_is_missing(tmp_path, dataset, monkeypatch) -> None:
    def missing(size: int) -> Path:
        raise WeightMissing("looked in /somewhere", "inception_FFHQ_512-f7b384ab.pth")

    monkeypatch.setattr(run, "ffhq_statistics", missing)
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [Setting()], ["FID-F"])
    expected = "needs inception_FFHQ_512-f7b384ab.pth, which has no public address"
    assert runner.scores(dataset, Setting(), "FID-F").reason == expected


def test_pictures_that_are_too_small_for_a_metric_are_a_reason(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [Setting()], ["NIQE"])
    assert runner.scores(dataset, Setting(), "NIQE").reason == "takes sides from 96 pixels; faces has 64"


def test_all_processes_write_to_one_place(tmp_path, dataset) -> None:
    runner, folders = Runner(tmp_path / "out", "cpu"), set()
    for device in ("cuda:0", "cuda:1"):
        runner.device = device
        folders.add(runner.pictures(dataset, FAST))
    assert len(folders) == 1
    runner.device = "cpu"
    assert runner.pictures(dataset, FAST) not in folders


def test_a_changed_reference_or_prior_is_noticed(tmp_path, dataset, faces, monkeypatch) -> None:
    def files() -> tuple[Path, Path]:
        runner = Runner(tmp_path / "out", "cpu", reference=faces)
        return tuple(runner.score_file(dataset, Setting(), metric) for metric in ("FD-prior", "FD identity"))

    first = files()
    assert files() == first and "-to-" in first[1].name
    monkeypatch.setattr(FDPrior, "version", "trained-anew")
    other = files()
    assert other[0] != first[0] and other[1] == first[1]
    os.utime(faces / "face_1.png", ns=(0, 0))
    assert files()[1] != first[1]


def test_keys_of_metrics_without_a_version_stay(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu")
    for metric, name in (("LPIPS", "LPIPS"), ("FD identity", "FD-identity-each"), ("IDS-r50", "IDS-r50")):
        assert runner.score_file(dataset, Setting(), metric).stem == name


def test_a_folder_of_pictures_is_a_method(tmp_path, dataset) -> None:
    runner, truth = Runner(tmp_path / "out", "cpu"), FolderMethod("truth", dataset.items[0].hq.parent)
    runner.evaluate(dataset, [truth], ["SSIM"])
    assert set(runner.scores(dataset, truth, "SSIM").values.values()) == {1.0}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has no face_0.png; one PNG for each of the 5 inputs"):
        runner.evaluate(dataset, [FAST, FolderMethod("empty", tmp_path / "empty")], ["SSIM"])
    assert not runner.pictures(dataset, FAST).exists()


def test_pictures_of_another_size_are_resized_by_one_rule_and_it_is_said(tmp_path, faces, capsys) -> None:
    """The official code's pictures are of 1024 pixels or whatever it likes: scored as if resized before."""
    sides = {"face_0": (128, 128), "face_1": (64, 64)}
    for file in faces.iterdir():
        large = images.read(file).resize(sides.get(file.stem, (128, 128))).rotate(3)
        images.write(large, tmp_path / "peer" / file.name)
        fitted = images.to_tensors(large)[0][None]
        fitted = torch.nn.functional.interpolate(fitted, (64, 64), mode="bicubic", antialias=True).clamp(0, 1)[0]
        images.write(images.to_pil(fitted), tmp_path / "small" / file.name)
    found = {}
    for name in ("peer", "small"):
        given = ["table", "III", "--data", str(faces), "--methods", f"PULSE={tmp_path / name}", "--device", "cpu"]
        assert main([*given, "--steps", "20", "--limit", "3", "-o", str(tmp_path / "out")]) == 0
        text = capsys.readouterr().out
        said = "PULSE's pictures of 64x64 to 128x128 pixels resized to 64x64 (bicubic, antialias)"
        assert (said in text) == (name == "peer")
        found[name] = pd.read_csv(tmp_path / "out" / "table_III.csv").set_index("method").loc["PULSE"]
    for column, tolerance in (("PSNR", 0.05), ("SSIM", 0.005)):
        assert found["peer"][column] == pytest.approx(found["small"][column], abs=tolerance)


def test_what_cannot_be_scored_is_refused_before_anything_is_restored(
    tmp_path, dataset, faces, astronaut_face, monkeypatch, capsys
) -> None:
    """An empty or incomplete folder of a method, a missing, empty or unfit reference."""
    monkeypatch.setattr(Setting, "method", lambda *_: pytest.fail("restored"))
    for name in ("empty", "large", "none"):
        (tmp_path / name).mkdir()
    for item in dataset.items:
        images.write(astronaut_face.resize((80, 80)), tmp_path / "large" / f"{item.name}.png")
    given = ["table", "III", "--data", str(faces), "--methods", "none", "-o", str(tmp_path / "out"), "--device", "cpu"]
    for options, said in (
        (
            ["--methods", f"peer={tmp_path / 'empty'}"],
            "has no face_0.png; one PNG for each of the 5 inputs is accepted",
        ),
        (["--reference", str(tmp_path / "nowhere")], "nowhere does not exist"),
        (["--reference", str(tmp_path / "none")], "holds no picture"),
        (["--reference", str(tmp_path / "large")], "is 80x80 pixels; 64x64 is accepted"),
        (["--start", "0"], "got 0"),
        (["--scale", "0"], "got 0.0"),
        (["--steps", "7"], "divide"),
        (["--dtype", "half"], "the dtype 'half' is unknown"),
    ):
        assert main([*given, *options]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "restored").exists() and not (tmp_path / "out" / "scores").exists()


def test_a_block_that_cannot_be_scored_stops_the_blocks_before_it(tmp_path, faces, monkeypatch, capsys) -> None:
    for kind in ("box", "irregular", "half"):
        for file in faces.iterdir():
            images.write(images.read(file), tmp_path / "peer" / kind / file.name)
    (tmp_path / "peer" / "expand").mkdir()
    monkeypatch.setattr(Setting, "method", lambda *_: pytest.fail("restored"))
    given = ["table", "VI", "--data", str(faces), "--methods", f"peer={tmp_path / 'peer'}", "-o", str(tmp_path / "out")]
    assert main(given) == 2 and f"{Path('expand')} has no face_0.png" in capsys.readouterr().err


@pytest.mark.parametrize("meant", ["float32", "bfloat16"])
def test_a_run_s_key_has_its_type_and_one_name_for_it(tmp_path, dataset, monkeypatch, meant) -> None:
    """Float32 where nothing is said, so that numbers do not depend on the machine; "auto" is what it means there."""
    monkeypatch.setattr(precision, "_matrix_units", lambda: ["AMX"] if meant == "bfloat16" else [])
    of = {dtype: Runner(tmp_path / "out", "cpu", dtype) for dtype in ("auto", "float32", "bfloat16")}
    keys = {dtype: runner.pictures(dataset, FAST) for dtype, runner in of.items()}
    assert of["auto"].dtype == meant and keys["auto"] == keys[meant] and keys["float32"] != keys["bfloat16"]
    assert Runner(tmp_path / "out", "cpu").pictures(dataset, FAST) == keys["float32"]


def test_pictures_of_two_types_are_kept_apart(tmp_path, dataset) -> None:
    found = []
    for dtype in ("float32", "bfloat16"):
        runner = Runner(tmp_path / "out", "cpu", dtype)
        runner.evaluate(dataset, [FAST], ["PSNR"])
        found.append(runner.scores(dataset, FAST, "PSNR").values)
        config = json.loads((runner.pictures(dataset, FAST) / "config.json").read_text())
        assert config["dtype"] == dtype
    assert found[0] != found[1]


def test_every_data_set_has_its_own_truth_as_reference(tmp_path, dataset, astronaut_face) -> None:
    """Two sets in one folder of results; the distance of each is to its own truth, by the metric itself."""
    for k in range(3):
        images.write(ImageOps.invert(astronaut_face.rotate(20 * k)), tmp_path / "others" / f"other_{k}.png")
    runner = Runner(tmp_path / "out", "cpu")
    for one in (dataset, build(tmp_path / "others", tmp_path / "more", 64)):
        runner.evaluate(one, [Setting()], ["FD-prior", "KID-prior"])
        for name in ("FD-prior", "KID-prior"):
            metric = METRICS[name]()
            metric.update(torch.stack([run.read(item.hq) for item in one.items]), real=True)
            metric.update(torch.stack([run.read(item.lq) for item in one.items]))
            found = runner.scores(one, Setting(), name)
            assert found.values == {WHOLE_SET: pytest.approx(metric.compute(), rel=1e-4)}
            assert list(found.without) == [item.name for item in one.items]
            assert list(found.without.values()) == pytest.approx(metric.without().tolist(), rel=1e-3, abs=1e-6)


def test_distances_of_one_network_share_its_features(tmp_path, dataset, faces, monkeypatch) -> None:
    seen: list[int] = []
    features = FDPrior.features
    monkeypatch.setattr(FDPrior, "features", lambda self, given: seen.append(len(given)) or features(self, given))
    runner = Runner(tmp_path / "out", "cpu", reference=faces)
    runner.evaluate(dataset, [Setting()], ["FD-prior", "KID-prior"])
    assert sum(seen) == 5 + 5
    Runner(tmp_path / "out", "cpu", reference=faces).evaluate(
        dataset, [Setting(), Setting(estimator="srcnn")], ["KID-prior"]
    )
    assert sum(seen) == 5 + 5 + 5


def test_a_protocol_may_score_the_first_pictures_only(tmp_path, dataset, faces, monkeypatch) -> None:
    class Mean(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.mean((2, 3))

    for name, most in (("FID-F", None), ("FID-F (first 3,000)", 3)):
        monkeypatch.setitem(run.METRICS, name, lambda most=most: FID("faces", Mean(), most))
    names = ["FID-F", "FID-F (first 3,000)"]
    runner = Runner(tmp_path / "out", "cpu", reference=faces)
    runner.evaluate(dataset, [Setting()], names)
    every, first = (runner.scores(dataset, Setting(), name) for name in names)
    few = replace(dataset, items=dataset.items[:3])
    alone = Runner(tmp_path / "alone", "cpu", reference=faces)
    alone.evaluate(few, [Setting()], names[:1])
    assert first == alone.scores(few, Setting(), "FID-F") and len(first.without) == 3
    assert first.values != every.values and len(every.without) == 5


def test_kid_needs_the_pictures_of_its_reference(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [Setting()], ["KID-F"])
    assert "give a folder of real faces with --reference" in runner.scores(dataset, Setting(), "KID-F").reason


@pytest.mark.parametrize("order", [("NIQE", "NRQM", "PI"), ("PI", "NRQM", "NIQE")])
def test_what_pi_is_made_of_is_measured_once(order, tmp_path, faces, astronaut_face, monkeypatch) -> None:
    for k in range(2):
        images.write(astronaut_face.resize((96, 96)).rotate(10 * k), tmp_path / "large" / f"{k}.png")
    dataset, seen = build_real(tmp_path / "large", tmp_path / "set", 96), []

    def measured(name, weights, given, smallest) -> torch.Tensor:
        seen.extend([name] * len(given))
        return given.flatten(1).mean(1) + (4 if name == "niqe" else 6)

    monkeypatch.setattr(iqa, "_measured", measured)
    runner = Runner(tmp_path / "out", "cpu", batch=1)
    runner.evaluate(dataset, [Setting()], list(order))
    assert sorted(seen) == ["niqe"] * 2 + ["nrqm"] * 2
    niqe, nrqm, pi = (runner.scores(dataset, Setting(), name).values for name in ("NIQE", "NRQM", "PI"))
    assert all(pi[name] == pytest.approx((10 - nrqm[name] + niqe[name]) / 2) for name in ("0", "1"))


def test_the_run_time_is_kept_for_each_machine_and_number_of_threads(tmp_path, dataset, monkeypatch) -> None:
    """The CPU's model, not the word cpu, stands in the file, and neither another model nor other threads read it."""
    seconds = iter((1.0, 2.0, 3.0, 4.0))
    monkeypatch.setattr(run, "measure", lambda *_, **__: RunTime(next(seconds), ()))
    real = run._cpu_name()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in cpuinfo.read_text():
        assert real in cpuinfo.read_text() and real not in ("cpu", "")
    runner, found = Runner(tmp_path / "out", "cpu"), []
    for model, threads in ((real, 1), (real, 2), ("Other Model 3000", 2), (real, 1)):
        monkeypatch.setattr(run, "_cpu_name", lambda model=model: model)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(runner.runtime(dataset, FAST))
    assert found == [1, 2, 3, 1]
    kept = [json.loads(file.read_text()) for file in sorted((tmp_path / "out" / "runtime").iterdir())]
    assert sorted((one["device"], one["threads"]) for one in kept) == sorted(
        [(real, 1), (real, 2), ("Other Model 3000", 2)]
    )


def test_the_config_tells_what_the_pictures_depend_on(tmp_path, dataset) -> None:
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [FAST], [])
    config = json.loads((runner.pictures(dataset, FAST) / "config.json").read_text())
    assert config["setting"]["begin_index"] == 250 and len(config["setting"]["weights"]["unet"]) == 64
    assert config["packages"]["torch"] == torch.__version__.split("+")[0] and config["device"] == "cpu"


def table(number: str, faces: Path, output: Path, *options: str) -> list[str]:
    """The quick command for a table."""
    quick = ["--methods", "none", "--steps", "20", "--device", "cpu"]
    return ["table", number, "--data", str(faces), "-o", str(output), *quick, *options]


LAUNCHED = """
import sys
from pathlib import Path
from accelerate import PartialState
from eval.cli import main
status = main(sys.argv[2:])
state = PartialState()  # as the command made it
Path(sys.argv[1], f"{state.process_index} of {state.num_processes}").touch()
sys.exit(status)
"""


def in_processes(count: int, command: list[str], scratch: Path) -> None:
    """Run `eval` in so many processes, which is checked: `accelerate launch --cpu` starts one, whatever it is told."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(run.__file__).parent.parent)}
    seen, script = scratch / f"seen{count}", scratch / "launched.py"
    seen.mkdir()
    script.write_text(LAUNCHED)
    launched = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    launch = [sys.executable, *(launched if count > 1 else [])]
    done = subprocess.run([*launch, script, seen, *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {file.name for file in seen.iterdir()} == {f"{k} of {count}" for k in range(count)}


def test_three_processes_write_what_one_writes(tmp_path, faces) -> None:
    """Pictures, scores, features and tables, byte by byte; of two batches, so that one process has none. No device is
    named, as by most."""
    device = "cpu" if torch.cuda.is_available() else "auto"
    for count in (1, 3):
        command = table("III", faces, tmp_path / str(count), "--batch", "3", "--device", device)
        in_processes(count, command, tmp_path)
    one, three = ({p.relative_to(tmp_path / n): p for p in (tmp_path / n).rglob("*.*")} for n in "13")
    assert set(one) == set(three) and len(one) > 30
    assert [name for name in one if one[name].is_file() and one[name].read_bytes() != three[name].read_bytes()] == []


def test_of_two_processes_one_measures_the_time(tmp_path, faces) -> None:
    in_processes(2, table("VIII", faces, tmp_path / "out", "--limit", "2"), tmp_path)
    kept = sorted(file.name.split("-")[1] for file in (tmp_path / "out" / "runtime").glob("*-float32.json"))
    assert kept == ["difface", "swinir"]


def test_bad_options_end_in_one_line(tmp_path, faces, capsys) -> None:
    for arguments, said in (
        (["table", "XII"], "table 'XII' is not made here"),
        (["table", "III", "--data", str(tmp_path / "none")], "--data must be sampled, a folder"),
        (["table", "III", "--methods", "telepathy"], "the method 'telepathy' is unknown; all, free, fast, none"),
        (["table", "III", "--methods", "pulse="], "--methods must be NAME=DIR"),
        (["table", "III", "--data", str(faces), "--steps", "7"], "divide"),
        (["table", "III", "--metrics", "beauty"], "the metric 'beauty' is unknown; PSNR, PSNR (colours matched), SSIM"),
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
    assert "inception_FFHQ_512-f7b384ab.pth: missing, has no public address" in said
    assert not (tmp_path / "out").exists()
    arguments = ["table", "III", "--profile", "ffhq512", "--dry-run", "--reference", str(tmp_path)]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    assert "inception_FFHQ" not in capsys.readouterr().out


@pytest.mark.parametrize("profile", ["ffhq256-inpaint", "imagenet256-sr"])
@pytest.mark.parametrize("number", ["II", "III", "IV", "V", "VIII", "IX"])
def test_a_profile_that_cannot_restore_ends_in_one_line(number, profile, tmp_path, capsys) -> None:
    assert main(["table", number, "--profile", profile, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"'{profile}' has no estimator that restores without a mask" in error and error.count("\n") == 1


@pytest.mark.parametrize("number", ["IV", "V"])
def test_tables_of_real_photos_on_the_embedded_models(number, tmp_path, faces) -> None:
    few = ["--limit", "2", "--steps", "10", "--device", "cpu", "--metrics", "SSIM (RGB)", "--reference", str(faces)]
    assert main(["table", number, "--data", str(faces), *few, "--methods", "none", "-o", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / f"table_{number}.md").read_text()
    assert "profile tiny, N = 250, 10 steps, eta 0.5 where a row says nothing else; weights swinir " in text
    assert "; dtype float32; batch 8; cpu; " in text
    assert (
        re.search(r"FD-prior \(\w{10}\) refers to faces; KID-prior \(\w{10}\) refers to faces[.;]", text)
        and "| SSIM (RGB) ↑ |" in text
        and str(tmp_path) not in text
    )
    if number == "V":
        assert "- NIQE: takes sides from 96 pixels; faces has 64" in text
        assert re.search(r"\| Diffusion \(samples of the prior\) \|.* \d+\.\d\d ", text)
        assert len(list((tmp_path / "out" / "data").glob("samples-tiny-2-steps10-float32/lq/*.png"))) == 2


def test_the_run_time_stands_in_table_viii_and_is_kept(tmp_path, faces) -> None:
    arguments = table("VIII", faces, tmp_path / "out", "--limit", "2")
    assert main(arguments) == 0
    first = pd.read_csv(tmp_path / "out" / "table_VIII.csv").set_index("method")["Runtime"]
    assert (first[["f(y)", "DifFace"]] > 0).all() and np.isnan(first["PULSE"])
    assert main(arguments) == 0
    pd.testing.assert_series_equal(
        first, pd.read_csv(tmp_path / "out" / "table_VIII.csv").set_index("method")["Runtime"]
    )


def test_scores_of_a_folder_are_of_these_faces_and_pictures(tmp_path, faces) -> None:
    """Another choice of faces, or a picture replaced by an older one, is scored anew."""
    few, all_of_them = (build(faces, tmp_path / name, 64, limit=limit) for name, limit in (("few", 2), ("all", None)))
    peer = tmp_path / "peer"
    for item in all_of_them.items:
        images.write(images.read(item.hq).point(lambda v: v // 2), peer / f"{item.name}.png")
    runner, method = Runner(tmp_path / "out", "cpu", batch=2), FolderMethod("peer", peer)
    found = []
    for dataset in (few, all_of_them):
        runner.evaluate(dataset, [method], ["PSNR"])
        found.append(runner.scores(dataset, method, "PSNR").values)
    assert [len(values) for values in found] == [2, 5]
    name = all_of_them.items[0].name
    images.write(images.read(all_of_them.items[0].hq), peer / f"{name}.png")
    os.utime(peer / f"{name}.png", (1, 1))
    runner.evaluate(all_of_them, [method], ["PSNR"])
    assert runner.scores(all_of_them, method, "PSNR").values[name] == float("inf")


def test_a_distance_of_one_face_is_not_applicable(tmp_path, faces) -> None:
    one = build(faces, tmp_path / "data", 64, limit=1)
    runner = Runner(tmp_path / "out", "cpu")
    runner.evaluate(one, [Setting()], ["PSNR", "FD-prior"])
    assert "two pictures or more" in runner.scores(one, Setting(), "FD-prior").reason
    assert runner.scores(one, Setting(), "PSNR").values


def test_a_reference_of_other_sizes_is_refused_in_a_line(tmp_path, dataset, astronaut_face) -> None:
    for side in (64, 80):
        images.write(astronaut_face.resize((side, side)), tmp_path / "reference" / f"{side}.png")
    runner = Runner(tmp_path / "out", "cpu", reference=tmp_path / "reference")
    with pytest.raises(ValueError, match="80x80 pixels; 64x64 is accepted"):
        runner.evaluate(dataset, [Setting()], ["FD-prior"])


def test_a_table_of_run_times_restores_nothing_else(tmp_path, faces) -> None:
    assert main(table("VIII", faces, tmp_path / "out")) == 0
    assert not (tmp_path / "out" / "restored").exists() and len(list((tmp_path / "out" / "runtime").iterdir())) == 2


def test_a_gpu_is_named_by_torch_and_packages_under_other_names_are_left_out(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"the card of {device}")
    assert run.device_name("cuda:1") == "the card of cuda:1"
    monkeypatch.setattr(run, "PACKAGES", ("torch", "opencv-python-of-another-name"))
    assert run.packages().keys() == {"torch"}
