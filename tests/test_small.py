"""The default profile: who names none gets faces of 128 pixels, from Python, the command line and the page."""

import inspect

import numpy as np
import pytest
import torch
from conftest import generators
from PIL import Image

import app
from difface import DifFacePipeline, build_scheduler, cli, degrade, images, methods, profiles
from difface.degradation import level
from difface.metrics import PSNR
from eval.gallery import astronaut_face
from space import page, shared

SIZE = 128


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    return images.to_tensors(astronaut_face(SIZE))[0][None]


@pytest.fixture(scope="module")
def lq(truth) -> torch.Tensor:
    return degrade(truth, level(SIZE, "middle"), torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pipeline() -> DifFacePipeline:
    found = profiles.load(scheduler="dpm++", device="cpu")
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(autouse=True)
def nobody_names_a_profile(monkeypatch) -> None:
    monkeypatch.delenv("DIFFACE_PROFILE")


def psnr(picture: torch.Tensor, truth: torch.Tensor) -> float:
    metric = PSNR()
    metric.update(picture, truth)
    return metric.compute()


def high_frequencies(picture: torch.Tensor) -> float:
    """The share of a picture's energy, its mean aside, that lies above a quarter of the sampling rate."""
    spectrum = torch.fft.fft2(picture.mean(1)).abs().square()
    frequency = torch.fft.fftfreq(picture.shape[-1])
    high = (frequency[:, None].square() + frequency.square()).sqrt() > 0.25
    spectrum[..., 0, 0] = 0
    return float(spectrum[..., high].sum() / spectrum.sum())


def test_everything_takes_the_same_profile_by_default():
    defaults = {
        inspect.signature(made).parameters["profile"].default for made in (cli.restore, cli.inpaint, cli.sample)
    }
    defaults |= {inspect.signature(page.build).parameters["profile_name"].default}
    defaults |= {inspect.signature(methods.load).parameters["profile"].default}
    assert defaults == {profiles.DEFAULT} == {"small"}
    assert set(profiles.EMBEDDED) <= set(profiles.PROFILES)


def test_a_face_comes_back_nearer_and_sharper(pipeline, lq, truth):
    result = pipeline(lq, 5, generator=generators(0), output_type="pt")
    assert result.images.shape == (1, 3, SIZE, SIZE)
    assert psnr(result.estimates, truth) > psnr(lq, truth) + 1
    sharpness = [high_frequencies(picture) for picture in (result.estimates, result.images, truth)]
    assert sharpness[0] < 0.5 * sharpness[2] and 0.4 * sharpness[2] < sharpness[1] < 1.6 * sharpness[2]


def test_samples_have_no_grid_of_patches(pipeline):
    """The prior works on patches of 2 x 2 pixels: their period must not stand out in what it draws.

    Its frequencies are half the sampling rate along one or both axes; there a sample has at most twice the energy of
    their surroundings, which a checkerboard of one grey level would exceed.
    """
    drawn = pipeline.sample(4, 10, generator=generators(0, 1, 2, 3), output_type="pt").images
    spectrum = torch.fft.fft2(drawn.mean(1)).abs().square().mean(0)
    half = SIZE // 2
    for row, column in ((half, 0), (0, half), (half, half)):
        near = torch.stack(
            [spectrum[(row + i) % SIZE, (column + j) % SIZE] for i in (-3, -2, 2, 3) for j in (-3, -2, 2, 3)]
        )
        assert spectrum[row, column] < 4 * near.mean()


def test_the_command_line_restores_at_this_size(no_weights, tmp_path, lq):
    images.write(images.to_pil(lq[0]), tmp_path / "face.png")
    assert cli.main(["restore", str(tmp_path / "face.png"), "-o", str(tmp_path / "out"), "--fast"]) == 0
    restored = Image.open(tmp_path / "out" / "face.png")
    assert restored.size == (SIZE, SIZE) and '"small"' in restored.text["difface"] or "small" in str(restored.text)


def test_the_page_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert shared.best_profile() == "small"
    said = [str(part["props"].get("value")) for part in app.build(shared.best_profile(), tmp_path).config["components"]]
    assert any("128 × 128 pixels" in text and "small" in text for text in said)


def test_holes_are_filled_and_the_rest_is_kept(no_weights, tmp_path, truth):
    """Half of the face is missing: known pixels stay, and the hole gets a face's contrast."""
    images.write(images.to_pil(truth[0]), tmp_path / "face.png")
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, SIZE // 2 :] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    given = [str(tmp_path / "face.png"), "--mask", str(tmp_path / "mask.png"), "-o", str(tmp_path / "out")]
    assert cli.main(["inpaint", *given, "--steps", "20"]) == 0
    filled, clean = (
        np.asarray(Image.open(tmp_path / name / "face.png").convert("RGB"), float) for name in ("out", ".")
    )
    assert np.abs(filled - clean)[:, : SIZE // 2].max() <= 1
    assert filled[:, SIZE // 2 :].std() > 0.5 * clean[:, SIZE // 2 :].std()


def test_time(pipeline, lq, request):
    """One face with five calls takes under 0.6 s on two cores, so under 1.2 s of processor time on one thread."""
    import time

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    assert isinstance(pipeline.scheduler, type(build_scheduler("dpm++")))
    times = []
    for _ in range(3):
        started = time.process_time()
        pipeline(lq, 5, generator=generators(0), output_type="pt")
        times.append(time.process_time() - started)
    assert min(times) < 1.2
