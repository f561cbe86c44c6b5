"""Whole photos: faces change, the rest does not."""

import numpy as np
import pytest
from PIL import Image

from difface import DifFacePipeline, build_scheduler, cli, faces, images
from difface.photo import restore_photo


@pytest.fixture(scope="module")
def group(astronaut_photo) -> Image.Image:
    """Two small faces on one photo."""
    small = astronaut_photo.resize((200, 200))
    canvas = Image.new("RGB", (440, 220), (120, 130, 140))
    canvas.paste(small, (10, 10))
    canvas.paste(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (230, 10))
    return canvas


@pytest.fixture
def fast(tiny) -> DifFacePipeline:
    pipeline = DifFacePipeline(**(tiny.components | {"scheduler": build_scheduler("dpm++")}))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_faces_change_and_nothing_else(onnx, fast, group):
    result, info = restore_photo(fast, group)
    before, after = (np.asarray(photo, float) for photo in (group, result))
    assert info["faces"] == 2 and info["notes"] == [] and result.size == group.size
    changed = np.abs(after - before).sum(2) > 0
    for face in faces.find_faces(group):
        left, top, right, bottom = (int(side) for side in face.box)
        assert changed[top:bottom, left:right].mean() > 0.9
    assert not changed[:, :20].any() and not changed[150:].any()


def test_grey_stays_grey_and_large_faces_stay(onnx, fast, group, astronaut_photo):
    grey = group.convert("L").convert("RGB")
    result, info = restore_photo(fast, grey)
    assert info["faces"] == 2 and np.ptp(np.asarray(result).astype(int), axis=2).max() == 0
    result, info = restore_photo(fast, astronaut_photo)
    assert info["faces"] == 0 and "left as they are" in info["notes"][0]
    assert np.array_equal(np.asarray(result), np.asarray(astronaut_photo))


def test_on_the_command_line(onnx, group, tmp_path, capsys):
    group.save(tmp_path / "group.png")
    Image.new("RGB", (200, 200), (90, 120, 60)).save(tmp_path / "meadow.png")
    photos = [str(tmp_path / name) for name in ("group.png", "meadow.png")]
    assert cli.main(["restore", *photos, "--photo", "--fast", "-o", str(tmp_path / "out")]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 2 and "meadow.png" in errors[0] and "no face" in errors[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["group.png"]
    assert images.read(tmp_path / "out" / "group.png").size == group.size
