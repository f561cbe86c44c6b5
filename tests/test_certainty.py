"""The spread over several answers, its map, and what is said about it."""

import numpy as np
import pytest
import torch

from difface import certainty
from difface.faces import FFHQ_TEMPLATE


def answers(count: int = 5, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def bump(points: np.ndarray, size: int = 64) -> torch.Tensor:
    """(size, size), 0.1 near these points of an aligned face and 0.01 elsewhere."""
    values = torch.full((size, size), 0.01)
    for x, y in (points * size).round().astype(int):
        values[y - 2 : y + 3, x - 2 : x + 3] = 0.1
    return values


def test_spread_is_the_standard_deviation_of_numpy():
    given = answers()
    wanted = np.std(given.numpy().astype(float), axis=0, ddof=1).mean(0)
    np.testing.assert_allclose(certainty.spread(given).numpy(), wanted, atol=1e-6)


def test_equal_answers_do_not_spread():
    assert certainty.spread(answers(1).expand(4, -1, -1, -1)).max() < 1e-6


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (3, 8, 8)])
def test_one_answer_is_refused(shape):
    with pytest.raises(ValueError, match="K from 2"):
        certainty.spread(torch.zeros(shape))


def test_colours_are_inferno():
    matplotlib = pytest.importorskip("matplotlib")
    wanted = matplotlib.colormaps["inferno"](np.arange(256))[:, :3]
    np.testing.assert_allclose(certainty.palette().numpy(), wanted, atol=3 / 255)


def test_map_is_brighter_where_answers_agree_and_stops_at_its_scale():
    grey = torch.full((3, 1, 4), 0.5)
    values = torch.tensor([[0.0, certainty.FULL / 2, certainty.FULL, 5 * certainty.FULL]])
    shown = certainty.heat_map(values, grey)
    light = shown.mean(0)[0]
    assert light[0] > light[1] > light[2] == light[3]
    assert shown.min() >= 0 and shown.max() <= 1


@pytest.mark.parametrize(
    ("points", "region"),
    [(FFHQ_TEMPLATE[:2], "the eyes"), (FFHQ_TEMPLATE[2:3], "the nose"), (FFHQ_TEMPLATE[3:], "the mouth")],
)
def test_sentence_names_the_region_that_differs_most(points, region):
    text = certainty.sentence(bump(points), 4)
    assert f"most in {region} " in text
    assert text.startswith("The 4 answers")


def test_regions_cover_every_pixel():
    assert certainty.regions(torch.full((64, 64), 0.3)) == pytest.approx(
        dict.fromkeys(("the eyes", "the nose", "the mouth", "the skin", "hair and background"), 0.3)
    )
