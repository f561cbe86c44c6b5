"""Which faces of a photo are ticked, and what the visitor is told and shown."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from difface import faces
from difface.faces.photo import LARGEST, SHOWN
from space import page, photo

SIZE = 64


def face(side: float, score: float = 0.9, left: float = 0) -> faces.Face:
    """One whose aligned square has this side."""
    return faces.Face((left, 0, left + 40, 40), faces.FFHQ_TEMPLATE * side + (left, 0), score)


@pytest.fixture
def upload(tmp_path) -> str:
    """A photo: the left half blank, the right half as sharp as noise."""
    pixels = np.full((400, 800, 3), 128, np.uint8)
    pixels[:, 400:] = np.random.default_rng(0).integers(0, 256, (400, 400, 1))
    Image.fromarray(pixels).save(tmp_path / "party.png")
    return str(tmp_path / "party.png")


def found(monkeypatch, upload: str, *there: faces.Face) -> tuple[list[str], list[int], str]:
    """The labels, the ticks and the note for these faces."""
    monkeypatch.setattr(faces, "find_faces", lambda picture: list(there))
    _, choices, note, only, as_face = photo.finder(SIZE)(upload)
    assert only is bool(there) and not as_face["visible"]
    assert [number for _, number in choices["choices"]] == [*range(1, len(there) + 1)]
    return [label for label, _ in choices["choices"]], choices["value"], note


def test_faces_that_gain_are_ticked_and_the_others_named(monkeypatch, upload):
    small, doubtful, large = face(40), face(40, 0.55), face(300, left=0)
    sharp, sharp_and_doubtful = face(300, left=450), face(300, 0.5, left=450)
    labels, ticks, note = found(monkeypatch, upload, small, doubtful, large, sharp, sharp_and_doubtful)
    assert ticks == [1, 3]  # the large one is as blank as a blurred face
    assert labels[0] == "1 (90%)" and labels[1] == "2 (doubtful, 55%)" and labels[3] == "4 (sharp, 90%)"
    assert "Doubtful, and not ticked: 2, 5." in note and "restored they are softer: 4." in note


def test_large_faces_alone_are_no_dead_end(monkeypatch, upload):
    _, ticks, note = found(monkeypatch, upload, face(300, left=450))
    assert ticks == [1] and "softer: 1." in note


def test_nothing_doubtful_is_restored_unasked(monkeypatch, upload):
    _, ticks, _ = found(monkeypatch, upload, face(40, 0.5))
    assert ticks == []


def test_a_face_just_large_is_not_called_sharp(monkeypatch, upload):
    _, ticks, note = found(monkeypatch, upload, face(LARGEST * SIZE - 1, left=450))
    assert ticks == [1] and "softer" not in note


def test_a_new_photo_forgets_the_faces_of_the_last_before_it_waits():
    """The function that forgets is the first on the photo's change, and waits in no queue."""
    dependencies = page.build("tiny").config["dependencies"]
    names = [event["api_name"] for event in dependencies]
    forget, find = (dependencies[names.index(name)] for name in ("forget_faces", "find_faces"))
    assert forget["targets"] == find["targets"] and forget["id"] < find["id"]
    assert not forget["queue"] and forget["api_visibility"] == "private"
    assert set(forget["outputs"]) < set(find["outputs"])


def test_what_the_slider_shows_is_no_larger_than_a_phone_can_load():
    before, result = Image.new("RGB", (2000, 1500)), Image.new("RGB", (4000, 3000))
    assert [picture.size for picture in photo._pair(before, result)] == [(SHOWN[1], SHOWN[1] * 3 // 4)] * 2
    small = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))
    shown = photo._pair(small, small.resize((80, 60)))
    assert [picture.size for picture in shown] == [(80, 60)] * 2
    assert shown[1].tobytes() == small.resize((80, 60)).tobytes()
