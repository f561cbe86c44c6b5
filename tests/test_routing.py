"""What is one aligned face and what is a photo: by the places of the points, and by little else."""

import numpy as np
import pytest
import torch
from PIL import Image

from difface import DifFacePipeline, build_scheduler, faces, images, profiles, routing
from difface.degradation import LEVELS, degrade, level
from eval.gallery import ASTRONAUT_POINTS

EMBEDDED = sorted((profiles.ASSETS / "examples").glob("*.png"))


def moved(photo: Image.Image, size: int, shift: float = 0, scale: float = 1, angle: float = 0) -> Image.Image:
    """The astronaut's aligned face, off by a part of the side, larger, or turned clockwise by degrees."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    target = (faces.FFHQ_TEMPLATE - 0.5) @ (scale * np.array([[cosine, sine], [-sine, cosine]])) + 0.5 + [shift, 0]
    return Image.fromarray(faces.warp(np.asarray(photo), ASTRONAUT_POINTS, target * size, size))


@pytest.mark.parametrize("size", [64, 200, 512])
def test_aligned_faces(detector, astronaut_photo, size):
    assert routing.route(moved(astronaut_photo, size), 64).faces is None
    assert routing.route(moved(astronaut_photo, size, 0.02, 1.04, 3), 64).faces is None


@pytest.mark.parametrize("name", LEVELS)
def test_degraded_aligned_faces(detector, astronaut_face, name):
    lq = degrade(images.to_tensors(astronaut_face)[0], level(64, name), torch.Generator().manual_seed(0))
    assert routing.route(images.to_pil(lq), 64).faces is None


def test_the_examples_of_the_page_are_aligned_faces(detector):
    assert len(EMBEDDED) == 8
    assert [path.name for path in EMBEDDED if routing.route(images.read(path), 64).faces is not None] == []


@pytest.mark.parametrize(
    "change", [{"shift": 0.15}, {"shift": -0.2}, {"scale": 0.75}, {"scale": 1.3}, {"angle": 40}, {"angle": 180}]
)
def test_crops_that_are_off_are_photos(detector, astronaut_photo, change):
    (face,) = routing.route(moved(astronaut_photo, 256, **change), 64).faces
    assert abs((face.turn - change.get("angle", 0) + 180) % 360 - 180) < 12


def test_photos_and_letterboxes(detector, astronaut_photo):
    assert len(routing.route(astronaut_photo, 64).faces) == 1
    for size, place in (((128, 64), (32, 0)), ((128, 128), (32, 32)), ((64, 90), (0, 10))):
        letterbox = Image.new("RGB", size)
        letterbox.paste(moved(astronaut_photo, 64), place)
        (face,) = routing.route(letterbox, 64).faces
        expected = faces.FFHQ_TEMPLATE * 64 + place
        assert np.linalg.norm(face.points - expected, axis=1).mean() < 4


def test_what_is_neither_is_refused_or_said(detector):
    meadow = Image.new("RGB", (400, 400), (90, 120, 60))
    with pytest.raises(images.ImageError, match="--aligned"):
        routing.route(meadow, 64)
    assert routing.route(meadow, 64, aligned=True) == (None, "")
    assert "no face was found" in routing.route(meadow.resize((128, 128)), 64).note
    with pytest.raises(images.ImageError, match="no face"):
        routing.route(meadow.resize((128, 128)), 64, aligned=False)


def test_in_python_any_picture_is_restored(no_weights, tiny, astronaut_photo, astronaut_face):
    pipeline = DifFacePipeline(**(tiny.components | {"scheduler": build_scheduler("dpm++")}))
    result, info = routing.restore(pipeline, astronaut_face, seed=3)
    assert not info["photo"]
    assert result == pipeline(astronaut_face, generator=torch.Generator().manual_seed(3)).images[0]
    small = astronaut_photo.resize((200, 200))
    result, info = routing.restore(pipeline, small)
    changed = np.abs(np.asarray(result, int) - np.asarray(small)).sum(2) > 0
    assert info["photo"] and info["faces"] == 1 and changed[25:70, 70:105].mean() > 0.9 and not changed[120:].any()
    squeezed, info = routing.restore(pipeline, small, aligned=True)
    assert not info["photo"] and (np.abs(np.asarray(squeezed, int) - np.asarray(small)).sum(2) > 0)[120:].mean() > 0.5


def test_portraits_are_seldom_misrouted(testdata, detector):
    """Of 60 aligned portraits, degraded by each level, at most one is taken for a photo."""
    files = sorted((testdata / "london").rglob("*.jpg"))[::10][:20]
    wrong = []
    for k, file in enumerate(files):
        photo = images.read(file)
        crop = images.to_tensors(faces.align(photo, faces.largest(faces.find_faces(photo)).points, 64))[0]
        for name in LEVELS:
            lq = images.to_pil(degrade(crop, level(64, name), torch.Generator().manual_seed(k)))
            wrong += [(file.name, name)] if routing.route(lq, 64).faces is not None else []
    assert len(files) == 20 and len(wrong) <= 1
