"""The constraints are the minimisers that they claim to be, hold through the pipeline, and refuse what does not fit."""

from math import inf

import numpy as np
import pytest
import torch
from conftest import generators
from scipy.optimize import minimize

from difface import images
from difface.constraints import Downsampled, Grey, Masked

LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(3, 1, 1)


def case(seed: int):
    generator = torch.Generator().manual_seed(seed)
    x0_hat, y = (1.6 * torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64) - 0.8 for _ in range(2))
    return x0_hat, y, (torch.rand(2, 1, 8, 8, generator=generator) < 0.5).double()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 7.0])
def test_closed_form_is_the_minimiser(gamma):
    x0_hat, y, mask = case(0)
    x = x0_hat.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([x], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        loss = (x - x0_hat).square().sum() / 2 + gamma / 2 * ((1 - mask) * (x - y)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert (Masked(mask, "closed", gamma)(x0_hat, y) - x).abs().max() < 1e-6


@pytest.mark.parametrize("gamma", [0.2, 1.0, 3.0])
def test_rules_agree(gamma):
    x0_hat, y, mask = case(1)
    closed = Masked(mask, "closed", gamma)(x0_hat, y)
    step = Masked(mask, "step", gamma / (2 * (1 + gamma)))(x0_hat, y)
    assert torch.allclose(closed, step, atol=1e-6)


def test_extremes():
    x0_hat, y, mask = case(2)
    assert torch.equal(Masked(mask, "closed", 0)(x0_hat, y), x0_hat)
    exact = Masked(mask, "closed", inf)(x0_hat, y)
    assert torch.allclose(exact, torch.where(mask.bool(), x0_hat, y), atol=1e-7)
    assert torch.allclose(Masked(mask, "step", 0.5)(x0_hat, y), exact)
    assert torch.equal(Masked(mask)(x0_hat, y), Masked(mask, "step", 0.5)(x0_hat, y))
    assert torch.equal(Masked(mask, "closed")(x0_hat, y), exact)


def test_fitted_repeats_by_input_and_stays_binary():
    masks = torch.zeros(2, 1, 20, 10)
    masks[1] = 1
    fitted = Masked(masks).fitted(6, 16)
    assert fitted.mask.shape == (6, 1, 16, 16)
    assert fitted.mask.flatten(1).mean(1).tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="one per picture"):
        Masked(masks).fitted(3, 16)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((torch.rand(1, 1, 8, 8),), "binary"),
        ((torch.zeros(8, 8),), r"\(B, 1, H, W\)"),
        ((torch.zeros(1, 1, 8, 8), "open"), "rule"),
        ((torch.zeros(1, 1, 8, 8), "step", 0.6), "gamma"),
        ((torch.zeros(1, 1, 8, 8), "closed", -1), "gamma"),
        ((torch.zeros(1, 1, 8, 8), "closed", float("nan")), "gamma"),
    ],
)
def test_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        Masked(*arguments)


def test_what_a_hole_holds_is_never_seen(small):
    """At another size than the model's the picture is resized, which would mix the hole into its neighbours."""
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 13:29, 10:27] = 1
    picture = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    black, white = picture * (1 - mask), picture * (1 - mask) + mask
    results = [
        small(y, 20, 1.0, generators(0), constraint=Masked(mask), output_type="pt").images for y in (black, white)
    ]
    assert torch.equal(*results)


def test_gamma_0_is_plain(small):
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    plain, free = (
        small(picture, 20, 1.0, generators(0), constraint=constraint, output_type="pt").images
        for constraint in (None, Masked(torch.zeros(1, 1, 16, 16), gamma=0))
    )
    assert torch.equal(plain, free)


def test_grey_is_the_projection_onto_the_luminance_within_the_cube():
    """Against a generic solver, pixel by pixel; corners, edges and saturated colours among them."""
    generator = torch.Generator().manual_seed(3)
    x0_hat = (4 * torch.rand(1, 3, 6, 10, generator=generator, dtype=torch.float64) - 2).clamp(-1, 1)
    y = (2.4 * torch.rand(1, 3, 6, 10, generator=generator, dtype=torch.float64) - 1.2).clamp(-1, 1)
    target = (LUMA * y).sum(1)
    assert ((x0_hat.abs() == 1).sum(1) == 3).any() and ((x0_hat.abs() == 1).sum(1) == 0).any()
    found = Grey()(x0_hat, y)
    assert (found.abs() <= 1).all() and ((LUMA * found).sum(1) - target).abs().max() < 1e-9
    for row, column in np.ndindex(6, 10):
        given, wanted = x0_hat[0, :, row, column].numpy(), target[0, row, column].item()
        best = minimize(
            lambda x, given=given: ((x - given) ** 2).sum(),
            np.full(3, wanted),
            jac=lambda x, given=given: 2 * (x - given),
            bounds=[(-1, 1)] * 3,
            constraints={
                "type": "eq",
                "fun": lambda x, wanted=wanted: LUMA.flatten().numpy() @ x - wanted,
                "jac": lambda x: LUMA.flatten().numpy(),
            },
            options={"ftol": 1e-15, "maxiter": 500},
        )
        assert np.abs(found[0, :, row, column].numpy() - best.x).max() < 1e-6


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_grey_extremes(level):
    x0_hat = torch.tensor([1.0, -1.0, 0.3]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    found = Grey()(x0_hat, torch.full((1, 3, 4, 4), level))
    assert ((LUMA * found).sum(1) - level).abs().max() < 1e-6
    assert torch.allclose(Grey()(x0_hat, x0_hat), x0_hat, atol=1e-6)


def test_grey_keeps_the_luminance_of_a_face(tiny, astronaut_face):
    result = tiny(astronaut_face, 50, 1.0, generators(0), constraint=Grey(), output_type="pt")
    truth = images.to_tensors(astronaut_face)[0]
    assert (LUMA * (result.images[0] - truth)).sum(0).abs().max() < 1e-5
    assert (result.estimates[0] - result.images[0]).abs().max() > 0.02


def test_grey_sees_no_colours(tiny, astronaut_face):
    [colours] = images.to_tensors(astronaut_face)
    of_colour, of_grey = (
        tiny(picture, 20, 1.0, generators(0), constraint=Grey(), output_type="pt").images
        for picture in (colours, (LUMA * colours).sum(0).expand(3, -1, -1).float())
    )
    assert (of_colour - of_grey).abs().max() < 1e-3


@pytest.mark.parametrize("scale", [2, 4])
def test_downsampled_is_the_nearest_picture_that_agrees(scale):
    """Minimum of ||x - x0_hat|| subject to H x = y, by least squares with H written out as a matrix."""
    generator = torch.Generator().manual_seed(4)
    x0_hat = 0.4 * torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64)
    small = 0.4 * torch.rand(1, 3, 8 // scale, 8 // scale, generator=generator, dtype=torch.float64)
    enlarged = Downsampled(scale).prepared([small[0]], 8)[0][None]
    count = 8 // scale
    h = torch.zeros(count**2, 64, dtype=torch.float64)
    for row, column in np.ndindex(8, 8):
        h[row // scale * count + column // scale, row * 8 + column] = 1 / scale**2
    gap = small.flatten(2) - x0_hat.flatten(2) @ h.T
    expected = x0_hat + (gap @ torch.linalg.pinv(h).T).view(1, 3, 8, 8)
    assert (Downsampled(scale)(x0_hat, enlarged) - expected).abs().max() < 1e-9


def test_downsampled_stays_in_range():
    """A block whose mean must rise, with a pixel that is at the top already."""
    x0_hat = torch.full((1, 3, 2, 2), -1.0)
    x0_hat[..., 0, 0] = 1
    found = Downsampled(2)(x0_hat, torch.full((1, 3, 2, 2), 0.5))  # the mean of -0.5 rises by 1
    assert found[0, 0].tolist() == [[1, 0], [0, 0]]
    assert Downsampled(2)(-x0_hat, torch.full((1, 3, 2, 2), -0.5))[0, 0].tolist() == [[-1, 0], [0, 0]]


def test_downsampling_the_result_gives_the_input(tiny, astronaut_face):
    small = torch.nn.functional.avg_pool2d(images.to_tensors(astronaut_face)[0], 4)
    result = tiny(images.to_pil(small), 50, 1.0, generators(0), constraint=Downsampled(4))
    assert result.images[0].size == result.estimates[0].size == (64, 64)
    again = torch.nn.functional.avg_pool2d(images.to_tensors(result.images[0])[0], 4)
    assert 10 * torch.log10(1 / (again - small).square().mean()) > 40


@pytest.mark.parametrize("scale", [1, 0, 2.5, True])
def test_refused_scales(scale):
    with pytest.raises(ValueError, match="whole number from 2"):
        Downsampled(scale)


def test_an_enlarged_picture_is_refused(small):
    with pytest.raises(ValueError, match="is 16x16 pixels; 8 on each side"):
        small(torch.rand(1, 3, 16, 16), constraint=Downsampled(2))


def test_as_many_masks_as_pictures_or_one() -> None:
    pictures = [torch.zeros(3, 8, 8)] * 4
    with pytest.raises(ValueError, match=r"one per picture \(4\); got 2"):
        Masked(torch.zeros(2, 1, 8, 8)).prepared(pictures, 8)
    assert len(Masked(torch.zeros(4, 1, 8, 8)).prepared(pictures, 8)) == 4
