"""What a call would do: where its steps lie below N, and what is refused before any network is there."""

import numpy as np
import pytest
from diffusers import UniPCMultistepScheduler

from difface.chain import chain
from difface.schedulers import SCHEDULERS, build_scheduler


@pytest.mark.parametrize(("steps", "calls"), [(250, 100), (50, 20), (20, 8), (500, 200), (1000, 400)])
def test_ddim_calls_below_400(steps, calls):
    timesteps = chain(build_scheduler("ddim"), 400, steps).timesteps
    assert timesteps == list(range(1000 // steps * (calls - 1), -1, -1000 // steps))


@pytest.mark.parametrize(
    ("steps", "nearest"),
    [(0, "1 and 2"), (7, "5 and 8"), (1001, "500 and 1000"), (300, "250 and 500"), (-3, "1 and 2")],
)
def test_steps_that_do_not_divide(steps, nearest):
    with pytest.raises(ValueError, match=f"got {steps}. The nearest that do are {nearest}"):
        chain(build_scheduler("ddim"), 400, steps)


def test_fewer_than_two_calls():
    with pytest.raises(ValueError, match="at least two"):
        chain(build_scheduler("ddim"), 4, 250)
    assert len(chain(build_scheduler("ddim"), 5, 250).timesteps) == 2


@pytest.mark.parametrize("name", ["dpm++", "dpm++sde", "unipc"])
@pytest.mark.parametrize(("begin_index", "calls"), [(400, 5), (250, 5), (1000, 20), (400, 2)])
def test_solvers_are_uniform_in_log_snr(name, begin_index, calls):
    scheduler = chain(build_scheduler(name), begin_index, calls).scheduler
    timesteps = scheduler.timesteps.numpy()
    assert len(timesteps) == calls and timesteps[0] in (begin_index - 1, begin_index - 2)
    assert scheduler.sigmas[-1] == 0 and len(scheduler.sigmas) == calls + 1
    log_snr = -2 * np.log(scheduler.sigmas[:-1].double().numpy())
    assert np.diff(log_snr).min() > 0.8 * np.diff(log_snr).mean()
    assert np.diff(log_snr).max() < 1.25 * np.diff(log_snr).mean()


def test_unipc_of_another_spacing_starts_below_n_too():
    other = UniPCMultistepScheduler.from_config(build_scheduler("ddim").config, thresholding=True)
    timesteps = chain(other, 400, 5).timesteps
    assert timesteps == chain(build_scheduler("unipc"), 400, 5).timesteps and timesteps[0] < 400


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_scheduler_is_left_as_it_was(name):
    scheduler = build_scheduler(name)
    before = scheduler.timesteps.clone()
    steps = chain(scheduler, 400, 20)
    assert scheduler.num_inference_steps is None and scheduler.timesteps.equal(before)
    assert steps.scheduler is not scheduler and steps.timesteps != before.tolist()


def test_it_says_what_a_call_says_afterwards(small):
    for name, arguments in (("ddim", dict(num_inference_steps=20, eta=0.7, official_start=True)), ("dpm++sde", {})):
        small.scheduler = build_scheduler(name)
        told = chain(small.scheduler, 400, **arguments)
        info = small(np.zeros((16, 16, 3), np.uint8), **arguments).info
        assert told.info() == {key: info[key] for key in told.info()}
        assert told.noise_timestep == (400 if name == "ddim" else 399)


@pytest.mark.parametrize("steps", [2.5, "20", True])
def test_steps_are_a_whole_number(steps):
    with pytest.raises(ValueError, match="whole number"):
        chain(build_scheduler("ddim"), 400, steps)


@pytest.mark.parametrize("eta", [-0.1, 1.5, float("nan"), "0.5", None, True])
def test_eta_is_in_0_to_1(eta):
    with pytest.raises(ValueError, match=r"`eta` must be in \[0, 1\]"):
        chain(build_scheduler("ddim"), 400, 20, eta)
