"""Faces are found however they are turned, and what contradicts itself is left alone."""

from itertools import combinations
from pathlib import Path

import insightface
import numpy as np
import pytest
from PIL import Image

from difface import faces, images
from difface.faces.photo import restore_photo
from eval.gallery import ASTRONAUT_POINTS


def turned(photo: Image.Image, points: np.ndarray, angle: float) -> tuple[Image.Image, np.ndarray]:
    """A photo turned clockwise by so many degrees, and its points there."""
    result = photo.rotate(-angle, expand=True, resample=Image.Resampling.BICUBIC)
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    middle, place = ((np.array(picture.size) - 1) / 2 for picture in (photo, result))
    return result, (points - middle) @ np.array([[cosine, sine], [-sine, cosine]]) + place


@pytest.mark.parametrize("angle", [0, 30, 45, 60, 90, 135, 180, 215, 270, 330])
def test_a_face_is_found_at_every_angle(detector, astronaut_photo, angle):
    """By its true points: an inverted face does not get upright ones."""
    photo, points = turned(astronaut_photo, ASTRONAUT_POINTS, angle)
    (face,) = faces.find_faces(photo)
    assert np.linalg.norm(face.points - points, axis=1).mean() < 0.15 * 43
    assert abs((face.turn - angle + 180) % 360 - 180) < 12


def test_a_tilted_face_has_the_same_points_whichever_way_it_is_tilted(detector, astronaut_photo):
    """Its points, mapped back, differ by less than a thirtieth of the distance of the eyes (43 pixels)."""
    back = []
    for angle in (-25, 15, 25):
        (face,) = faces.find_faces(turned(astronaut_photo, ASTRONAUT_POINTS, angle)[0])
        corners = np.array([[0, 0], [1, 0], [0, 1]]) * (np.array(astronaut_photo.size) - 1)
        there = turned(astronaut_photo, corners, angle)[1]
        back.append(np.linalg.solve(np.c_[there, np.ones(3)], corners).T @ np.c_[face.points, np.ones(5)].T)
    for one, other in combinations(back, 2):
        assert np.linalg.norm(one - other, axis=0).mean() < 43 / 30


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_photo_has_the_same_faces(detector, quarters):
    """To the pixel, at quarters of a turn: the small faces of a group photo on its side or upside down."""
    photo = images.read(Path(insightface.__file__).parent / "data" / "images" / "t1.jpg").resize((640, 443))
    upright = faces.find_faces(photo)
    on_its_side = faces.find_faces(photo.rotate(-90 * quarters, expand=True))
    assert len(upright) == len(on_its_side) == 6
    for face in upright:
        _, points = turned(photo, face.points, 90 * quarters)
        assert min(np.abs(other.points - points).max() for other in on_its_side) < 3


@pytest.mark.parametrize("turn", [0, 180])
def test_real_photos_have_all_their_faces(testdata, detector, turn):
    """Counted by eye, 51 in all; each is turned as its photo is, up to a tilted head."""
    folder = testdata / "realworld" / "whole_imgs"
    counts = {"00.jpg": 4, "01.jpg": 4, "02.png": 4, "03.png": 2, "04.jpg": 1, "05.jpg": 1}
    counts |= {"Solvay_conference_1927.png": 29}
    photos = {folder / name: count for name, count in counts.items()}
    photos[Path(insightface.__file__).parent / "data" / "images" / "t1.jpg"] = 6
    for path, count in photos.items():
        found = faces.find_faces(images.read(path).rotate(turn))
        assert len(found) == count, path.name
        assert all(abs((face.turn - turn + 180) % 360 - 180) < 45 for face in found)


def test_detectors_agree_on_the_points(testdata, onnx, monkeypatch, tmp_path):
    """CenterFace's lie on SCRFD's, to a tenth of the distance of the eyes on the average."""
    photo = images.read(testdata / "realworld" / "whole_imgs" / "Solvay_conference_1927.png")
    expected = faces.find_faces(photo)
    for name in ("DIFFACE_WEIGHTS", "DIFFACE_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    points = np.array([face.points for face in faces.find_faces(photo)])
    errors = []
    for face in expected:
        eyes = np.linalg.norm(face.points[1] - face.points[0])
        errors.append(np.linalg.norm(points - face.points, axis=2).mean(1).min() / eyes)
    assert np.mean(errors) < 0.1 and max(errors) < 0.25


def test_a_face_that_is_its_own_inverse_is_left_alone(detector, tiny, astronaut_photo):
    """Exposed twice, once upside down: no way is up."""
    crop = np.asarray(faces.align(astronaut_photo, ASTRONAUT_POINTS, 200))
    photo = Image.new("RGB", (300, 300), (120, 130, 140))
    photo.paste(Image.fromarray(np.maximum(crop, crop[::-1, ::-1])), (50, 50))
    (face,) = faces.find_faces(photo)
    assert face.points is None and face.turn is None and face.score > 0.7
    result, info = restore_photo(tiny, photo, [face], num_inference_steps=20, large=True)
    assert info["faces"] == 0 and "turn it upright" in info["notes"][0]
    assert np.array_equal(np.asarray(result), np.asarray(photo))
    with pytest.raises(images.ImageError, match="turn it upright"):
        faces.largest([face])
