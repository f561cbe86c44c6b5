"""The mask constraint is the minimiser it claims to be, and refuses what is not a mask."""

from math import inf

import pytest
import torch

from difface.constraints import Masked


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
