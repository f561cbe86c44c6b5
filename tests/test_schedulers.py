"""Where the steps lie below N."""

import numpy as np
import pytest
from diffusers import UniPCMultistepScheduler

from difface.schedulers import SCHEDULERS, build_scheduler, log_snr_grid, set_chain


@pytest.mark.parametrize(("steps", "calls"), [(250, 100), (50, 20), (20, 8), (500, 200), (1000, 400)])
def test_ddim_calls_below_400(steps, calls):
    timesteps = set_chain(build_scheduler("ddim"), 400, steps).timesteps.tolist()
    assert timesteps == list(range(1000 // steps * (calls - 1), -1, -1000 // steps))


@pytest.mark.parametrize(
    ("steps", "nearest"),
    [(0, "1 and 2"), (7, "5 and 8"), (1001, "500 and 1000"), (300, "250 and 500"), (-3, "1 and 2")],
)
def test_steps_that_do_not_divide(steps, nearest):
    with pytest.raises(ValueError, match=f"got {steps}. The nearest that do are {nearest}"):
        set_chain(build_scheduler("ddim"), 400, steps)


def test_fewer_than_two_calls():
    with pytest.raises(ValueError, match="at least two"):
        set_chain(build_scheduler("ddim"), 4, 250)
    assert len(set_chain(build_scheduler("ddim"), 5, 250).timesteps) == 2


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "ddim"])
@pytest.mark.parametrize(("begin_index", "calls"), [(400, 5), (250, 5), (1000, 20), (400, 2)])
def test_solvers_are_uniform_in_log_snr(name, begin_index, calls):
    scheduler = set_chain(build_scheduler(name), begin_index, calls)
    timesteps = scheduler.timesteps.numpy()
    assert len(timesteps) == calls and timesteps[0] in (begin_index - 1, begin_index - 2)
    assert scheduler.sigmas[-1] == 0 and len(scheduler.sigmas) == calls + 1
    log_snr = -2 * np.log(scheduler.sigmas[:-1].double().numpy())
    assert np.diff(log_snr).min() > 0.8 * np.diff(log_snr).mean()
    assert np.diff(log_snr).max() < 1.25 * np.diff(log_snr).mean()


@pytest.mark.parametrize("changes", [{}, {"use_karras_sigmas": True}, {"use_beta_sigmas": True}])
def test_unipc_of_another_spacing_starts_below_n_too(changes):
    other = UniPCMultistepScheduler.from_config(build_scheduler("ddim").config, **changes)
    timesteps = set_chain(other, 400, 5).timesteps.tolist()
    assert timesteps == set_chain(build_scheduler("unipc"), 400, 5).timesteps.tolist() and timesteps[0] < 400


@pytest.mark.parametrize("calls", [2, 5, 40, 398])
def test_grid_is_of_different_timesteps(calls):
    abar = build_scheduler("ddim").alphas_cumprod.double().numpy()
    grid = log_snr_grid(abar, 400, calls)
    assert len(grid) == calls == len(set(grid)) and grid == sorted(grid, reverse=True)
    assert grid[0] == 399 and grid[-1] == 2


def test_too_many_calls_and_unknown_names():
    with pytest.raises(ValueError, match="do not fit"):
        set_chain(build_scheduler("dpm++"), 10, 9)
    with pytest.raises(ValueError, match="N from 4"):
        set_chain(build_scheduler("dpm++"), 3, 2)
    with pytest.raises(ValueError, match="ddim, dpm"):
        build_scheduler("euler")
    with pytest.raises(ValueError, match="whole number"):
        set_chain(build_scheduler("ddim"), 400, 2.5)
