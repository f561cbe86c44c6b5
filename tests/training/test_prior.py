"""The prior: its loss, which timesteps a batch gets, and its shapes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from difface.schedulers import build_scheduler
from difface.training.data import TrainingError
from difface.training.prior import eps_loss, network, spread

SCHEDULER = build_scheduler("ddim")


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_the_error_at_t_has_its_p2_weight(gamma) -> None:
    def nothing(x_t, timesteps):
        return SimpleNamespace(sample=torch.zeros_like(x_t))

    generator = torch.Generator().manual_seed(0)
    x_0, timesteps = torch.rand(8, 3, 16, 16, generator=generator), torch.arange(0, 1000, 125)
    loss = eps_loss(nothing, SCHEDULER, x_0, timesteps, generator, gamma).item()
    weights = (1 - np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))) ** gamma
    weights /= weights.mean()
    # A network that answers 0 errs by the noise itself, whose mean square is 1 up to sampling.
    assert loss == pytest.approx(weights[timesteps.numpy()].mean(), rel=0.08)


def test_one_timestep_falls_into_each_part_of_the_chain() -> None:
    sharp = torch.zeros(10, dtype=torch.bool)
    drawn = [spread(sharp, 150, 1000, torch.Generator().manual_seed(seed)) for seed in range(50)]
    assert all(sorted((timesteps // 100).tolist()) == list(range(10)) for timesteps in drawn)
    assert torch.stack(drawn).float().mean(0).sub(500).abs().max() < 150  # no picture always gets the late ones


def test_soft_pictures_teach_late_timesteps_only() -> None:
    soft = torch.tensor([True, False] * 10)
    drawn = [spread(soft, 150, 1000, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert min(timesteps[soft].min() for timesteps in drawn) >= 150
    assert all(sorted((timesteps // 50).tolist()) == list(range(20)) for timesteps in drawn)  # all are used
    late = torch.stack([timesteps[soft].float().mean() for timesteps in drawn]).mean()
    assert late == pytest.approx(575, abs=12)  # evenly over 150..999, not the latest ones
    every = spread(torch.ones(16, dtype=torch.bool), 400, 1000, torch.Generator().manual_seed(0))
    assert every.min() >= 400 and len(set(every.tolist())) > 12


def test_shapes_by_size() -> None:
    assert sum(p.numel() for p in network(128).parameters()) == 15_777_228
    assert network(64).config.patch_size == 1 and network(128).config.patch_size == 2
    assert network(32).config.block_out_channels == network(64).config.block_out_channels
    with pytest.raises(TrainingError, match="multiple of 16 for this prior; got 120"):
        network(120)
