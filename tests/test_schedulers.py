"""The samplers that there are, those that are refused, and grids of timesteps."""

import diffusers
import pytest
from conftest import generators
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from PIL import Image

from difface import DifFacePipeline
from difface.chain import chain
from difface.schedulers import SCHEDULERS, build_scheduler, check_scheduler, log_snr_grid

FACE = Image.new("RGB", (16, 16), (200, 120, 90))
OTHER_CLASSES = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DDPMScheduler",
    "HeunDiscreteScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "DEISMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "KDPM2DiscreteScheduler",
    "DDIMInverseScheduler",
    "FlowMatchEulerDiscreteScheduler",
)
OTHER_SETTINGS = [
    (DDIMScheduler, "ddim", dict(prediction_type="v_prediction"), "prediction_type='v_prediction'"),
    (DDIMScheduler, "ddim", dict(beta_schedule="scaled_linear"), "another noise schedule"),
    (DDIMScheduler, "ddim", dict(beta_end=0.012), "another noise schedule"),
    (DDIMScheduler, "ddim", dict(num_train_timesteps=500), "another noise schedule"),
    (DDIMScheduler, "ddim", dict(rescale_betas_zero_snr=True), "another noise schedule"),
    (DDIMScheduler, "ddim", dict(clip_sample=False), "clip_sample=False"),
    (DDIMScheduler, "ddim", dict(clip_sample_range=2.0), "clip_sample_range=2.0"),
    (DDIMScheduler, "ddim", dict(set_alpha_to_one=False), "set_alpha_to_one=False"),
    (DDIMScheduler, "ddim", dict(timestep_spacing="trailing"), "timestep_spacing='trailing'"),
    (DDIMScheduler, "ddim", dict(steps_offset=1), "steps_offset=1"),
    (DPMSolverMultistepScheduler, "dpm++", dict(prediction_type="v_prediction"), "prediction_type"),
    (DPMSolverMultistepScheduler, "dpm++", dict(use_karras_sigmas=True), "use_karras_sigmas=True"),
    (DPMSolverMultistepScheduler, "dpm++", dict(use_lu_lambdas=True), "use_lu_lambdas=True"),
    (
        DPMSolverMultistepScheduler,
        "dpm++",
        dict(algorithm_type="dpmsolver", final_sigmas_type="sigma_min"),
        "algorithm_type='dpmsolver'",
    ),
    (DPMSolverMultistepScheduler, "dpm++", dict(final_sigmas_type="sigma_min"), "final_sigmas_type"),
    (DPMSolverMultistepScheduler, "ddim", {}, "thresholding=False, where this method needs True"),
    (UniPCMultistepScheduler, "ddim", {}, "thresholding=False, where this method needs True"),
    (UniPCMultistepScheduler, "unipc", dict(use_karras_sigmas=True, use_exponential_sigmas=False), "use_karras_sigmas"),
    (UniPCMultistepScheduler, "unipc", dict(predict_x0=False), "predict_x0=False"),
]


def refuses(pipeline: DifFacePipeline, scheduler, says: str, monkeypatch) -> None:
    """At construction, and before any network runs at a call of a pipeline whose scheduler was swapped; in one line."""
    for network in (pipeline.unet, pipeline.estimator):
        monkeypatch.setattr(network, "forward", lambda *args, **kwargs: pytest.fail("a network ran"))
    pipeline.scheduler = scheduler
    for call in (
        lambda: pipeline(FACE),
        lambda: pipeline.sample(1),
        lambda: DifFacePipeline(pipeline.unet, scheduler, pipeline.estimator),
        lambda: chain(scheduler, 400),
    ):
        with pytest.raises(ValueError, match="ddim, dpm\\+\\+, dpm\\+\\+sde, unipc are accepted") as caught:
            call()
        assert says in str(caught.value) and type(scheduler).__name__ in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OTHER_CLASSES)
def test_other_samplers_are_refused(small, name, monkeypatch):
    scheduler = getattr(diffusers, name).from_config(small.scheduler.config)
    refuses(small, scheduler, "is not a sampler of this method", monkeypatch)


@pytest.mark.parametrize(("kind", "base", "changes", "says"), OTHER_SETTINGS)
def test_our_samplers_set_up_otherwise_are_refused(small, kind, base, changes, says, monkeypatch):
    refuses(small, kind.from_config(build_scheduler(base).config, **changes), says, monkeypatch)


@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, UniPCMultistepScheduler])
def test_a_sampler_can_be_swapped_as_in_diffusers(small, kind):
    small.scheduler = kind.from_config(small.scheduler.config, thresholding=True)
    swapped = small(FACE, generator=generators(0))
    small.scheduler = build_scheduler("dpm++" if kind is DPMSolverMultistepScheduler else "unipc")
    own = small(FACE, generator=generators(0))
    assert swapped.info == own.info and swapped.images[0].tobytes() == own.images[0].tobytes()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_ours_are_accepted_saved_and_loaded_too(name, tmp_path):
    scheduler = build_scheduler(name)
    scheduler.save_pretrained(tmp_path)
    check_scheduler(type(scheduler).from_pretrained(tmp_path))
    with pytest.raises(ValueError, match="ddim, dpm"):
        build_scheduler("euler")


@pytest.mark.parametrize("calls", [2, 5, 40, 398])
def test_grid_is_of_different_timesteps(calls):
    abar = build_scheduler("ddim").alphas_cumprod.double().numpy()
    grid = log_snr_grid(abar, 400, calls)
    assert len(grid) == calls == len(set(grid)) and grid == sorted(grid, reverse=True)
    assert grid[0] == 399 and grid[-1] == 2


def test_too_many_calls():
    with pytest.raises(ValueError, match="do not fit"):
        chain(build_scheduler("dpm++"), 10, 9)
    with pytest.raises(ValueError, match="N from 4"):
        chain(build_scheduler("dpm++"), 3, 2)
