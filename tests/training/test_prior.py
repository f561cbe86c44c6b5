"""The prior's loss: weights over the timesteps as P2 has them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from difface.schedulers import build_scheduler
from difface.training.prior import eps_loss

SCHEDULER = build_scheduler("ddim")


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_the_error_at_t_has_its_p2_weight(gamma) -> None:
    seen = []

    def nothing(x_t, timesteps):
        seen.append(timesteps)
        return SimpleNamespace(sample=torch.zeros_like(x_t))

    x_0 = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    loss = eps_loss(nothing, SCHEDULER, x_0, torch.Generator().manual_seed(1), gamma).item()
    weights = (1 - np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))) ** gamma
    weights /= weights.mean()
    # A network that answers 0 errs by the noise itself, whose mean square is 1 up to sampling.
    assert loss == pytest.approx(weights[seen[0].numpy()].mean(), rel=0.08)


def test_one_timestep_falls_into_each_part_of_the_chain() -> None:
    seen = []

    def nothing(x_t, timesteps):
        seen.append(timesteps)
        return SimpleNamespace(sample=torch.zeros_like(x_t))

    eps_loss(nothing, SCHEDULER, torch.rand(10, 3, 16, 16), torch.Generator().manual_seed(1))
    assert sorted((seen[0] // 100).tolist()) == list(range(10))
