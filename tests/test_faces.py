"""Faces are found where they are and aligned to the template."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from difface import faces
from eval.gallery import ASTRONAUT_POINTS, astronaut_face


def test_astronaut_is_found(onnx, astronaut_photo):
    found = faces.find_faces(astronaut_photo)
    assert len(found) == 1 and found[0].score > 0.7
    assert np.abs(found[0].points - ASTRONAUT_POINTS).max() < 2


def test_small_photos_are_enlarged_for_detection(onnx, astronaut_photo):
    found = faces.find_faces(astronaut_photo.crop((140, 0, 310, 250)).resize((68, 100)))
    assert len(found) == 1
    assert np.abs(found[0].points - (ASTRONAUT_POINTS - [140, 0]) * 0.4).max() < 2


def test_nothing_where_there_is_no_face(onnx):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    assert faces.find_faces(Image.fromarray(noise)) == []


def test_without_weights_the_cascade_finds_the_face_by_its_box(monkeypatch, tmp_path, astronaut_photo):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    assert faces.detector_name() == "LBP cascade"
    (face,) = faces.find_faces(astronaut_photo)
    left, top, right, bottom = face.box
    assert face.points is None and 0.5 <= face.score <= 1
    assert all(left < x < right and top < y < bottom for x, y in ASTRONAUT_POINTS)


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("zoom", [0.5, 1.0, 3.3])
def test_points_land_on_the_template(turn, zoom):
    """A photo with a dot at each point, turned and scaled: the dots are at the template's places in the crop."""
    size = 128
    rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (faces.FFHQ_TEMPLATE - 0.5) * size @ rotation.T + 300
    y, x = np.mgrid[:600, :600]
    width = max(2.0 * zoom, 1.5)
    photo = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 2 / width**2) for px, py in points)
    crop = faces.align(Image.fromarray((255 * photo.clip(0, 1)).astype(np.uint8)), points, size)
    values = np.asarray(crop, float)[:, :, 0]
    v, u = np.mgrid[:size, :size]
    for px, py in faces.FFHQ_TEMPLATE * size:
        near = values * (np.hypot(u - px, v - py) < 8)
        assert abs((near * u).sum() / near.sum() - px) < 0.3 and abs((near * v).sum() / near.sum() - py) < 0.3


def test_shrinking_does_not_alias():
    """A fine checkerboard averages to grey."""
    board = (np.indices((800, 800)).sum(0) % 2 * 255).astype(np.uint8)
    points = (faces.FFHQ_TEMPLATE - 0.5) * 500 + 400.3
    crop = np.asarray(faces.align(Image.fromarray(board), points, 64), float)
    assert abs(crop - 127.5).max() < 12


def test_astronaut_face():
    assert astronaut_face().size == (64, 64)


@pytest.mark.parametrize("size", [64, 128, 256, 640])
def test_paste_is_the_inverse_of_align(astronaut_photo, size):
    """A crop that is pasted back unchanged lies where it was, to a small part of a pixel, and touches nothing else."""
    photo = np.asarray(astronaut_photo)
    crop = np.asarray(faces.align(astronaut_photo, ASTRONAUT_POINTS, size))
    changed = photo.copy()
    faces.paste(changed, crop, ASTRONAUT_POINTS)
    pasted = changed.astype(float)
    inner = (slice(80, 160), slice(180, 270))
    for axis in (0, 1):
        offsets = [np.eye(3)[axis] * step for step in (-0.25, 0, 0.25)]
        errors = [np.abs(ndimage.shift(pasted, offset, order=1) - photo)[inner].mean() for offset in offsets]
        assert errors[1] < min(errors) + 1e-9 and abs(errors[0] - errors[2]) < 0.2
    difference = np.abs(pasted - photo)
    assert difference[:, 320:].max() == 0 and difference[300:].max() == 0


def test_side_is_that_of_the_aligned_square():
    points = faces.FFHQ_TEMPLATE * 200 + 37
    assert abs(faces.Face((0, 0, 1, 1), points, 1.0).side - 200) < 1e-6
    with pytest.raises(ValueError, match="no face"):
        faces.largest([])
