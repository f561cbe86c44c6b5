"""Faces cut out by themselves, which profile answers, and ZeroGPU's decorator."""

import os
import runpy
import sys
import time
import types
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from gradio.route_utils import delete_files_created_by_app

from difface import faces, images, profiles
from eval.gallery import ASTRONAUT_POINTS
from space import page, shared


def test_the_face_of_a_photo_is_cut_out_at_its_size(detector, astronaut_photo):
    crop, note = shared.aligned_face(astronaut_photo, False, 64)
    side = faces.Face((0, 0, 1, 1), ASTRONAUT_POINTS, 1.0).side
    assert crop.width == crop.height and abs(crop.width / side - 1) < 0.08
    assert "found" in note and detector in note and "only it is in the result" in note
    (face,) = faces.find_faces(crop)
    assert np.linalg.norm((face.points + 0.5) / crop.width - faces.FFHQ_TEMPLATE, axis=1).mean() < 0.04


def test_an_aligned_picture_stays_as_it_is(no_weights, astronaut_photo):
    assert shared.aligned_face(astronaut_photo, True, 64) == (astronaut_photo, "")
    aligned = faces.align(astronaut_photo, ASTRONAUT_POINTS, 300)
    assert shared.aligned_face(aligned, False, 64) == (aligned, "")


def test_what_is_no_face_is_refused_unless_it_may_have_holes(no_weights):
    meadow = Image.new("RGB", (300, 200), (90, 120, 60))
    with pytest.raises(images.ImageError, match="Already aligned"):
        shared.aligned_face(meadow, False, 64)
    picture, note = shared.aligned_face(meadow, False, 64, has_holes=True)
    assert picture is meadow and "No face was found" in note


def test_whole_numbers():
    assert shared.whole(3.0, "seed", 0, 9) == 3
    for value, text in ((None, "is empty"), (2.5, "is 2.5"), (10, "is 10")):
        with pytest.raises(ValueError, match=text):
            shared.whole(value, "seed", 0, 9)


@pytest.mark.parametrize(
    ("cuda", "there", "wanted"), [(True, True, "ffhq512"), (True, False, "small"), (False, True, "small")]
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


def test_every_function_that_runs_networks_is_decorated(monkeypatch):
    decorated = []
    monkeypatch.setattr(shared, "on_gpu", lambda function: decorated.append(function.__name__) or function)
    page.build("tiny")
    assert {"restore", "restore_photo_", "answers", "figure", "inpaint", "restore_worse", "invent"} <= set(decorated)


def test_a_picture_that_the_server_has_deleted(tmp_path):
    with pytest.raises(images.ImageError, match="has been deleted from the server"):
        shared.read(str(tmp_path / "gone.png"))


def test_devices_share_networks():
    if profiles.resolve_device("auto").type != "cpu":
        pytest.skip("another device is the default here")
    assert shared.pipeline_for("tiny", device="auto").unet is shared.pipeline_for("tiny", device="cpu").unet


def test_cleaning_leaves_the_thumbnails_of_examples(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    blocks = page.build("tiny")
    faces_there = [block for block in blocks.blocks.values() if getattr(block, "elem_id", None) == "face"]
    kept = faces_there[0].keep_in_cache
    assert kept
    faces_there[0].temp_files |= kept  # as a click on an example does
    delete_files_created_by_app(blocks, 0)
    assert all(Path(path).exists() for path in kept)


def test_every_result_is_deleted_in_time(monkeypatch, tmp_path):
    """Also those that Gradio forgets: of a component whose properties an event has updated."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first, second = (shared.result_folder() for _ in range(2))
    for folder in (first, second):
        (folder / "a_restored.png").write_bytes(b"picture")
    old = time.time() - shared.CLEANING[1] - 1
    os.utime(first, (old, old))
    shared.delete_results()
    assert not first.exists() and (second / "a_restored.png").exists()


def test_results_are_looked_for_all_the_time(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(shared, "CLEANING", (0.05, 1800))
    called = Event()
    monkeypatch.setattr(shared, "delete_results", called.set)
    ended = Event()
    thread = shared.keep_clean(ended)
    assert called.wait(10)
    ended.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_figure_hears_of_its_own_calls_only(monkeypatch):
    """The network is shared, and a figure that was cancelled must not stop the next visitor's run."""
    from space import paper

    pipeline = shared.pipeline_for("tiny", scheduler="ddim")
    other, heard = Thread(target=lambda: pipeline.unet(torch.zeros(1, 3, 64, 64, dtype=pipeline.unet.dtype), 5)), []

    def drawn(*_, **__):
        other.start()
        other.join()
        heard.append("others' calls are over")
        pipeline.unet(torch.zeros(1, 3, 64, 64, dtype=pipeline.unet.dtype), 5)
        raise InterruptedError

    import eval.figures

    monkeypatch.setitem(eval.figures.FIGURES, "4", drawn)
    with pytest.raises(InterruptedError):
        paper._draw("4", None, "tiny", "cpu", lambda *made: heard.append(made))
    assert heard == ["others' calls are over", (1, 1)]


def test_a_result_says_that_it_is_restored(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = shared.save(Image.new("RGB", (8, 8)), "/somewhere/me.jpg", {"calls": 5}, "tiny", 3)
    with Image.open(path) as saved:
        assert "AI-restored" in saved.text["Comment"]
    assert path.endswith("me_restored.png")
