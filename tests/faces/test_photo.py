"""Whole photos: faces change, the rest does not."""

import cv2
import numpy as np
import pytest
import torch
from conftest import small_unet
from PIL import Image
from scipy import ndimage

from difface import DifFaceOutput, DifFacePipeline, build_scheduler, cli, faces, images, upscale
from difface.faces import Face, photo
from difface.faces.photo import match_colour, numbered, restore_photo
from eval.gallery import ASTRONAUT_POINTS


@pytest.fixture(scope="module")
def group(astronaut_photo) -> Image.Image:
    """Two small faces on one photo."""
    small = astronaut_photo.resize((200, 200))
    canvas = Image.new("RGB", (440, 220), (120, 130, 140))
    canvas.paste(small, (10, 10))
    canvas.paste(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (230, 10))
    return canvas


@pytest.fixture
def fast(tiny) -> DifFacePipeline:
    pipeline = DifFacePipeline(**(tiny.components | {"scheduler": build_scheduler("dpm++")}))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


ASTRONAUT = Face((180, 66, 268, 173), ASTRONAUT_POINTS, 0.8)


def test_faces_change_and_nothing_else(onnx, fast, group):
    result, info = restore_photo(fast, group)
    before, after = (np.asarray(picture, float) for picture in (group, result))
    assert info["faces"] == 2 and info["notes"] == [] and info["detector"] == "SCRFD" and result.size == group.size
    changed = np.abs(after - before).sum(2) > 0
    for face in faces.find_faces(group):
        left, top, right, bottom = (int(side) for side in face.box)
        assert changed[top:bottom, left:right].mean() > 0.9
    assert not changed[:, :20].any() and not changed[150:].any()


def test_no_weights_too(no_weights, fast, group):
    result, info = restore_photo(fast, group)
    assert info["faces"] == 2 and info["detector"] == "CenterFace"
    changed = np.abs(np.asarray(result, float) - np.asarray(group)).sum(2) > 0
    for centre in ((98, 57), (342, 57)):
        assert changed[centre[1] - 15 : centre[1] + 15, centre[0] - 12 : centre[0] + 12].mean() > 0.9
    assert not changed[:, :20].any() and not changed[150:].any()


def test_grey_stays_grey_and_large_faces_stay(onnx, fast, group, astronaut_photo):
    grey = group.convert("L").convert("RGB")
    result, info = restore_photo(fast, grey)
    assert info["faces"] == 2 and np.ptp(np.asarray(result).astype(int), axis=2).max() == 0
    result, info = restore_photo(fast, astronaut_photo)
    assert info["faces"] == 0 and "left as they are" in info["notes"][0]
    assert np.array_equal(np.asarray(result), np.asarray(astronaut_photo))
    result, info = restore_photo(fast, astronaut_photo, large=True)
    assert info["faces"] == 1 and "may look soft" in info["notes"][0]
    assert not np.array_equal(np.asarray(result), np.asarray(astronaut_photo))


class Unchanged(DifFacePipeline):
    """Gives back what it is given."""

    def __call__(self, image, *_, **__) -> DifFaceOutput:
        return DifFaceOutput(torch.stack(images.to_tensors(image)), None, {"notes": [[] for _ in image]})


def waves(side: int) -> np.ndarray:
    """The same smooth pattern over the unit square at any number of pixels, sampled at their centres."""
    x, y = np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2)
    return np.rint(
        127 + 100 * np.stack([np.sin(8 * np.pi * x), np.sin(8 * np.pi * y), np.cos(8 * np.pi * x)], -1)
    ).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_face_is_pasted_where_it_was_at_either_scale(small, monkeypatch, scale):
    """Half a pixel aside would be 3 to 6 levels of the waves on average."""
    pipeline = Unchanged(small_unet(sample_size=64), small.scheduler, small.estimator)
    monkeypatch.setattr(photo.upscale, "double", lambda picture, *_: waves(256))
    found = [Face((45, 45, 83, 83), faces.FFHQ_TEMPLATE * 64 + 32, 0.9)]
    result = np.asarray(restore_photo(pipeline, Image.fromarray(waves(128)), found, scale=scale)[0], float)
    middle = slice(40 * scale, 88 * scale)
    assert np.abs(result - waves(128 * scale))[middle, middle].mean() < 1


def test_chosen_faces_only_and_each_comes_back_the_same(onnx, fast, group):
    left, right = faces.find_faces(group)
    both, one = (np.asarray(restore_photo(fast, group, found)[0], int) for found in ([left, right], [right]))
    assert np.array_equal(one[:, :220], np.asarray(group)[:, :220])
    assert np.abs(one - both)[:, 220:].max() <= 1


def test_toned_photos_keep_their_tone(fast, astronaut_photo):
    grey = np.asarray(astronaut_photo.convert("L"), float)[..., None]
    sepia = Image.fromarray(np.rint(grey * [0.95, 0.75, 0.5] + [12, 6, 0]).astype(np.uint8))
    result = np.asarray(restore_photo(fast, sepia, [ASTRONAUT], large=True)[0], float)
    red, green, blue = result.reshape(-1, 3).T
    inside = (blue > 4) & (red < 252)
    assert np.abs((red - 12) / 0.95 - (green - 6) / 0.75)[inside].max() < 4
    assert np.abs((green - 6) / 0.75 - blue / 0.5)[inside].max() < 4.5  # rounded thrice


def test_colours_are_matched(astronaut_face):
    """A face that comes back green and dark gets its own colours again, locally and over all."""
    crop = np.asarray(astronaut_face)
    tinted = np.rint(crop * [0.5, 0.8, 0.6] + [0, 40, 10]).clip(0, 255).astype(np.uint8)
    matched = match_colour(tinted, crop).astype(float)
    assert np.abs(matched.mean((0, 1)) - crop.mean((0, 1))).max() < 2
    assert np.abs(matched.std((0, 1)) / crop.std((0, 1)) - 1).max() < 0.05
    assert np.abs(matched - crop).mean() < 3 < np.abs(tinted.astype(float) - crop).mean()


@pytest.mark.parametrize("scale", [1, 2])
def test_no_seam(fast, astronaut_photo, scale):
    """The gradient across the border of what is pasted, over that just outside, is at most 1.2 times what it is without
    a face pasted (the photo has an outline of its own there: hair before a bright background)."""
    result, _ = restore_photo(fast, astronaut_photo, [ASTRONAUT], scale=scale, large=True)
    plain = astronaut_photo.resize(result.size, Image.Resampling.LANCZOS)
    pasted = np.zeros((*plain.size[::-1], 3), np.uint8)
    faces.paste(pasted, np.full((64, 64, 3), 255, np.uint8), (ASTRONAUT.points + 0.5) * scale - 0.5)
    assert np.abs(np.asarray(result, float) - np.asarray(plain)).mean() > 0.5
    for level in (1, 64, 128, 192):
        seam, before = (_seam(picture, pasted[:, :, 0] >= level) for picture in (result, plain))
        assert seam <= 1.2 * before


def _seam(picture: Image.Image, inside: np.ndarray) -> float:
    """Mean absolute gradient along a border's normal on a region's last two pixels, over that on four outside."""
    distance = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    normal = np.array(np.gradient(distance))
    normal /= np.maximum(np.hypot(*normal), 1e-9)
    across = np.abs((np.array(np.gradient(np.asarray(picture.convert("L"), float))) * normal).sum(0))
    return across[(distance >= -2) & (distance < 1)].mean() / across[(distance >= 1) & (distance < 5)].mean()


def test_twice_as_large(no_weights, fast, group):
    """Lanczos around the faces; and the same faces at the same places."""
    small, info = restore_photo(fast, group)
    large, info = restore_photo(fast, group, scale=2)
    assert large.size == (880, 440) and info["upscaler"] == "Lanczos" and info["faces"] == 2
    plain = np.asarray(group.resize((880, 440), Image.Resampling.LANCZOS), float)
    assert np.array_equal(np.asarray(large)[300:], plain[300:]) and np.array_equal(
        np.asarray(large)[:, :40], plain[:, :40]
    )
    back = np.asarray(large.resize(group.size, Image.Resampling.BOX), float)
    errors = [np.abs(ndimage.shift(back, (0, step, 0)) - np.asarray(small))[20:90].mean() for step in (-0.5, 0, 0.5)]
    assert errors[1] == min(errors) and errors[1] < 3
    with pytest.raises(ValueError, match="1 or 2; got 3"):
        restore_photo(fast, group, scale=3)
    with pytest.raises(images.ImageError, match="twice its size"):
        upscale.double(Image.new("RGB", (8000, 4000)))


def test_a_network_enlarges_in_tiles(no_weights, group, monkeypatch):
    """A random network of Real-ESRGAN's kind: tiles join without a mark, and grey stays grey."""
    from spandrel.architectures.ESRGAN import ESRGAN

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ESRGAN(num_filters=8, num_blocks=1, scale=2, shuffle_factor=2)
    torch.save({"params_ema": network.state_dict()}, no_weights / upscale.NETWORK)
    assert upscale.upscaler_name() == "Real-ESRGAN"
    whole = np.asarray(upscale.double(group), int)
    assert whole.shape == (440, 880, 3)
    monkeypatch.setattr(upscale, "TILE", 100)
    monkeypatch.setattr(upscale, "PAD", 24)
    assert np.abs(np.asarray(upscale.double(group), int) - whole).max() <= 1
    grey = upscale.double(group.convert("L").convert("RGB"))
    assert np.ptp(np.asarray(grey, int), axis=2).max() == 0
    done = []
    upscale.double(group, progress=done.append)
    assert done == list(range(1, upscale.calls(group) + 1)) and len(done) == 15


def test_progress_counts_tiles_too_and_can_stop_at_one(no_weights, fast, group, monkeypatch):
    monkeypatch.setattr(upscale, "TILE", 220)
    monkeypatch.setattr(upscale, "upscaler_name", lambda: "Real-ESRGAN")
    monkeypatch.setattr(upscale.weights, "find", lambda name: name)
    monkeypatch.setattr(upscale, "_network", lambda path, device: Doubler())
    found, seen = [Face((0, 0, 1, 1), faces.FFHQ_TEMPLATE * 60 + [70, 20], 1.0)], []
    restore_photo(fast, group, found, scale=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 7) for done in range(1, 8)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_photo(fast, group, found, scale=2, progress=stop)
    assert Doubler.calls == 3


class Doubler:
    """Stands for Real-ESRGAN's network."""

    device, calls = torch.device("cpu"), 0

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        Doubler.calls += 1
        return torch.nn.functional.interpolate(picture, scale_factor=2)


def test_progress_counts_network_calls_and_can_stop(fast, group):
    found = [Face((0, 0, 1, 1), faces.FFHQ_TEMPLATE * 60 + [70 * k, 20], 1.0) for k in range(5)]
    seen = []
    restore_photo(fast, group, found, batch=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (25, 25) and len(seen) == 15 and seen == sorted(seen)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_photo(fast, group, found, progress=stop)


def test_a_hundred_faces_in_batches(small, monkeypatch):
    """Never more than a batch of crops at once, and what is made for one face is of its own size."""
    canvas = Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 600, 3), np.uint8))
    found = [Face((0, 0, 1, 1), faces.FFHQ_TEMPLATE * 20 + [55 * (k % 10), 55 * (k // 10)], 1.0) for k in range(100)]
    counts, shapes, call, warp = [], [], DifFacePipeline.__call__, cv2.warpAffine
    monkeypatch.setattr(
        DifFacePipeline,
        "__call__",
        lambda self, crops, *a, **k: (counts.append(len(crops)), call(self, crops, *a, **k))[1],
    )
    monkeypatch.setattr(cv2, "warpAffine", lambda *a, **k: (shapes.append(warp(*a, **k)), shapes[-1])[1])
    _, info = restore_photo(small, canvas, found, num_inference_steps=10)
    assert info["faces"] == 100 and max(counts) == photo.BATCH and sum(counts) == 100
    assert max(max(made.shape[:2]) for made in shapes) < 50


def test_no_face_offers_another_way(onnx, fast):
    with pytest.raises(images.ImageError, match="as one aligned face"):
        restore_photo(fast, Image.new("RGB", (200, 200), (90, 120, 60)))


@pytest.mark.parametrize("factor", [0.25, 1, 8])
def test_numbered_boxes_at_any_size(astronaut_photo, factor):
    """The box is around the face, and the picture has a size at which text can be read."""
    size = round(512 * factor)
    face = Face(tuple(factor * side for side in ASTRONAUT.box), None, 0.8)
    shown = numbered(astronaut_photo.resize((size, size)), [face])
    assert photo.SHOWN[0] <= shown.width == shown.height <= photo.SHOWN[1]
    plain = np.asarray(astronaut_photo.resize((size, size)).resize(shown.size, Image.Resampling.LANCZOS), float)
    changed = np.abs(np.asarray(shown) - plain).sum(2) > 60
    rows, columns = (np.flatnonzero(changed.any(axis)) / shown.width * 512 for axis in (1, 0))
    left, top, right, bottom = ASTRONAUT.box
    assert np.abs([columns[0] - left, columns[-1] - right]).max() < 3
    assert top - 30 < rows[0] < top - 5 and bottom + 5 < rows[-1] < bottom + 40


def test_on_the_command_line(onnx, group, tmp_path, capsys):
    group.save(tmp_path / "group.png")
    Image.new("RGB", (200, 200), (90, 120, 60)).save(tmp_path / "meadow.png")
    photos = [str(tmp_path / name) for name in ("group.png", "meadow.png")]
    common = ["--fast", "-o", str(tmp_path / "out")]
    assert cli.main(["restore", *photos, "--photo", "--upscale", "2", "--large", *common]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 2 and "meadow.png" in errors[0] and "no face" in errors[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["group.png"]
    assert images.read(tmp_path / "out" / "group.png").size == (880, 440)
    for wrong, says in (
        (["--upscale", "3"], "--upscale"),
        (["--aligned", "--large"], "--large"),
        (["--aligned", "--faces", "1"], "--faces"),
        (["--faces", "0"], "such as 1,3"),
        (["--faces", "one"], "such as 1,3"),
        (["--photo", "--save-estimates"], "--save-estimates"),
    ):
        assert cli.main(["restore", photos[0], *wrong, *common]) == 2
        assert says in capsys.readouterr().err


def test_any_picture_and_chosen_faces_on_the_command_line(detector, group, astronaut_face, tmp_path, capsys):
    """One call takes an aligned face as it is and a photo as such; --list says what --faces counts."""
    group.save(tmp_path / "group.png")
    astronaut_face.save(tmp_path / "face.png")
    both = [str(tmp_path / name) for name in ("group.png", "face.png")]
    assert cli.main(["restore", *both, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"group.png: found by {detector}") and len(lines) == 4
    assert [line[:6] for line in lines[1:3]] == ["  1: x", "  2: x"] and "turned by" in lines[1]
    assert lines[3].endswith("face.png: one aligned face")
    assert cli.main(["restore", *both, "--fast", "-o", str(tmp_path / "out")]) == 0
    for name, changed_from in (("group", 0), ("face", 0)):
        before, after = (np.asarray(images.read(tmp_path / where / f"{name}.png"), int) for where in (".", "out"))
        assert before.shape == after.shape and np.abs(after - before)[changed_from:].any()
    assert cli.main(["restore", both[0], "--faces", "2", "--fast", "-o", str(tmp_path / "two")]) == 0
    after = np.asarray(images.read(tmp_path / "two" / "group.png"), int)
    changed = np.abs(after - np.asarray(group)).any(2)
    assert not changed[:, :220].any() and changed[:, 220:].any()
    assert cli.main(["restore", both[0], "--faces", "3", "--fast", "-o", str(tmp_path / "three")]) == 1
    assert "1 to 2 are accepted" in capsys.readouterr().err
    assert cli.main(["restore", both[0], "--min-score", "1", "--photo", "--fast", "-o", str(tmp_path / "one")]) == 1
    assert "no face was found" in capsys.readouterr().err
    assert cli.main(["restore", both[0], "--fast"]) == 2
    assert "--list" in capsys.readouterr().err


def test_strength_is_how_much_of_a_face_is_laid_over_the_photo(fast, group):
    """Of each face its own; none leaves the photo's bytes, half lies in the middle."""
    found = faces.find_faces(group)[:2]
    none, half, whole = (
        np.asarray(restore_photo(fast, group, found, strengths=[0, one])[0], float) for one in (0, 0.5, 1)
    )
    original = np.asarray(group, float)
    assert np.array_equal(none, original) and abs(whole - original).max() > 20
    assert abs(half - (whole + original) / 2).max() <= 1
    left, top, right, bottom = (round(side) for side in found[0].box)
    assert np.array_equal(whole[top:bottom, left:right], original[top:bottom, left:right])


def test_not_one_strength_for_each_face_is_refused(fast, group):
    for strengths in ([1.0], [1.0, 1.5]):
        with pytest.raises(ValueError, match="must be 2 numbers in"):
            restore_photo(fast, group, faces.find_faces(group)[:2], strengths=strengths)
