"""The samplers that there are, those that are refused, and grids of timesteps."""

import diffusers
import pytest
from conftest import generators
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from PIL import Image

from difface import DifFacePipeline
from difface.chain import chain
from difface.schedulers import SCHEDULERS, build_scheduler, check_scheduler, log_snr_grid, quadratic_grid

FACE = Image.new("RGB", (16, 16), (200, 120, 90))
OTHER_CLASSES = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
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
    (DDPMScheduler, "ddpm", dict(variance_type="fixed_large"), "variance_type='fixed_large'"),
    (DDPMScheduler, "ddpm", dict(clip_sample=False), "clip_sample=False"),
    (DDPMScheduler, "ddpm", dict(beta_end=0.012), "another noise schedule"),
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
        with pytest.raises(
            ValueError, match="ddim, ddpm, ddpm-noisy, dpm\\+\\+, dpm\\+\\+sde, unipc are accepted"
        ) as caught:
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


@pytest.mark.parametrize(
    ("kind", "name"),
    [(DPMSolverMultistepScheduler, "dpm++"), (UniPCMultistepScheduler, "unipc"), (DDPMScheduler, "ddpm")],
)
def test_a_sampler_can_be_swapped_as_in_diffusers(small, kind, name):
    small.scheduler = kind.from_config(small.scheduler.config, thresholding=name != "ddpm")
    swapped = small(FACE, generator=generators(0))
    small.scheduler = build_scheduler(name)
    own = small(FACE, generator=generators(0))
    assert swapped.info == own.info and swapped.images[0].tobytes() == own.images[0].tobytes()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_ours_are_accepted_saved_and_loaded_too(name, tmp_path):
    scheduler = build_scheduler(name)
    scheduler.save_pretrained(tmp_path)
    check_scheduler(type(scheduler).from_pretrained(tmp_path))
    with pytest.raises(ValueError, match="ddim, ddpm"):
        build_scheduler("euler")


@pytest.mark.parametrize("calls", [2, 5, 40, 398])
def test_grid_is_of_different_timesteps(calls):
    abar = build_scheduler("ddim").alphas_cumprod.double().numpy()
    grid = log_snr_grid(abar, 400, calls)
    assert len(grid) == calls == len(set(grid)) and grid == sorted(grid, reverse=True)
    assert grid[0] == 399 and grid[-1] == 2


@pytest.mark.parametrize("calls", [1, 2, 5, 40, 398])
def test_the_quadratic_grid_is_of_different_timesteps(calls):
    grid = quadratic_grid(400, calls)
    assert len(grid) == calls == len(set(grid)) and grid == sorted(grid, reverse=True)
    assert grid[0] == 399 and grid[-1] >= 0
    wanted = [400 * (k / calls) ** 2 - 1 for k in range(calls, 0, -1)]
    apart = max(abs(t - exact) for t, exact in zip(grid, wanted, strict=True))
    assert apart <= 0.5 or calls > 20, "only many calls have to make room for each other"


@pytest.mark.parametrize("name", ["ddpm", "dpm++", "unipc"])
def test_one_call_looks_once_and_answers_with_what_it_saw(small, name):
    small.scheduler, seen = build_scheduler(name), []
    told = dict(callback_on_step_end_tensor_inputs=["pred_original_sample"])
    told["callback_on_step_end"] = lambda pipe, i, t, tensors: seen.append(tensors["pred_original_sample"])
    result = small(FACE, 1, generator=generators(0), output_type="pt", **told)
    assert result.info["timesteps"] == [399] and result.info["noise_timestep"] == 399
    assert ((seen[0] / 2 + 0.5).clamp(0, 1) - result.images).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["ddpm", "dpm++"])
def test_too_many_calls(name):
    with pytest.raises(ValueError, match="do not fit"):
        chain(build_scheduler(name), 10, 9)
    with pytest.raises(ValueError, match="N from 4"):
        chain(build_scheduler(name), 3, 2)
