"""N by how bad a face is: the law, the limit, and `restore --start auto`."""

import json

import pytest
import torch
from conftest import generators
from PIL import Image

from difface import build_scheduler, images, profiles
from difface.degradation import degrade, level
from difface.start import LEAST, MOST, TOLERATED, Doubt

DOUBT = profiles.profile("tiny").doubts["swinir"]


def test_the_expected_error_is_the_law_of_how_far_the_picture_was_moved():
    y = torch.full((2, 3, 8, 8), 0.5)
    estimates = torch.stack([y[0] + 0.1, y[1]])
    moved = (2 * 0.1) ** 2  # in [-1, 1]
    assert Doubt(0.3, 0.7).error(y, estimates)[0] == pytest.approx(0.3 * moved**0.7, rel=1e-5)
    assert Doubt(0.3, 0.7).error(y, estimates)[1] == 0


@pytest.mark.parametrize("apart", [0.01, 0.03, 0.08, 0.2])
def test_n_is_the_smallest_that_the_limit_tolerates(apart):
    """kappa_N / 2 times the error of a value, against betas that are summed up here."""
    y = torch.full((1, 3, 8, 8), 0.3)
    (n,) = DOUBT.begin_index(y, y + apart)
    abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    kl = abar / (1 - abar) / 2 * DOUBT.factor * (4 * apart**2) ** DOUBT.power
    assert LEAST <= n <= MOST
    assert kl[n] <= TOLERATED or n == MOST
    assert kl[n - 1] > TOLERATED or n == LEAST
    assert DOUBT.begin_index(y, y + apart, 1e-9) == [MOST] and DOUBT.begin_index(y, y + apart, 1e9) == [LEAST]


def test_the_worse_a_face_is_the_larger_its_n(tiny, astronaut_face):
    clean = images.to_tensors(astronaut_face)[0]
    levels = [level(64, name) for name in ("mild", "middle", "severe")]
    given = [degrade(clean, of, torch.Generator().manual_seed(0)) for of in levels]
    starts = tiny.begin_indices(given, DOUBT)
    assert starts[0] < starts[1] < starts[2]
    assert [tiny.begin_indices([one], DOUBT)[0] for one in given] == starts, "a batch is its singles"


def test_a_pipeline_that_fills_holes_has_no_such_n(astronaut_face):
    lama = profiles.load("tiny", "lama", device="cpu")
    with pytest.raises(ValueError, match="without a mask"):
        lama.begin_indices(astronaut_face, DOUBT)


def test_each_picture_of_a_command_gets_its_own(run, tmp_path, astronaut_face, tiny):
    clean = images.to_tensors(astronaut_face)[0]
    bad = degrade(clean, level(64, "severe"), torch.Generator().manual_seed(0))
    (tmp_path / "in").mkdir()
    for name, picture in (("a_clean", clean), ("b_bad", bad), ("c_clean", clean)):
        images.write(images.to_pil(picture), tmp_path / "in" / f"{name}.png")
    given = [images.read(file) for file in sorted((tmp_path / "in").iterdir())]
    wanted = tiny.begin_indices(given, DOUBT)
    options = ("--profile", "tiny", "--dtype", "float32", "--device", "cpu", "--aligned", "--fast")
    assert run("restore", tmp_path / "in", "-o", tmp_path / "out", "--start", "auto", *options)[0] == 0
    written = [Image.open(file) for file in sorted((tmp_path / "out").iterdir())]
    assert [json.loads(picture.text["difface"])["begin_index"] for picture in written] == wanted
    assert wanted[0] == wanted[2] < wanted[1]
    tiny.scheduler = build_scheduler("dpm++")
    tiny.set_begin_index(wanted[1])
    try:
        alone = tiny(given[1], generator=generators(0)).images[0]
    finally:
        tiny.scheduler = build_scheduler("ddim")
        tiny.set_begin_index(250)
    assert written[1].tobytes() == alone.tobytes()


def test_a_photo_starts_where_its_worst_face_does(run, tmp_path, astronaut_photo, no_weights):
    from difface import faces

    astronaut_photo.save(tmp_path / "photo.png")
    options = ("--profile", "tiny", "--device", "cpu", "--dtype", "float32", "--photo", "--large", "--fast")
    assert run("restore", tmp_path / "photo.png", "-o", tmp_path / "out", "--start", "auto", *options)[0] == 0
    told = json.loads(Image.open(tmp_path / "out" / "photo.png").text["difface"])
    (face,) = faces.find_faces(astronaut_photo)
    pipeline = profiles.load("tiny", device="cpu")
    wanted = pipeline.begin_indices([faces.align(astronaut_photo, face.points, 64)], DOUBT)
    assert [told["begin_index"]] == wanted


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--start", "soon"), "--start must be a whole number in 1..1000, or auto; got 'soon'"),
        (
            ("--start", "auto", "--estimator", "srcnn"),
            "how far off the estimator 'srcnn' of 'tiny' is",
        ),
        (("--start", "auto", "--steps", "5"), "N = 100 leaves"),
        (("--start", "0"), "N must be a whole number in 1..1000; got 0"),
    ],
)
def test_what_cannot_be_is_one_line(run, face, tmp_path, arguments, says):
    status, errors = run("restore", face, "-o", tmp_path / "out", "--profile", "tiny", *arguments)
    assert status == 2 and len(errors) == 1 and says in errors[0]
