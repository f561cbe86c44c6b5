"""Which faces of a photo are ticked, and what the visitor is told and shown."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio as gr

from difface import faces
from difface.faces.photo import LARGEST, SHOWN
from space import page, photo, running

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


def test_a_click_ticks_the_smallest_face_there_and_a_click_beside_them_nothing(monkeypatch, upload):
    """The photo is shown enlarged, 900 pixels wide, so a click's place is not a pixel of the photo."""
    large, small = face(300), face(40, left=10)
    large = faces.Face((0, 0, 300, 300), large.points, 0.9)
    monkeypatch.setattr(faces, "find_faces", lambda picture: [large, small])
    click, ratio = photo.toggler(SIZE), SHOWN[0] / 800

    def at(x: float, y: float, numbers: list[int]):
        place = gr.SelectData(None, {"index": [round(x * ratio), round(y * ratio)], "value": None})
        return click(upload, numbers, place)

    assert at(45, 35, [])[0] == [2] and at(45, 35, [1, 2])[0] == [1]
    assert at(280, 280, [2])[0] == [1, 2]
    assert at(280 / ratio, 305, []) == (gr.skip(), gr.skip()) == at(600, 10, [1])
    ticked, plain = (np.asarray(at(45, 35, numbers)[1], int) for numbers in ([], [2]))
    assert ticked.shape == plain.shape and (abs(ticked - plain).max(2) > 40).any()


def test_the_faces_of_an_upload_are_looked_for_once(monkeypatch, upload):
    looks = []
    monkeypatch.setattr(faces, "find_faces", lambda picture: looks.append(1) or [face(40)])
    photo.finder(SIZE)(upload)
    photo.drawer(SIZE)(upload, [1])
    assert len(looks) == 1


def test_single_faces_have_strengths_of_their_own():
    assert photo.strengths_of(80, "", [1, 3], 4) == [0.8, 0.8]
    assert photo.strengths_of(80, " 3: 50 %,2=0", [1, 2, 3], 4) == [0.8, 0, 0.5]


@pytest.mark.parametrize("text", ["5: 50", "0: 50", "2: 101", "half", "2", "2: -5"])
def test_a_strength_of_no_face_is_refused_in_a_line(text):
    with pytest.raises(ValueError, match=r"numbers of faces \(1\.\.4\) with percents"):
        photo.strengths_of(100, text, [1], 4)


def test_progress_says_which_face_and_which_step():
    def bar(done: int, tiles: int) -> str:
        return photo._bar(running.Step(done, tiles + 25, 3), tiles)

    assert "face 1 of 5, step 1 of 5" in bar(1, 0) and "face 1 of 5, step 5 of 5" in bar(5, 0)
    assert "face 2 of 5, step 3 of 5, about 3 s left" in bar(8, 0)
    assert "tile 2 of 4" in bar(2, 4) and "face 1 of 5, step 2 of 5" in bar(6, 4)
