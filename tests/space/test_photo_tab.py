"""Which faces of a photo are ticked, and what the visitor is told and shown."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from difface import faces
from difface.faces.photo import LARGEST, SHOWN
from space import page, photo

SIZE = 64


def face(side: float) -> faces.Face:
    """One whose aligned square has this side."""
    return faces.Face((0, 0, 40, 40), faces.FFHQ_TEMPLATE * side, 0.9)


@pytest.fixture
def upload(tmp_path, monkeypatch) -> str:
    """A photo with a small face, two large ones, and one that is just not large."""
    found = [face(side) for side in (40, LARGEST * SIZE + 1, 300, LARGEST * SIZE - 1)]
    monkeypatch.setattr(faces, "find_faces", lambda picture: found)
    Image.new("RGB", (400, 300), "grey").save(tmp_path / "party.png")
    return str(tmp_path / "party.png")


@pytest.mark.parametrize(("large", "ticked"), [(False, [1, 4]), (True, [1, 2, 3, 4])])
def test_only_faces_that_will_be_restored_are_ticked(upload, large, ticked):
    _, choices, note, found, as_face = photo.finder(SIZE)(upload, large)
    assert [number for _, number in choices["choices"]] == [1, 2, 3, 4] and choices["value"] == ticked
    assert found == [False, True, True, False] and not as_face["visible"]
    assert "4 faces were found" in note
    assert ("2 of 4 are larger than 96 pixels and stay as they are: tick “Large faces too”" in note) is not large


def test_one_large_face_alone(monkeypatch, upload):
    monkeypatch.setattr(faces, "find_faces", lambda picture: [face(200)])
    _, choices, note, _, _ = photo.finder(SIZE)(upload)
    assert choices["value"] == [] and "1 of 1 is larger than 96 pixels and stays as it is" in note


def test_the_box_for_large_faces_ticks_them_and_no_others():
    found = [False, True, True, False]
    assert photo.tick_large([4], True, found) == [2, 3, 4]
    assert photo.tick_large([2, 3, 4], False, found) == [4]
    assert photo.tick_large([], True, None) == []


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
