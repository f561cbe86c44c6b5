"""What callers rely on: sizes, seeds, batches, schedulers, saving, and refusals."""

import numpy as np
import pytest
import torch
from conftest import generators, small_unet
from diffusers import DiffusionPipeline
from diffusers.models.unets.unet_2d import UNet2DOutput
from diffusers.utils import dynamic_modules_utils
from PIL import Image

import difface
from difface import DifFacePipeline, FaceEstimator, Masked, UNet, build_scheduler
from difface.chain import chain
from difface.schedulers import SCHEDULERS


def noise(count: int, size: int = 16, seed: int = 5) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_same_seed_same_picture(small):
    first, again, other = (
        small(noise(1), 20, generator=generators(seed), output_type="pt").images for seed in (3, 3, 4)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=0.01)


@pytest.mark.parametrize("name", ["ddim", "dpm++sde"])
def test_a_batch_equals_its_singles(small, name):
    small.scheduler = build_scheduler(name)
    steps = 20 if name == "ddim" else 5
    batch = small(noise(4), steps, generator=generators(0, 1, 2, 3), output_type="pt")
    for k in range(4):
        single = small(noise(4)[k : k + 1], steps, generator=generators(k), output_type="pt")
        assert (single.images[0] - batch.images[k]).abs().max() < 1e-3
        assert (single.estimates[0] - batch.estimates[k]).abs().max() < 1e-3


def test_answers_are_grouped_by_input(small):
    result = small(noise(2), 20, generator=generators(0, 1, 0, 1), num_images_per_input=2, output_type="pt")
    assert len(result.images) == 4 and len(result.estimates) == 2
    second = small(noise(2)[1:], 20, generator=generators(1), output_type="pt")
    assert (result.images[3] - second.images[0]).abs().max() < 1e-3


def test_global_random_state_is_neither_read_nor_changed(small):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    a = small(noise(1), 20, generator=generators(0), output_type="pt").images
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert torch.equal(a, small(noise(1), 20, generator=generators(0), output_type="pt").images)
    fresh = [small(noise(1), 20, output_type="pt").images for _ in range(2)]
    assert not torch.equal(*fresh)


def test_the_callers_sizes_come_back(small):
    pictures = [Image.new("RGB", size, (200, 120, 90)) for size in ((16, 16), (100, 40), (9, 33))]
    result = small([*pictures, np.zeros((20, 20, 3), np.uint8)], 20, generator=generators(0, 1, 2, 3))
    assert [picture.size for picture in result.images] == [(16, 16), (100, 40), (9, 33), (20, 20)]
    assert [picture.size for picture in result.estimates] == [(16, 16), (100, 40), (9, 33), (20, 20)]


def test_info_says_what_was_done(small):
    info = small(noise(1), 50, generator=generators(0)).info
    assert info["calls"] == 20 and info["timesteps"][0] == info["noise_timestep"] == 380
    assert info["begin_index"] == 400 and info["scheduler"] == "DDIMScheduler" and info["dtype"] == "float32"
    assert small(noise(1), 50, official_start=True).info["noise_timestep"] == 400


def test_noise_of_the_first_timestep_is_what_the_network_is_told(small):
    seen = []
    small.unet.register_forward_pre_hook(lambda module, args: seen.append(args))
    small.estimator.forward = lambda image, mask=None: torch.full_like(image, 0.5)  # x_0 = 0: x_N is the noise alone
    zeta = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for official, t in ((False, 350), (True, 400)):
        seen.clear()
        small(noise(1), 20, noise=zeta, official_start=official)
        sample, timestep = seen[0]
        abar = small.scheduler.alphas_cumprod[t]
        assert timestep == 350
        assert torch.allclose(sample, (1 - abar).sqrt() * zeta, atol=1e-6)


class GaussianPrior(UNet):
    """The exact eps for x_0 ~ N(0.2, 0.3^2), so that the probability-flow ODE has a closed form."""

    def forward(self, sample, timestep, **unused):
        abar = build_scheduler("ddim").alphas_cumprod[timestep]
        x_0 = 0.2 + 0.09 * abar.sqrt() / (0.09 * abar + 1 - abar) * (sample - abar.sqrt() * 0.2)
        return UNet2DOutput((sample - abar.sqrt() * x_0) / (1 - abar).sqrt())


@pytest.mark.parametrize(
    ("name", "steps", "limit"), [("ddim", 1000, 0.01), ("dpm++", 5, 0.03), ("dpm++", 20, 0.01), ("unipc", 20, 0.01)]
)
def test_samplers_solve_the_ode(small, name, steps, limit):
    unet = GaussianPrior(sample_size=16)
    pipeline = DifFacePipeline(unet, build_scheduler(name), small.estimator)
    pipeline.set_progress_bar_config(disable=True)
    zeta = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    result = pipeline(noise(1), steps, eta=0.0 if name == "ddim" else 0.5, noise=zeta, output_type="pt")
    abar = pipeline.scheduler.alphas_cumprod[result.info["noise_timestep"]]
    x_n = abar.sqrt() * (2 * result.estimates - 1) + (1 - abar).sqrt() * zeta
    expected = 0.2 + 0.3 * (x_n - abar.sqrt() * 0.2) / (0.09 * abar + 1 - abar).sqrt()
    assert (2 * result.images - 1 - expected.clamp(-1, 1)).abs().max() < limit


@pytest.mark.parametrize("name", ["ddpm", "ddpm-noisy", "dpm++", "dpm++sde", "unipc"])
def test_solvers_make_five_calls_and_refuse_what_needs_ddim(small, name):
    small.scheduler = build_scheduler(name)
    assert small(noise(1), generator=generators(0)).info["calls"] == 5
    for arguments in (dict(eta=0.3), dict(official_start=True), dict(constraint=Masked(torch.zeros(1, 1, 16, 16)))):
        with pytest.raises(ValueError, match="needs DDIM"):
            small(noise(1), **arguments)


@pytest.mark.parametrize(("name", "surplus"), [("ddpm", 1), ("ddpm-noisy", 1.6)])
def test_ddpm_steps_against_the_formula(small, name, surplus):
    """Three steps by hand: Eq. 6-7 with eta 1, eps of the clipped x0_hat, noise by the generator."""
    small.scheduler, states = build_scheduler(name), []
    told = dict(callback_on_step_end_tensor_inputs=["sample", "pred_original_sample"])
    told["callback_on_step_end"] = lambda pipe, i, t, tensors: states.append(tensors)
    zeta = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    result = small(noise(1), 3, noise=zeta, generator=generators(5), output_type="pt", **told)
    abar = torch.cat([build_scheduler("ddim").alphas_cumprod.double(), torch.ones(1).double()])  # abar[-1] = 1
    x, draws, (last,) = result.estimates.double() * 2 - 1, generators(5)[0], result.info["timesteps"][:1]
    x = abar[last].sqrt() * x + (1 - abar[last]).sqrt() * zeta
    for state, t, s in zip(states, [399, 177, 43], [177, 43, -1], strict=True):
        eps = small.unet(x.float(), t).sample[:, :3].double()
        x_0 = ((x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()).clamp(-1, 1)
        eps = (x - abar[t].sqrt() * x_0) / (1 - abar[t]).sqrt()
        sigma = ((1 - abar[s]) / (1 - abar[t]) * (1 - abar[t] / abar[s])).sqrt()
        z = torch.randn(1, 3, 16, 16, generator=draws)
        x = abar[s].sqrt() * x_0 + (1 - abar[s] - sigma**2).clamp(min=0).sqrt() * eps + surplus**0.5 * sigma * z
        assert (state["pred_original_sample"] - x_0).abs().max() < 1e-4
        assert (state["sample"] - x).abs().max() < 1e-4
    assert sigma == 0, "the last step goes straight to x0_hat"


def test_ddim_step_against_the_formula(small):
    """One DDIM step by hand (Eq. 6-7), from the network's own eps."""
    states, zeta, z = [], torch.randn(1, 3, 16, 16), torch.randn(8, 1, 3, 16, 16)
    small(
        noise(1),
        20,
        eta=0.7,
        noise=zeta,
        step_noise=z,
        callback_on_step_end=lambda pipe, i, t, tensors: states.append(tensors["sample"]),
    )
    abar = small.scheduler.alphas_cumprod.double()
    with torch.no_grad():
        eps = small.unet(states[0], 300).sample.double()
    a_t, a_s = abar[300], abar[250]
    x0_hat = ((states[0].double() - (1 - a_t).sqrt() * eps) / a_t.sqrt()).clamp(-1, 1)
    sigma = 0.7 * ((1 - a_s) / (1 - a_t)).sqrt() * (1 - a_t / a_s).sqrt()
    expected = a_s.sqrt() * x0_hat + (1 - a_s - sigma**2).sqrt() * eps + sigma * z[1].double()
    assert (states[1].double() - expected).abs().max() < 1e-5


def test_known_pixels_are_kept_exactly(small):
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:12, 4:12] = 1
    image = noise(2)
    result = small(image, 20, generator=generators(0, 1), constraint=Masked(mask), output_type="pt")
    known = (mask == 0).expand_as(image)
    assert (result.images - image)[known].abs().max() < 1e-5
    assert (result.images - image)[~known].abs().max() > 0.05


def test_variance_half_is_dropped(small):
    three = small(noise(1), 20, generator=generators(0), output_type="pt").images
    six = small_unet(out_channels=6)
    with torch.no_grad():
        for name, value in small.unet.state_dict().items():
            six.state_dict()[name][: len(value)] = value
    pipeline = DifFacePipeline(six, build_scheduler("ddim"), small.estimator)
    images = pipeline(noise(1), 20, generator=generators(0), output_type="pt").images
    assert torch.allclose(images, three, atol=1e-4)


def test_sample(small):
    result = small.sample(3, 20, generator=generators(0, 1, 2), output_type="pt")
    assert result.images.shape == (3, 3, 16, 16) and result.info["calls"] == 20
    alone = small.sample(1, 20, generator=generators(2), output_type="pt")
    assert (alone.images[0] - result.images[2]).abs().max() < 1e-3


def test_samples_are_drawn_with_eta_1(small):
    by_default, ddpm, half = (
        small.sample(1, 20, generator=generators(0), output_type="pt", **eta)
        for eta in ({}, {"eta": 1.0}, {"eta": 0.5})
    )
    assert by_default.info["eta"] == 1 and torch.equal(by_default.images, ddpm.images)
    assert (by_default.images - half.images).abs().max() > 0.01


@pytest.mark.parametrize("eta", [-0.1, 1.5, float("nan")])
def test_sample_checks_eta(small, eta):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        small.sample(1, 20, eta)
    small.scheduler = build_scheduler("dpm++")
    with pytest.raises(ValueError, match="needs DDIM"):
        small.sample(1, 5, 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_save_and_load(small, tmp_path, dtype):
    small.set_begin_index(300)
    before = small(noise(1), 20, generator=generators(0), output_type="pt").images
    small.to(dtype).save_pretrained(tmp_path)
    assert not list(tmp_path.rglob("*.bin")) and len(list(tmp_path.rglob("*.safetensors"))) == 2
    loaded = DifFacePipeline.from_pretrained(tmp_path, torch_dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    assert type(loaded.unet).__name__ == "UNet" and type(loaded.estimator) is FaceEstimator
    assert loaded.config.begin_index == 300 and loaded.scheduler.betas.equal(small.scheduler.betas)
    after = loaded(noise(1), 20, generator=generators(0), output_type="pt").images
    assert (after - before).abs().max() < (1e-6 if dtype == torch.float32 else 0.02)


def test_plain_diffusers_opens_a_saved_folder(small, tmp_path, monkeypatch):
    """As the docstring of `DifFacePipeline` says; diffusers copies the pipeline's file into a cache of its own."""
    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    small.set_begin_index(300)
    small.save_pretrained(tmp_path / "saved")
    with pytest.raises(AttributeError, match="DifFacePipeline"):  # diffusers alone does not know it
        DiffusionPipeline.from_pretrained(tmp_path / "saved")
    loaded = DiffusionPipeline.from_pretrained(
        tmp_path / "saved", custom_pipeline=difface.__path__[0], trust_remote_code=True
    )
    loaded.set_progress_bar_config(disable=True)
    assert type(loaded).__name__ == "DifFacePipeline" and loaded.config.begin_index == 300
    ours, theirs = (pipeline(noise(1), 20, generator=generators(0), output_type="pt") for pipeline in (small, loaded))
    assert (ours.images - theirs.images).abs().max() < 1e-6 and ours.info == theirs.info


def test_callback_can_change_the_sample_and_stop_the_call(small):
    seen = []

    def callback(pipeline, i, timestep, tensors):
        seen.append((i, timestep, sorted(tensors)))
        return {"sample": torch.zeros_like(tensors["sample"])}

    wanted = ["sample", "pred_original_sample"]
    small(noise(1), 20, callback_on_step_end=callback, callback_on_step_end_tensor_inputs=wanted)
    assert seen[0] == (0, 350, sorted(wanted)) and len(seen) == 8

    def stop(pipeline, i, timestep, tensors):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        small(noise(1), 20, callback_on_step_end=stop)


@pytest.mark.parametrize("name", ["ddim", "ddpm-noisy", "dpm++"])
def test_a_callback_can_interrupt_as_in_diffusers(small, name):
    small.scheduler = build_scheduler(name)
    seen, steps = [], 20 if name == "ddim" else 5

    def callback(pipeline, i, timestep, tensors):
        seen.append(tensors["sample"])
        pipeline._interrupt = i == 1
        return {}

    whole = small(noise(1), steps, generator=generators(0), output_type="pt").info
    assert small.num_timesteps == whole["calls"] and not small.interrupt
    result = small(noise(1), steps, generator=generators(0), output_type="pt", callback_on_step_end=callback)
    assert len(seen) == 2 and small.num_timesteps == whole["calls"]
    assert result.info["calls"] == 2 and result.info["timesteps"] == whole["timesteps"][:2]
    assert torch.equal(result.images, (seen[1] / 2 + 0.5).clamp(0, 1))
    assert small(noise(1), steps, generator=generators(0)).info == whole  # the next call is not


def test_arrays(small):
    arrays, tensors = (small(noise(2, 20), 20, generator=generators(0, 1), output_type=kind) for kind in ("np", "pt"))
    for array, tensor in ((arrays.images, tensors.images), (arrays.estimates, tensors.estimates)):
        assert array.shape == (2, 20, 20, 3) and array.dtype == np.float32
        assert np.array_equal(array, tensor.permute(0, 2, 3, 1).numpy())
    assert small.sample(1, 20, generator=generators(0), output_type="np").images.shape == (1, 16, 16, 3)


def test_offloaded_networks_are_freed_after_a_call(small):
    small.enable_model_cpu_offload(device="cpu")
    for call in (lambda: small(noise(1), 20), lambda: small.sample(1, 20)):
        hooks = list(small._all_hooks)
        call()
        # diffusers frees the networks by taking their hooks off and putting fresh ones on.
        assert len(hooks) == len(small._all_hooks) == 2
        assert not any(new is old for new, old in zip(small._all_hooks, hooks, strict=True))


def test_after_the_last_step_the_sample_is_x0(small):
    """abar is 1 there: what the constraint made of x0_hat comes out as it is."""
    states, y = [], noise(1)
    small(
        y,
        20,
        1.0,
        generators(0),
        constraint=Masked(torch.zeros(1, 1, 16, 16)),
        callback_on_step_end=lambda pipe, i, t, tensors: states.append(tensors),
        callback_on_step_end_tensor_inputs=["sample", "pred_original_sample"],
    )
    assert all((state["pred_original_sample"] - (2 * y - 1)).abs().max() < 1e-6 for state in states)  # x0', not x0_hat
    assert (states[-1]["sample"] - (2 * y - 1)).abs().max() < 1e-6


def test_the_step_is_in_float32_whatever_the_network(small):
    """x0_hat from the network's own eps (Eq. 7), to a precision that bfloat16 has not."""
    small.unet.to(torch.bfloat16)
    answers, states = [], []
    small.unet.register_forward_hook(lambda module, args, out: answers.append(out.sample))
    small(
        noise(1),
        20,
        generator=generators(0),
        callback_on_step_end=lambda pipe, i, t, tensors: states.append(tensors),
        callback_on_step_end_tensor_inputs=["sample", "pred_original_sample"],
    )
    assert answers[0].dtype == torch.bfloat16
    abar = small.scheduler.alphas_cumprod[300].double()
    x_t, eps = states[0]["sample"].double(), answers[1].double()
    x0_hat = ((x_t - (1 - abar).sqrt() * eps) / abar.sqrt()).clamp(-1, 1)
    assert (states[1]["pred_original_sample"] - x0_hat).abs().max() < 1e-6


@pytest.mark.parametrize("name", SCHEDULERS)
def test_x0_hat_is_clipped_by_every_sampler(small, name):
    small.scheduler = build_scheduler(name)
    forward = small.unet.forward
    small.unet.forward = lambda *args, **kwargs: UNet2DOutput(100 * forward(*args, **kwargs).sample)
    seen = []
    small(
        noise(1),
        20,
        generator=generators(0),
        callback_on_step_end=lambda pipe, i, t, tensors: seen.append(tensors["pred_original_sample"].abs().max()),
        callback_on_step_end_tensor_inputs=["pred_original_sample"],
    )
    assert max(seen) == 1


@pytest.mark.parametrize(
    ("name", "draws"), [("dpm++", False), ("unipc", False), ("dpm++sde", True), ("ddpm-noisy", True)]
)
def test_only_ddpm_and_the_sde_form_draw_noise_at_every_step(small, name, draws):
    small.scheduler = build_scheduler(name)
    zeta = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    a, b = (small(noise(1), generator=generators(k), noise=zeta, output_type="pt").images for k in (0, 1))
    assert torch.equal(a, b) != draws
    if draws:  # by as much as its noise, which the last step, straight to x0_hat, leaves to the network
        assert (a - b).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(eta=-1), r"`eta` must be in \[0, 1\]; got -1"),
        (dict(eta=float("nan")), "eta"),
        (dict(num_inference_steps=0), "got 0"),
        (dict(num_inference_steps=7), "5 and 8"),
        (dict(num_inference_steps=1001), "500 and 1000"),
        (dict(num_images_per_input=0), "whole number from 1"),
        (dict(generator=[torch.Generator()] * 3), "one torch.Generator per output picture"),
        (dict(generator=generators(0), num_images_per_input=2), r"per output picture \(2\); got 1"),
        (dict(generator=[0]), "torch.Generators on the CPU.*got int"),
        (dict(output_type="latent"), "'pil', 'pt' or 'np'"),
        (dict(image=[*noise(1), *noise(1, 20)], output_type="pt"), "`output_type='pt'` needs inputs of one size"),
        (dict(image=[*noise(1), *noise(1, 20)], output_type="np"), "`output_type='np'` needs inputs of one size"),
        (dict(noise=torch.zeros(1, 3, 8, 8)), "`noise` must be"),
        (dict(noise=torch.zeros(1, 3, 16, 16), num_images_per_input=2), r"\(2, 3, 16, 16\); got \(1, 3, 16, 16\)"),
        (dict(noise=np.zeros((1, 3, 16, 16))), "`noise` must be a tensor .*got ndarray"),
        (dict(noise=torch.full((1, 3, 16, 16), torch.nan)), "`noise` must hold finite numbers"),
        (dict(step_noise=torch.zeros(3, 1, 3, 16, 16)), "`step_noise` must be"),
        (dict(step_noise=torch.full((100, 1, 3, 16, 16), torch.inf)), "`step_noise` must hold finite numbers"),
        (dict(constraint=torch.zeros(1, 1, 16, 16)), "`constraint` must be one of .*got Tensor"),
        (dict(constraint=Masked(torch.zeros(2, 1, 16, 16))), r"one per picture \(1\); got 2"),
        (dict(constraint=Masked(torch.zeros(1, 1, 16, 8))), "same shape"),
        (dict(callback_on_step_end_tensor_inputs=["latents"]), "latents"),
        (dict(callback_on_step_end=1), "`callback_on_step_end` must be a function or None; got int"),
    ],
)
def test_refused_before_a_network_runs(small, arguments, says, monkeypatch):
    for network in (small.unet, small.estimator):
        monkeypatch.setattr(network, "forward", lambda *args, **kwargs: pytest.fail("a network ran"))
    with pytest.raises((ValueError, TypeError), match=says) as caught:
        small(**({"image": noise(1)} | arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(count=0), "whole number from 1"),
        (dict(generator=generators(0)), r"one torch.Generator per output picture \(2\); got 1"),
        (dict(generator=[1, 2]), "got int"),
        (dict(output_type="latent"), "'pil', 'pt' or 'np'"),
        (dict(num_inference_steps=7), "5 and 8"),
        (dict(callback_on_step_end="progress"), "must be a function or None; got str"),
    ],
)
def test_samples_are_refused_before_the_network_runs(small, arguments, says, monkeypatch):
    monkeypatch.setattr(small.unet, "forward", lambda *args, **kwargs: pytest.fail("the network ran"))
    with pytest.raises((ValueError, TypeError), match=says):
        small.sample(**({"count": 2} | arguments))


def test_check_inputs_returns_nothing(small):
    inputs = list(noise(2))
    steps = chain(small.scheduler, 400, 20)
    assert small.check_inputs(inputs, steps, 1, None, None, None, "np", ["sample"]) is None


@pytest.mark.parametrize("begin_index", [0, -1, 1001, 2.5, "400", True])
def test_refused_start(small, begin_index):
    with pytest.raises(ValueError, match=r"1\.\.1000"):
        small.set_begin_index(begin_index)
    assert small.config.begin_index == 400


def test_step_noise_needs_ddim(small, monkeypatch):
    small.scheduler = build_scheduler("dpm++sde")
    monkeypatch.setattr(small.estimator, "forward", lambda *args: pytest.fail("the estimator ran"))
    with pytest.raises(ValueError, match="`step_noise` needs DDIM"):
        small(noise(1), step_noise=torch.zeros(5, 1, 3, 16, 16))


def test_refused_combinations(small):
    small.set_begin_index(1000)
    with pytest.raises(ValueError, match="at most 999"):
        small(noise(1), official_start=True)
    with pytest.raises(ValueError, match="no estimator"):
        DifFacePipeline(small.unet, small.scheduler)(noise(1))
