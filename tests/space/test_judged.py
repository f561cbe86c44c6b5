"""What is said of a picture before it is restored, and the square that a visitor puts on a face."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from difface import faces, images
from difface.faces.photo import is_sharp
from eval.gallery import ASTRONAUT_POINTS
from space import judged, shared

SIZE = 64


@pytest.fixture
def wall(tmp_path) -> str:
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "wall.png")
    return str(tmp_path / "wall.png")


def test_without_a_face_a_square_is_offered(no_weights, wall):
    text, column = judged.looker(SIZE)(wall, False)
    assert "No face was found by CenterFace" in text and "Put the square on the face" in text and column["visible"]
    text, column = judged.looker(SIZE)(wall, True)  # by the visitor's choice
    assert text == "" and not column["visible"]


def test_a_small_square_picture_without_a_face_is_none_unless_the_visitor_says_so(no_weights):
    """The command line takes it as a face; the page asks."""
    blank = Image.new("RGB", (SIZE, SIZE), "grey")
    with pytest.raises(images.ImageError, match="no face was found by CenterFace"):
        shared.aligned_face(blank, False, SIZE)
    assert shared.aligned_face(blank, True, SIZE) == (blank, "")


def test_a_face_is_named_with_its_detector_and_its_score(detector, astronaut_photo, tmp_path):
    astronaut_photo.save(tmp_path / "a.png")
    text, column = judged.looker(SIZE)(str(tmp_path / "a.png"), False)
    assert f"One face was found by {detector}" in text and "sure)" in text and not column["visible"]
    assert "softer than it is" in text  # 190 sharp pixels for a model of 64


def test_a_doubtful_face_is_called_so(monkeypatch, tmp_path):
    points = faces.FFHQ_TEMPLATE * 50 + 60
    monkeypatch.setattr(faces, "find_faces", lambda *_, **__: [faces.Face((70, 70, 100, 100), points, 0.51)])
    monkeypatch.setattr("difface.routing.find_faces", faces.find_faces)
    Image.new("RGB", (300, 200), "white").save(tmp_path / "a.png")
    text, _ = judged.looker(SIZE)(str(tmp_path / "a.png"), False)
    assert "51% sure" in text and "doubtful" in text and "softer" not in text


def test_a_blurred_face_is_not_sharp_however_large(astronaut_photo):
    face = faces.align(astronaut_photo, ASTRONAUT_POINTS, 190)
    assert is_sharp(face, SIZE)
    assert not is_sharp(face.resize((40, 40)).resize((400, 400)), SIZE)
    assert not is_sharp(face.resize((SIZE, SIZE)), SIZE)  # no larger than what the model draws


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ((50, 50, 100), (50, 0, 250, 200)),
        ((0, 0, 50), (0, 0, 100, 100)),
        ((100, 100, 50), (200, 100, 300, 200)),
        ((50, 50, 5), (145, 95, 155, 105)),
    ],
)
def test_the_square_stays_in_the_picture(place, wanted):
    assert judged.square_of(300, 200, *place) == wanted


def test_what_is_in_the_square_is_cut_out_in_full_detail(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "party.png")
    path, aligned = judged.cut_square(str(tmp_path / "party.png"), 50, 50, 50)
    assert aligned and path.endswith("party_face.png")
    assert np.array_equal(np.asarray(Image.open(path)), pixels[50:150, 100:200])


def test_a_picture_is_looked_at_once(monkeypatch):
    seen = []

    def look(picture, size):
        seen.append(size)
        return len(seen)

    one, other = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "red")
    assert [shared.remembered(look, one, 64) for _ in range(2)] == [1, 1]
    assert shared.remembered(look, one.copy(), 64) == 1  # the same pixels
    assert shared.remembered(look, other, 64) == 2 and shared.remembered(look, one, 128) == 3
    for k in range(shared.REMEMBERED):
        shared.remembered(look, Image.new("RGB", (8, 8), (k, 1, 2)), 64)
    assert len(shared._remembered) == shared.REMEMBERED
