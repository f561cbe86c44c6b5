"""SSIM against pyiqa on restored faces, by recorded values, and against scikit-image where the two definitions agree.

`restored.png` holds four rows of faces of 64 pixels, the astronaut and three samples of the embedded prior: the input
(s = 4), f(y), DifFace with two seeds, and the truth (cells of assets/gallery.png). The values were recorded by

    python -m venv other && other/bin/pip install pyiqa==0.1.16 torch==2.14.1 torchvision==0.29.1
    other/bin/python -c "
    import numpy, PIL.Image, pyiqa, torch
    sheet = numpy.asarray(PIL.Image.open('tests/metrics/restored.png')) / numpy.float32(255)
    faces = torch.from_numpy(sheet).permute(2, 0, 1).unflatten(1, (-1, 64)).unflatten(3, (-1, 64)).permute(3, 1, 0, 2,
    4) for name in ('ssim', 'ssimc'):
        print(name, [pyiqa.create_metric(name, device='cpu')(one, faces[4]).tolist() for one in faces[:4]])"
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from difface import images
from difface.metrics import SSIM, SSIMRGB

BY_PYIQA = {
    SSIM: [
        [0.566527, 0.622794, 0.640276, 0.674647],
        [0.659126, 0.794140, 0.759393, 0.808321],
        [0.586338, 0.739654, 0.693957, 0.757691],
        [0.583520, 0.751757, 0.711845, 0.730278],
    ],
    SSIMRGB: [
        [0.557408, 0.611033, 0.633378, 0.651844],
        [0.648331, 0.786494, 0.751802, 0.794712],
        [0.581460, 0.735261, 0.686914, 0.748525],
        [0.575004, 0.748145, 0.705679, 0.722587],
    ],
}
"""For the input, f(y) and DifFace with either seed: the four faces."""


@pytest.fixture(scope="module")
def columns() -> torch.Tensor:
    """(5, 4, 3, 64, 64): input, f(y), DifFace twice, truth."""
    sheet = images.to_tensors(images.read(Path(__file__).with_name("restored.png")))[0]
    return sheet.unflatten(1, (-1, 64)).unflatten(3, (-1, 64)).permute(3, 1, 0, 2, 4)


@pytest.mark.parametrize("metric", BY_PYIQA)
def test_it_is_that_of_pyiqa_on_restored_faces(metric, columns):
    found = []
    for one in columns[:4]:
        scorer = metric()
        scorer.update(one, columns[4])
        found.append(scorer.values)
    assert np.allclose(found, BY_PYIQA[metric], rtol=0, atol=1e-4)


def luma(face: torch.Tensor) -> np.ndarray:
    return (255 * np.tensordot([0.299, 0.587, 0.114], face.double().numpy(), 1)).round()


def by_scikit_image(face: torch.Tensor, truth: torch.Tensor) -> float:
    settings = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    return structural_similarity(luma(face), luma(truth), **settings)


def test_without_the_clamp_it_is_that_of_scikit_image(columns):
    """Where contrast is nowhere reversed the two are one; on restored faces pyiqa's clamp makes the score higher."""
    truth = columns[4]
    darker = (255 * 0.8 * truth).round() / 255
    scorer = SSIM()
    scorer.update(darker, truth)
    assert (
        np.abs(np.array(scorer.values) - [by_scikit_image(*pair) for pair in zip(darker, truth, strict=True)]).max()
        < 1e-6
    )
    raised = np.array(BY_PYIQA[SSIM][2]) - [by_scikit_image(*pair) for pair in zip(columns[2], truth, strict=True)]
    assert (raised > 1e-3).all() and (raised < 1e-2).all()


def test_equal_faces_score_one_and_small_ones_are_refused(columns):
    for metric in BY_PYIQA:
        same = metric()
        same.update(columns[0], columns[0])
        assert same.compute() == 1
        with pytest.raises(ValueError, match="sides from 11"):
            same.update(columns[0][..., :10], columns[0][..., :10])


def test_colours_between_two_grey_levels_are_rounded(columns):
    scorer = SSIMRGB()
    scorer.update((columns[2] + 0.4 / 255).clamp(max=1), columns[4])
    assert np.allclose(scorer.values, BY_PYIQA[SSIMRGB][2], rtol=0, atol=1e-4)
