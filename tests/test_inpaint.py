"""`python -m difface inpaint` and the page's tab: whose pixels results hold, where masks come from, what is refused."""

import json
import re
import socket
from base64 import b64decode
from dataclasses import replace
from functools import partial
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from difface import masks, metadata, profiles

FEW = ("--steps", "10", "--device", "cpu")


@pytest.fixture
def run(run):
    """Run this command."""
    return partial(run, "inpaint")


@pytest.fixture
def case(tmp_path, astronaut_face) -> tuple[np.ndarray, np.ndarray]:
    """in/face.png of 100 x 100 pixels with a black hole, mask.png of the hole; the picture and where it is missing."""
    levels = np.maximum(np.asarray(astronaut_face.resize((100, 100))), 30)
    hole = np.zeros((100, 100), bool)
    hole[30:57, 41:80] = True
    levels[hole] = 0
    (tmp_path / "in").mkdir()
    Image.fromarray(levels).save(tmp_path / "in" / "face.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    return levels, hole


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_known_pixels_are_the_callers_bytes_and_seeds_differ_in_the_hole_only(run, case, tmp_path):
    levels, hole = case
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--samples", 2, *FEW) == (0, [])
    one, two = (read(tmp_path / "out" / f"face_s{k}.png") for k in (1, 2))
    assert np.array_equal(one[~hole], levels[~hole]) and np.array_equal(two[~hole], levels[~hole])
    assert (one[hole] != two[hole]).mean() > 0.5 and one[hole].any()
    made = Image.open(tmp_path / "out" / "face_s2.png").text
    settings = json.loads(made["difface"])
    assert "AI-restored" in made["Comment"]
    assert (settings["begin_index"], settings["eta"], settings["seed"]) == (480, 1.0, 1)
    assert (settings["rule"], settings["gamma"], settings["composite"]) == ("step", "0.5", True)


def test_auto_file_and_folder_are_the_same_mask(run, case, tmp_path):
    (tmp_path / "masks").mkdir()
    Image.open(tmp_path / "mask.png").save(tmp_path / "masks" / "face.bmp")
    for name, given in (("auto", "auto"), ("file", tmp_path / "mask.png"), ("folder", tmp_path / "masks")):
        assert run(tmp_path / "in", "-o", tmp_path / name, "--mask", given, "--seed", 3, *FEW) == (0, [])
    results = [(tmp_path / name / "face.png").read_bytes() for name in ("auto", "file", "folder")]
    assert results[0] == results[1] == results[2]


def test_without_composite(run, case, tmp_path, astronaut_face):
    """At the model's own size known pixels survive the chain; with gamma 0 they do not."""
    levels, hole = np.maximum(np.asarray(astronaut_face), 30), np.zeros((64, 64), bool)
    hole[20:40, 20:40] = True
    levels[hole] = 0
    Image.fromarray(levels).save(tmp_path / "in" / "face.png")
    common = (tmp_path / "in", "--no-composite", *FEW)
    assert run(*common, "-o", tmp_path / "exact", "--rule", "closed", "--gamma", "inf") == (0, [])
    assert run(*common, "-o", tmp_path / "free", "--gamma", 0) == (0, [])
    assert np.array_equal(read(tmp_path / "exact" / "face.png")[~hole], levels[~hole])
    assert abs(read(tmp_path / "free" / "face.png")[~hole].astype(int) - levels[~hole]).mean() > 5
    assert json.loads(Image.open(tmp_path / "exact" / "face.png").text["difface"])["gamma"] == "inf"


def test_a_batch_goes_on_past_pictures_without_a_hole(run, case, tmp_path, astronaut_face):
    astronaut_face.point(lambda level: max(level, 30)).save(tmp_path / "in" / "whole.png")
    Image.open(tmp_path / "in" / "face.png").save(tmp_path / "in" / "lossy.jpg")
    status, errors = run(tmp_path / "in", "-o", tmp_path / "out", *FEW)
    assert status == 1 and len(errors) == 3 and "2 of 3" in errors[-1]
    assert all("--mask FILE" in line for line in errors[:2])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["face.png"]


def test_a_mask_of_another_size_or_none_in_the_folder(run, case, tmp_path):
    Image.new("1", (50, 50)).save(tmp_path / "small.png")
    status, errors = run(tmp_path / "in", "-o", tmp_path / "out", "--mask", tmp_path / "small.png", *FEW)
    assert status == 1 and "its mask is 50x50 and the picture 100x100" in errors[0]
    (tmp_path / "masks").mkdir()
    status, errors = run(tmp_path / "in", "-o", tmp_path / "out", "--mask", tmp_path / "masks", *FEW)
    assert status == 1 and "face.png is accepted: add it" in errors[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rule", "open"], "'step' or 'closed'"),
        (["--gamma", "0.6"], "[0, 0.5]"),
        (["--gamma", "-1", "--rule", "closed"], "[0, inf]"),
        (["--mask", "absent.png"], "does not exist"),
        (["--start", "0"], "1..1000"),
        (["--profile", "imagenet256-sr"], "no inpainting estimator"),
    ],
)
def test_bad_options_are_one_line_and_status_2(run, case, tmp_path, arguments, says):
    status, errors = run(tmp_path / "in", "-o", tmp_path / "out", *arguments)
    assert status == 2 and len(errors) == 1 and says in errors[0]
    assert not (tmp_path / "out").exists()


def test_a_profile_without_the_estimator_says_what_to_do(run, case, tmp_path, monkeypatch):
    monkeypatch.setitem(profiles.PROFILES, "tiny", replace(profiles.PROFILES["tiny"], inpainting={}))
    status, errors = run(tmp_path / "in", "-o", tmp_path / "out")
    assert status == 2 and "--profile small" in errors[0] and "--task inpaint" in errors[0]


def test_profiles_keep_inpainting_estimators_apart():
    """An estimator that needs a mask is not offered for restoration."""
    assert profiles.inpainting_estimator("ffhq256-inpaint") == "lama"
    assert "lama" not in profiles.PROFILES["tiny"].estimators
    with pytest.raises(ValueError, match="'ffhq512' has no inpainting estimator"):
        profiles.inpainting_estimator("ffhq512")


BEFORE_AND_AFTER, ESTIMATE, SUMMARY, FILE, BESIDE, FILES = range(6)
"""What the page's /inpaint returns."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A client of the page, with the embedded models."""
    pytest.importorskip("gradio", reason="gradio is not installed")
    import gradio_client

    import app

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    blocks = app.build("tiny", tmp_path_factory.mktemp("examples"))
    app.serve(blocks, port, prevent_thread_lock=True, quiet=True)
    yield gradio_client.Client(f"http://127.0.0.1:{port}", verbose=False, analytics_enabled=False)
    blocks.close(verbose=False)


def paint(path) -> dict:
    """A mask file as the painted layer."""
    from gradio_client import handle_file

    return {"background": None, "layers": [handle_file(path)], "composite": None}


def ask(page, name: str, path, **fields):
    from gradio_client import handle_file

    return page.predict(face=handle_file(path), aligned=True, api_name=name, **fields)


@pytest.mark.parametrize("kind", ["box", "irregular", "half", "expand"])
def test_the_page_paints_the_masks_of_the_four_kinds(page, case, tmp_path, kind):
    value = ask(page, "/mask", tmp_path / "in" / "face.png", kind=kind, mask_seed=5)
    (layer,) = (Image.open(BytesIO(b64decode(address.partition(",")[2]))) for address in value["layers"])
    wanted = masks.MASKS[kind](torch.Generator().manual_seed(5)).paint(100)[0, 0].numpy()
    assert layer.size == (512, 512)
    painted = layer.getchannel("A").resize((100, 100), Image.Resampling.NEAREST)
    assert np.array_equal(np.asarray(painted) == 255, wanted == 1)


def test_the_page_fills_in_as_the_command_does(page, run, case, tmp_path):
    """A black hole that is found is filled with the command's own bytes; the rest stays; the file says what made it."""
    levels, hole = case
    face = tmp_path / "in" / "face.png"
    mask = ask(page, "/mask", face, kind="auto", mask_seed=0)
    result = ask(page, "/inpaint", face, painted=mask, steps=20, start=480, seed=3)
    assert "11% of the face was missing" in result[SUMMARY]
    assert run(face, "-o", tmp_path / "out", "--seed", 3, "--steps", 20, "--device", "cpu") == (0, [])
    assert np.abs(read(result[FILE]).astype(int) - read(tmp_path / "out" / "face.png")).max() <= 1
    assert np.array_equal(read(result[FILE])[~hole], levels[~hole])
    made = json.loads(Image.open(result[FILE]).text["difface"])
    assert (made["rule"], made["gamma"], made["composite"], made["eta"], made["seed"]) == ("step", "0.5", True, 1.0, 3)
    shown, _, pair, moving = (Image.open(path) for path in result[FILES])
    assert shown.size == (512, 512) and pair.size == (1032, 512) and moving.size == (256, 256)
    assert moving.n_frames == 2 + 9  # of the ten calls of N = 480 and 20 steps the last is the result
    for picture, seen in zip((pair.crop((0, 0, 512, 512)), shown), result[BEFORE_AND_AFTER], strict=True):
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - read(seen)).mean() < 3
    assert all("AI-restored" in metadata.text_of(picture)["Comment"] for picture in (shown, pair))
    other = ask(page, "/inpaint", face, painted=mask, steps=20, seed=4)
    differs = (read(other[FILE]) != read(result[FILE])).any(2)
    assert differs[hole].mean() > 0.5 and not differs[~hole].any()


def test_the_page_takes_gamma_and_leaves_the_composite_out(page, case, tmp_path):
    levels, hole = case
    common = dict(painted=paint(tmp_path / "mask.png"), steps=20, composite=False)
    free = ask(page, "/inpaint", tmp_path / "in" / "face.png", rule="closed", gamma="0", **common)
    held = ask(page, "/inpaint", tmp_path / "in" / "face.png", rule="closed", gamma="inf", **common)
    away, near = (np.abs(read(answer[FILE])[~hole].astype(int) - levels[~hole]).mean() for answer in (free, held))
    assert near < 0.7 * away


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"painted": None}, "nothing is marked as missing"),
        ({"painted": "black"}, "nothing is marked as missing"),
        ({"painted": "white"}, "the whole picture is marked"),
        ({"painted": "wide"}, "the same shape is accepted"),
        ({"painted": "text"}, "the painted mask is no picture"),
        ({"painted": {"layers": ["data:image/png;base64,bm9uZQ=="]}}, "the painted mask is no picture"),
        ({"painted": {"layers": ["data:image/png;base64,?"]}}, "the request does not fit this page"),
        ({"painted": {"layers": ["/etc/passwd"]}}, "the request does not fit this page"),
        ({"gamma": "0.6"}, "in [0, 0.5]"),
        ({"gamma": "much"}, "a number or inf is accepted"),
        ({"start": 60, "steps": 20, "seed": None}, "the seed is empty"),
    ],
)
def test_the_page_refuses_in_one_line(page, case, tmp_path, fields, says):
    from gradio_client.exceptions import AppError

    Image.new("L", (100, 100)).save(tmp_path / "black.png")
    Image.new("L", (100, 100), 255).save(tmp_path / "white.png")
    Image.new("L", (200, 100), 255).save(tmp_path / "wide.png")
    (tmp_path / "text.png").write_text("no picture")
    given = {"painted": "mask"} | fields
    if isinstance(given["painted"], str):
        given["painted"] = paint(tmp_path / f"{given['painted']}.png")
    with pytest.raises(AppError) as caught:
        ask(page, "/inpaint", tmp_path / "in" / "face.png", **given)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_black_holes_that_are_doubtful_are_to_be_painted(page, case, tmp_path):
    from gradio_client.exceptions import AppError

    Image.open(tmp_path / "in" / "face.png").save(tmp_path / "lossy.jpg")
    with pytest.raises(AppError, match="black may not be exact.*: paint over what is missing"):
        ask(page, "/mask", tmp_path / "lossy.jpg", kind="auto", mask_seed=0)


def test_the_page_says_what_is_missing(monkeypatch, tmp_path):
    app = pytest.importorskip("app", reason="gradio is not installed")
    monkeypatch.setitem(profiles.PROFILES, "tiny", replace(profiles.PROFILES["tiny"], inpainting={}))
    shown = [part["props"].get("value") for part in app.build("tiny", tmp_path).config["components"]]
    (line,) = [text for text in shown if isinstance(text, str) and "has no inpainting estimator" in text]
    assert "--task inpaint" in line and "\n" not in line


def test_another_method_fills_the_same_face_beside_ours(page, case, tmp_path):
    """By choice, with its name and its seconds; both leave the known pixels alone, and they differ where they drew."""
    _, hole = case
    known = ~np.asarray(Image.fromarray(hole).resize((512, 512), Image.Resampling.NEAREST))
    given = dict(painted=paint(tmp_path / "mask.png"), steps=20)
    assert ask(page, "/inpaint", tmp_path / "in" / "face.png", **given)[BESIDE] == []
    ours, theirs = ask(page, "/inpaint", tmp_path / "in" / "face.png", rival="ddrm", **given)[BESIDE]
    assert re.fullmatch(r"DifFace: \d+\.\d s", ours["caption"]) and re.fullmatch(r"DDRM: \d+\.\d s", theirs["caption"])
    one, other = (read(part["image"]).astype(int) for part in (ours, theirs))
    inside = np.asarray(Image.fromarray(hole).resize((512, 512), Image.Resampling.BILINEAR)) > 0
    assert np.abs(one - other)[~inside & known].mean() < 0.5 < 3 < np.abs(one - other)[~known].mean()
    assert json.loads(Image.open(theirs["image"]).text["difface"])["method"] == "DDRM"
