"""Pictures of any size go through a method and come back at their own size, known bytes untouched."""

import numpy as np
import pytest
import torch
from conftest import generators, small_unet
from PIL import Image

from difface import images, methods
from difface.methods.pictures import restore_pictures


@pytest.fixture(scope="module")
def unet():
    return small_unet()


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def quiet(method: methods.ChainMethod) -> methods.ChainMethod:
    method.set_progress_bar_config(disable=True)
    return method


def test_at_the_priors_size_it_is_restore(unet):
    method, given = quiet(methods.SDEdit(unet, steps=5, rounds=1)), [picture(16, 16), picture(16, 16, 1)]
    results = restore_pictures(method, given, generators(1, 2, 3, 4), count=2)
    for k, result in enumerate(results):
        lq = images.to_tensors(given[k // 2])[0][None]
        expected = images.to_pil(method.restore(lq, generator=generators(k + 1))[0])
        assert np.abs(np.asarray(result, int) - np.asarray(expected, int)).max() <= 1


@pytest.mark.parametrize("composite", [True, False])
def test_known_bytes_stay(unet, composite):
    given, mask = picture(40, 30), torch.zeros(1, 1, 30, 40)
    mask[..., 10:20, 12:30] = 1
    method = quiet(methods.DDNM(unet, steps=5))
    (result,) = restore_pictures(method, [given], generators(1), mask=mask, composite=composite)
    assert result.size == (40, 30)
    same = (np.asarray(result) == np.asarray(given)).all(-1)
    known = mask[0, 0].numpy() == 0
    assert same[known].all() == composite and not same[~known].all()
    hidden = given.copy()
    hidden.paste((0, 255, 0), (12, 10, 30, 20))
    (other,) = restore_pictures(method, [hidden], generators(1), mask=mask)
    if composite:
        assert np.array_equal(np.asarray(result), np.asarray(other))


def test_small_pictures_become_larger(unet):
    method = quiet(methods.DDNM(unet, steps=5))
    (result,) = restore_pictures(method, [picture(8, 8)], generators(1), scale=2)
    assert result.size == (16, 16)
    with pytest.raises(ValueError, match="the picture is 16x16 pixels; 8 on each side are accepted"):
        restore_pictures(method, [picture(16, 16)], generators(1), scale=2)
