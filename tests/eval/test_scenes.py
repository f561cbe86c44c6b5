"""Group scenes: every face is where it should be, and the committed examples are complete."""

import shutil

import pytest
import torch

from difface import faces, images, profiles
from eval.gallery import landing
from eval.scenes import SCENES, compose


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_face_is_shown_once_and_in_order(scene) -> None:
    shades = torch.linspace(0.1, 0.9, scene.count)
    photo = compose(scene, shades[:, None, None, None].expand(-1, 3, 16, 16))
    step, margin = scene.side + scene.gap, max(scene.gap, 24)
    for k, shade in enumerate(shades):
        row, column = divmod(k, scene.columns)
        y, x = (margin + place * step + scene.side // 2 for place in (row, column))
        assert abs(photo[1, y, x] - shade) < 0.02


def test_the_number_of_faces_is_checked() -> None:
    with pytest.raises(ValueError, match="shows 4 faces; got 3"):
        compose(SCENES[0], torch.zeros(3, 3, 16, 16))


def test_a_detector_finds_the_faces_of_the_examples(onnx) -> None:
    counts = {scene.name: scene.count for scene in SCENES} | {"astronaut": 1}
    for name, count in counts.items():
        photo = images.read(profiles.ASSETS / "examples" / "photos" / f"{name}.png")
        assert len(faces.find_faces(photo)) == count


def test_there_are_twelve_examples_their_clean_faces_and_a_finished_one() -> None:
    folder = profiles.ASSETS / "examples"
    counts = {name: len(list((folder / name).glob("*.png"))) for name in (".", "photos", "clean", "restored")}
    assert counts == {".": 8, "photos": 4, "clean": 8, "restored": 1}
    for face in folder.glob("*.png"):
        assert (folder / "clean" / f"{face.stem.rpartition('_')[0]}.png").is_file()


def test_the_finished_example_is_what_the_models_make_of_it_today(tmp_path) -> None:
    shutil.copytree(profiles.ASSETS / "examples", tmp_path / "examples")
    [kept] = (profiles.ASSETS / "examples" / "restored").glob("*.png")
    made = landing(tmp_path / "examples", "small")
    assert made.name == kept.name
    one, other = (images.to_tensors(images.read(path))[0] for path in (kept, made))
    assert (one - other).abs().mean() < 2 / 255
