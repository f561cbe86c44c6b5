"""Faces cut out by themselves, which profile answers, and ZeroGPU's decorator."""

import runpy
import sys
import types

import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from difface import faces, images
from difface.space import shared
from eval.gallery import ASTRONAUT_POINTS

ASTRONAUT = faces.Face((180.0, 70.0, 270.0, 170.0), ASTRONAUT_POINTS, 0.9)


@pytest.fixture
def found(monkeypatch) -> list[faces.Face]:
    result = [ASTRONAUT]
    monkeypatch.setattr(faces, "find_faces", lambda picture: result)
    return result


def test_the_face_of_a_photo_is_cut_out_at_its_size(found, astronaut_photo):
    crop, note = shared.aligned_face(astronaut_photo, False, 64)
    assert crop.size == (int(ASTRONAUT.side),) * 2
    assert "found" in note
    difference = images.resize(images.to_tensors(crop)[0][None], 64, 64) - images.resize(
        images.to_tensors(faces.align(astronaut_photo, ASTRONAUT_POINTS, 64))[0][None], 64, 64
    )
    assert difference.abs().mean() < 0.04


def test_an_aligned_picture_stays_as_it_is(found, astronaut_photo):
    assert shared.aligned_face(astronaut_photo, True, 64) == (astronaut_photo, "")
    small = astronaut_photo.resize((80, 80))
    assert shared.aligned_face(small, False, 64) == (small, "")


def test_a_picture_without_a_face_is_taken_whole(found, astronaut_photo):
    found.clear()
    picture, note = shared.aligned_face(astronaut_photo, False, 64)
    assert picture is astronaut_photo
    assert "No face was found" in note


def test_whole_numbers():
    assert shared.whole(3.0, "seed", 0, 9) == 3
    for value, text in ((None, "is empty"), (2.5, "is 2.5"), (10, "is 10")):
        with pytest.raises(ValueError, match=text):
            shared.whole(value, "seed", 0, 9)


@pytest.mark.parametrize(
    ("cuda", "there", "wanted"), [(True, True, "ffhq512"), (True, False, "tiny"), (False, True, "tiny")]
)
def test_the_papers_models_need_a_gpu_and_their_weights(monkeypatch, cuda, there, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(shared, "_can_be_had", lambda name: there)
    assert shared.best_profile() == wanted


def test_zerogpu_decorates_what_runs_networks(monkeypatch):
    decorated = []
    spaces = types.ModuleType("spaces")
    spaces.GPU = lambda function: decorated.append(function.__name__) or function
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    fresh = runpy.run_path(shared.__file__)
    assert fresh["on_gpu"](test_whole_numbers) is test_whole_numbers
    assert decorated == ["test_whole_numbers"]


def test_a_result_says_that_it_is_restored(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = shared.save(Image.new("RGB", (8, 8)), "/somewhere/me.jpg", {"calls": 5}, "tiny", 3)
    with Image.open(path) as saved:
        assert "AI-restored" in saved.text["Comment"]
    assert path.endswith("me_restored.png")
