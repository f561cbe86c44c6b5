"""`--method NAME` of `difface restore` and `difface inpaint`."""

import json

import numpy as np
import pytest
from PIL import Image


def test_inpaint(run, face, tmp_path, astronaut_face):
    hole = np.zeros((64, 64), np.uint8)
    hole[20:40, 24:44] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    command = ("inpaint", face, "--mask", tmp_path / "hole.png", "--method", "ddrm", "--steps", 4, "--samples", 2)
    assert run(*command, "-o", tmp_path / "out") == (0, [])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["face_s1.png", "face_s2.png"]
    first, second = (np.asarray(Image.open(tmp_path / "out" / f"face_s{k}.png"), int) for k in (1, 2))
    given = np.asarray(astronaut_face, int)
    assert (first == given)[hole == 0].all() and abs(first - given)[hole > 0].mean() > 3
    assert abs(first - second)[hole > 0].max() > 3
    settings = json.loads(Image.open(tmp_path / "out" / "face_s2.png").text["difface"])
    assert settings == {"profile": "tiny", "seed": 1, "method": "DDRM"}


def test_restore_small_pictures_and_go_on_past_others(run, face, tmp_path, astronaut_face):
    astronaut_face.resize((16, 16), Image.Resampling.BOX).save(tmp_path / "small.png")
    command = ("restore", tmp_path / "small.png", face, "--method", "ddnm", "--scale", 4, "--steps", 4)
    status, errors = run(*command, "-o", tmp_path / "out")
    assert status == 1 and "the picture is 64x64 pixels; 16 on each side are accepted" in errors[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.png"]
    enlarged = Image.open(tmp_path / "out" / "small.png")
    means = np.asarray(enlarged.resize((16, 16), Image.Resampling.BOX), int)
    assert enlarged.size == (64, 64) and abs(means - np.asarray(Image.open(tmp_path / "small.png"), int)).mean() < 2


def test_restore_blind(run, face, tmp_path):
    assert run("restore", face, "--method", "dr2", "-o", tmp_path / "out", "--steps", 60) == (0, [])
    assert Image.open(tmp_path / "out" / "face.png").size == (64, 64)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("restore", "--method", "magic"), "the method 'magic' is unknown; difface, repaint, ddrm"),
        (("restore", "--method", "repaint"), "RePaint takes a picture with `mask=`"),
        (("inpaint", "--method", "ilvr"), "ILVR takes a small picture with `scale=` or a degraded picture alone"),
        (("restore", "--method", "ilvr", "--eta", 0.2), "--method ilvr has settings of its own; got --eta"),
        (("restore", "--method", "ilvr", "--start", 0), "got --start"),
        (("inpaint", "--method", "ddrm", "--gamma", 0.1), "got --gamma"),
        (("inpaint", "--method", "ddrm", "--steps", 30), "`steps` must divide 1000; got 30"),
        (("inpaint", "--method", "score-sde", "--steps", 30), "always takes the same steps"),
        (("restore", "--scale", 4), "--scale is for --method"),
    ],
)
def test_refusals(run, face, tmp_path, arguments, says):
    command, *options = arguments
    status, errors = run(command, face, *options, "-o", tmp_path / "out")
    assert status == 2 and len(errors) == 1 and says in errors[0]
    assert not (tmp_path / "out").exists()
