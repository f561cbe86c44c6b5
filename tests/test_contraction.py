"""Eq. 12-13 in numbers."""

import torch

from difface.contraction import contraction


def test_against_the_definition():
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    quantities = contraction()
    assert torch.allclose(quantities.alphas_cumprod, torch.cumprod(1 - betas, 0), atol=1e-6)
    assert abs(quantities.alphas_cumprod[400] - 0.19357) < 1e-5
    assert abs(quantities.factor[400] - 0.19357**0.5) < 1e-4


def test_kappa_strictly_falls():
    assert (contraction().kappa.diff() < 0).all()


def test_kl_is_that_of_the_two_gaussians():
    generator = torch.Generator().manual_seed(0)
    x_0, estimate = (2 * torch.rand(2, 3, 4, 4, generator=generator, dtype=torch.float64) - 1 for _ in range(2))
    quantities, t = contraction(), 399
    mean = lambda x: quantities.factor[t] * x.flatten(1)  # noqa: E731
    variance = (1 - quantities.alphas_cumprod[t]) * torch.ones(48, dtype=torch.float64)
    normal = lambda x: torch.distributions.Independent(torch.distributions.Normal(mean(x), variance.sqrt()), 1)  # noqa: E731
    expected = torch.distributions.kl_divergence(normal(estimate), normal(x_0))
    assert torch.allclose(quantities.kl(x_0 - estimate, t), expected)
