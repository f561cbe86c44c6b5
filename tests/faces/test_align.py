"""Faces are aligned to the template, and pasted back where they were."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.transform import SimilarityTransform

from difface import faces
from difface.faces.align import JITTER_ANGLE, JITTER_SCALE, JITTER_SHIFT
from eval.gallery import ASTRONAUT_POINTS, astronaut_face


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


def test_jittered_points_are_moved_together_and_as_far_as_stated():
    points = faces.FFHQ_TEMPLATE * 200 + 37
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        moved = faces.jittered(points, rng)
        assert np.allclose((transform := SimilarityTransform.from_estimate(points, moved))(points), moved)
        shift = (moved - points).mean(0) / 200
        found.append([transform.scale - 1, transform.rotation, *shift])
    expected = [JITTER_SCALE, JITTER_ANGLE, JITTER_SHIFT, JITTER_SHIFT]
    assert np.allclose(np.std(found, 0), expected, rtol=0.06)
    assert np.abs(np.mean(found, 0)).max() < 0.003


def test_paste_outside_the_photo_changes_nothing_there():
    photo = np.full((40, 40, 3), 100, np.uint8)
    white = np.full((64, 64, 3), 255, np.uint8)
    faces.paste(photo, white, faces.FFHQ_TEMPLATE * 60 + 200)
    assert (photo == 100).all()
    faces.paste(photo, white, faces.FFHQ_TEMPLATE * 60 - 30)
    assert photo[0, 0, 0] == 255 and (photo[35:, 35:] == 100).all()


def test_points_that_are_all_one_are_refused(astronaut_photo):
    with pytest.raises(ValueError, match="must be different ones; got .*3.0"):
        faces.align(astronaut_photo, np.full((5, 2), 3.0), 64)
