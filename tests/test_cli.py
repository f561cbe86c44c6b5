"""The command line: what it writes, and one clear line for everything that is wrong."""

import errno
import json

import numpy as np
import pytest
import torch
from conftest import small_unet
from PIL import Image
from safetensors.torch import load_file, save_file

from difface import cli, faces, profiles

pytestmark = pytest.mark.usefixtures("astronaut_face")


def test_restore_writes_one_picture_per_input_and_the_same_bytes_for_the_same_seed(run, face, tmp_path):
    for name in ("a", "b"):
        assert run("restore", face, "-o", tmp_path / name, "--fast", "--seed", 7, "--device", "cpu") == (0, [])
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["face.png"]
    assert (tmp_path / "a" / "face.png").read_bytes() == (tmp_path / "b" / "face.png").read_bytes()
    restored = Image.open(tmp_path / "a" / "face.png")
    assert restored.size == (64, 64) and "AI-restored" in restored.text["Comment"]
    settings = json.loads(restored.text["difface"])
    assert (settings["calls"], settings["estimator"], settings["sampler"]) == (5, "swinir", "dpm++")


def test_picture_k_uses_seed_plus_k_whatever_else_is_in_the_call(run, face, tmp_path, astronaut_face):
    (tmp_path / "in").mkdir()
    for name in ("one", "two"):
        astronaut_face.save(tmp_path / "in" / f"{name}.png")
    common = ("--fast", "--save-estimates")
    assert run("restore", tmp_path / "in", "-o", tmp_path / "many", "--samples", 2, "--seed", 3, *common)[0] == 0
    assert run("restore", face, "-o", tmp_path / "single", "--seed", 4, *common)[0] == 0
    names = sorted(p.name for p in (tmp_path / "many").iterdir())
    assert names == ["one_estimate.png", "one_s1.png", "one_s2.png", "two_estimate.png", "two_s1.png", "two_s2.png"]
    read = lambda path: np.asarray(Image.open(path), int)  # noqa: E731
    assert abs(read(tmp_path / "many" / "two_s2.png") - read(tmp_path / "single" / "face.png")).max() <= 1
    assert abs(read(tmp_path / "many" / "two_s1.png") - read(tmp_path / "single" / "face.png")).max() > 1


def test_degrade(run, face, tmp_path):
    assert (
        run("degrade", face, "-o", tmp_path / "out", "--scale", 4, "--blur", "1,2,0.5", "--noise", 5, "--jpeg", 50)[0]
        == 0
    )
    kept = json.loads((tmp_path / "out" / "face.json").read_text())
    assert (kept["scale"], kept["sigma_x"], kept["sigma_y"], kept["theta"], kept["jpeg_quality"]) == (4, 1, 2, 0.5, 50)
    assert Image.open(tmp_path / "out" / "face.png").size == (64, 64)
    assert run("degrade", face, "-o", tmp_path / "random", "--random", "--seed", 1)[0] == 0
    assert json.loads((tmp_path / "random" / "face.json").read_text()) != kept


def test_sample(run, tmp_path):
    assert "1 and 2" in run("sample", "-n", 2, "-o", tmp_path, "--steps", 0)[1][0]
    assert run("sample", "-n", 2, "-o", tmp_path, "--steps", 10, "--seed", 5, "--device", "cpu") == (0, [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sample_0005.png", "sample_0006.png"]
    assert "AI-generated" in Image.open(tmp_path / "sample_0005.png").text["Comment"]
    status, errors = run("sample", "-n", 1, "-o", tmp_path / "none", "--eta", 5)
    assert status == 2 and "[0, 1]; got 5" in errors[0] and not (tmp_path / "none").exists()


def test_align(run, onnx, tmp_path, astronaut_photo, astronaut_face):
    astronaut_photo.save(tmp_path / "photo.png")
    Image.new("RGB", (200, 200), (90, 120, 60)).save(tmp_path / "meadow.png")
    status, errors = run("align", tmp_path / "photo.png", tmp_path / "meadow.png", "-o", tmp_path / "out", "--size", 64)
    assert status == 1 and len(errors) == 2 and "meadow.png" in errors[0] and "1 of 2" in errors[1]
    crop = np.asarray(Image.open(tmp_path / "out" / "photo.png"), float)
    assert abs(crop - np.asarray(astronaut_face, float)).mean() < 25


def test_align_with_a_margin(run, onnx, tmp_path, astronaut_photo):
    astronaut_photo.save(tmp_path / "photo.png")
    assert run("align", tmp_path / "photo.png", "-o", tmp_path / "plain", "--size", 64) == (0, [])
    assert run("align", tmp_path / "photo.png", "-o", tmp_path / "wide", "--size", 64, "--margin") == (0, [])
    wide = Image.open(tmp_path / "wide" / "photo.png")
    assert wide.size == (160, 160)
    inner = faces.warp(np.asarray(wide), faces.margin_points(64), faces.FFHQ_TEMPLATE * 64, 64)
    plain = Image.open(tmp_path / "plain" / "photo.png")
    assert np.abs(inner.astype(float) - np.asarray(plain, float)).mean() < 3


def test_degrade_goes_on_past_a_picture_that_is_too_small(run, tmp_path, astronaut_face):
    (tmp_path / "in").mkdir()
    astronaut_face.resize((200, 200)).save(tmp_path / "in" / "a.png")
    astronaut_face.save(tmp_path / "in" / "b.png")
    astronaut_face.resize((150, 150)).save(tmp_path / "in" / "c.png")
    (tmp_path / "in" / "d.png").symlink_to(tmp_path / "nowhere.png")
    status, errors = run("degrade", tmp_path / "in", "-o", tmp_path / "out", "--scale", 100)
    assert status == 1 and "b.png" in errors[0] and "d.png" in errors[1] and "2 of 4" in errors[2]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "c.png"]


def test_a_photo_whose_faces_are_left_alone_is_not_called_restored(run, onnx, tmp_path, astronaut_photo):
    astronaut_photo.save(tmp_path / "photo.png")
    assert run("restore", tmp_path / "photo.png", "-o", tmp_path / "out", "--photo", "--fast") == (0, [])
    assert "AI-restored" not in Image.open(tmp_path / "out" / "photo.png").text["Comment"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("prior", "--size", 20), "aligned faces of 20x20"),
        (("prior", "--architecture", "srcnn"), "--architecture is not for priors"),
        (("prior", "--task", "inpaint"), "--task is not for priors"),
        (("estimator", "--p2-gamma", 0.5), "--p2-gamma is not for estimators"),
        (("prior", "--scale", 8), "--scale is not for priors"),
        (("sr3", "--task", "sr4"), "--task is not for sr3"),
        (("sr3", "--scale", 7), "divides `size` 64; got 7"),
        (("prior", "--init", "nowhere"), "holds no trained network"),
        (("prior", "--init", "assets/tiny/srcnn"), "_class_name 'FaceEstimator'"),
        (("estimator", "--init", "assets/tiny/srcnn"), "architecture 'srcnn'; 'swinir'"),
    ],
)
def test_trainings_that_cannot_be(run, face, tmp_path, arguments, says):
    arguments = [str(profiles.ASSETS.parent / a) if str(a).startswith("assets/") else a for a in arguments]
    status, errors = run("train", *arguments, "--data", tmp_path, "-o", tmp_path / "out", "--steps", 1)
    assert status == 2 and len(errors) == 1 and says in errors[0] and not (tmp_path / "out").exists()


def test_out_of_memory_is_one_line(run, face, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte.")

    monkeypatch.setattr("difface.DifFacePipeline.__call__", full)
    status, errors = run("restore", face, "-o", tmp_path / "out", "--fast")
    assert status == 1 and len(errors) == 1 and "memory ran out" in errors[0]


def test_train_and_convert(run, face, tmp_path):
    for command, folder in (("prior", "prior"), ("estimator", "swinir"), ("sr3", "sr3")):
        arguments = ("--data", tmp_path, "--steps", 1, "--batch-size", 1, "--precision", "no")
        assert run("train", command, *arguments, "-o", tmp_path / folder) == (0, [])
        assert (tmp_path / folder / "config.json").exists() and (tmp_path / folder / "checkpoint.pt").exists()
    warm = (
        "--init",
        tmp_path / "prior",
        "--data",
        tmp_path,
        "--steps",
        1,
        "--batch-size",
        1,
        "--learning-rate",
        0,
        "--precision",
        "no",
    )
    assert run("train", "prior", *warm, "-o", tmp_path / "warm") == (0, [])
    weights = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "warm" / weights).read_bytes() == (tmp_path / "prior" / weights).read_bytes()
    assert run("assemble", tmp_path / "prior", tmp_path / "swinir", "-o", tmp_path / "mine") == (0, [])
    assert run("restore", face, "-o", tmp_path / "out", "--fast", "--profile", tmp_path / "mine") == (0, [])
    assert (tmp_path / "out" / face.name).exists()


@pytest.mark.parametrize("given", [(), ("--head-width", "32")])
def test_convert_says_which_head_width_it_takes(capsys, parity, tmp_path, given):
    state = load_file(parity / "unet_small.safetensors")
    state = {key.removeprefix("sd."): value for key, value in state.items() if key.startswith("sd.")}
    save_file(state, tmp_path / "net.safetensors")
    arguments = ["convert", str(tmp_path / "net.safetensors"), "-o", str(tmp_path / "out"), "--kind", "unet"]
    assert cli.main([*arguments, *given]) == 0
    width = int(given[-1]) if given else 64
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 1 and notes[0].startswith(f"note: {width} channels per attention head")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["attention_head_dim"] == width


@pytest.fixture
def bad(tmp_path, astronaut_face):
    """One file of every kind of damage."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "text.png").write_text("this is not a picture")
    (folder / "empty.png").write_bytes(b"")
    astronaut_face.resize((300, 300)).save(folder / "whole.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:2000])
    (folder / "whole.jpg").unlink()
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    return folder


@pytest.mark.parametrize("name", ["text.png", "empty.png", "truncated.jpg", "dot.png", "huge.png"])
def test_a_bad_file_is_one_line_and_writes_nothing(run, bad, tmp_path, name):
    status, errors = run("restore", bad / name, "-o", tmp_path / "out", "--fast")
    assert status == 1 and name in errors[0] and "accepted" in errors[0] and len(errors) == 2
    assert not (tmp_path / "out").exists()


def test_a_batch_goes_on_past_bad_files(run, bad, tmp_path, astronaut_face):
    astronaut_face.save(bad / "good.png")
    status, errors = run("restore", bad, "-o", tmp_path / "out", "--fast")
    assert status == 1 and len(errors) == 6 and "5 of 6" in errors[-1]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--profile", "huge"], "tiny, ffhq512"),
        (["--estimator", "lama"], "swinir, srcnn are accepted"),
        (["--profile", "ffhq256-inpaint"], "difface inpaint"),
        (["--profile", "imagenet256-sr"], "tiny, ffhq512 are accepted"),
        (["--profile", "ffhq512", "--scheduler", "euler"], "the scheduler 'euler' is unknown"),
        (["--eta", "-1"], "[0, 1]; got -1"),
        (["--start", "0"], "1..1000"),
        (["--start", "2000"], "1..1000"),
        (["--steps", "0"], "1 and 2"),
        (["--steps", "7"], "5 and 8"),
        (["--steps", "1001"], "500 and 1000"),
        (["--start", "3"], "at least two"),
        (["--scheduler", "euler"], "ddim, ddpm, ddpm-noisy, dpm++"),
        (["--estimator", "unet"], "swinir, srcnn"),
        (["--samples", "0"], "--samples"),
        (["--steps", "many"], "--steps"),
        (["--fast", "--steps", "50"], "--fast"),
        (["--device", "tpu"], "tpu"),
        (["--dtype", "int8"], "float16"),
        (["--unknown"], "--unknown"),
    ],
)
def test_bad_options_are_one_line_and_status_2(run, face, tmp_path, arguments, says):
    status, errors = run("restore", face, "-o", tmp_path / "out", *arguments)
    assert status == 2 and len(errors) == 1 and says in errors[0]
    assert not (tmp_path / "out").exists()


def test_bad_paths(run, face, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert run("restore", tmp_path / "nothing", "-o", tmp_path / "out")[0] == 2
    status, errors = run("restore", tmp_path / "absent.png", "-o", tmp_path / "out")
    assert status == 2 and "does not exist" in errors[0]
    assert "overwritten" in run("restore", face, "-o", tmp_path)[1][0]
    (tmp_path / "twin").mkdir()
    Image.open(face).save(tmp_path / "twin" / "face.jpg")
    Image.open(face).save(tmp_path / "twin" / "face_estimate.png")
    clash = run("restore", face, tmp_path / "twin" / "face_estimate.png", "-o", tmp_path / "twin", "--save-estimates")
    assert clash[0] == 2 and "face_estimate.png" in clash[1][0]
    assert "both become face.png" in run("restore", face, tmp_path / "twin", "-o", tmp_path / "out")[1][0]
    assert not (tmp_path / "out").exists()


def test_masks_and_parameters_are_not_overwritten(run, face, tmp_path):
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    Image.open(face).save(tmp_path / "mask.jpg")
    before = (tmp_path / "mask.png").read_bytes()
    status, errors = run("inpaint", tmp_path / "mask.jpg", "--mask", tmp_path / "mask.png", "-o", tmp_path)
    assert status == 2 and "mask.png would be overwritten" in errors[0]
    assert (tmp_path / "mask.png").read_bytes() == before
    Image.open(face).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.json").write_text("mine")
    status, errors = run("degrade", tmp_path / "photo.jpg", "-o", tmp_path)
    assert status == 2 and "photo.json would be overwritten" in errors[0]
    assert (tmp_path / "photo.json").read_text() == "mine" and not (tmp_path / "photo.png").exists()
    (tmp_path / "photo.json").unlink()
    assert run("degrade", tmp_path / "photo.jpg", "-o", tmp_path) == (0, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["restore", "--steps", "7"],
        ["restore", "--start", "0"],
        ["restore", "--eta", "2"],
        ["inpaint", "--mask", "auto", "--steps", "7"],
        ["inpaint", "--mask", "auto", "--gamma", "0.7"],
        ["sample", "--eta", "-1"],
        ["sample", "--steps", "7"],
    ],
)
def test_settings_are_refused_before_anything_is_loaded(run, face, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(profiles, "load", lambda *_, **__: pytest.fail("loaded"))
    command, *options = arguments
    given = [] if command == "sample" else [face]
    profile = "ffhq256-inpaint" if command == "inpaint" else "ffhq512"
    status, errors = run(command, *given, "-o", tmp_path / "out", "--profile", profile, *options)
    assert status == 2 and len(errors) == 1


def test_a_full_disk_is_one_line_and_leaves_nothing(run, face, tmp_path, monkeypatch):
    def full(self, fp, **kwargs):
        fp.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    status, errors = run("restore", face, "-o", tmp_path / "out", "--fast")
    assert status == 1 and len(errors) == 1 and "No space left" in errors[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_checkpoint_of_another_network(run, tmp_path):
    torch.save({"state_dict": {"layer.weight": torch.zeros(2, 2)}}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    small_unet().save_pretrained(tmp_path / "diffusers")
    for file in ("other.pth", "text.pth", "diffusers/diffusion_pytorch_model.safetensors"):
        status, errors = run("convert", tmp_path / file, "-o", tmp_path / "out", "--kind", "unet")
        assert status in (1, 2) and len(errors) == 1 and str(tmp_path / file) in errors[0]
    assert not (tmp_path / "out").exists()


def test_missing_weights_name_the_command(run, face, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setattr(
        "requests.Session.send",
        lambda *a, **k: (_ for _ in ()).throw(__import__("requests").ConnectionError("offline")),
    )
    status, errors = run("restore", face, "-o", tmp_path / "out", "--profile", "ffhq512")
    assert status == 1 and len(errors) == 1 and "swinir_restoration512_L1.pth" in errors[0]


def test_nothing_to_fetch_is_said(capsys):
    assert cli.main(["fetch", "tiny"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_fetch_lists(run, capsys):
    assert cli.main(["fetch"]) == 0
    listed = capsys.readouterr().out
    assert "swinir_restoration512_L1.pth" in listed and "S-Lab" in listed
