"""The sampler is the official one: noise, 100 steps of a 250-step respacing, the inpainting step, in `__call__`."""

import json

import pytest
import torch
from conftest import official_unet
from safetensors.torch import load_file

from difface import DifFacePipeline, FaceEstimator, Masked, build_scheduler
from difface.models.unet import UNet


class Given(FaceEstimator):
    """An estimator that answers with the fixture's f(y)."""

    def __init__(self, answer: torch.Tensor):
        super().__init__("srcnn", {"channels": 4, "depth": 2, "down_factor": 2})
        self.answer = answer

    def forward(self, image: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.answer


@pytest.fixture(scope="module")
def unet(parity, tmp_path_factory) -> UNet:
    return official_unet(parity, tmp_path_factory.mktemp("unet"))


def pipeline(unet: UNet, x0_hat: torch.Tensor) -> DifFacePipeline:
    made = DifFacePipeline(unet, build_scheduler("ddim"), Given((x0_hat + 1) / 2), begin_index=400)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_restoration(parity, unet, eta):
    fixture = load_file(parity / "restore_ddim250_start100.safetensors")
    states = []
    result = pipeline(unet, fixture["x0_hat"])(
        torch.rand(1, 3, 32, 32),
        num_inference_steps=250,
        eta=eta,
        official_start=True,
        noise=fixture["noise"],
        step_noise=fixture["step_noise"],
        output_type="pt",
        callback_on_step_end=lambda pipe, i, t, tensors: states.append(tensors["sample"]),
    )
    assert result.info["calls"] == 100
    assert result.info["timesteps"] == list(range(396, -1, -4))
    assert result.info["noise_timestep"] == 400
    assert (states[-1] - fixture[f"out_eta{eta}"]).abs().max() < 1e-4
    assert (2 * result.images - 1 - fixture[f"out_eta{eta}"].clamp(-1, 1)).abs().max() < 1e-4


def test_start(parity, unet, monkeypatch):
    fixture = load_file(parity / "restore_ddim250_start100.safetensors")
    made = pipeline(unet, fixture["x0_hat"])
    seen = []
    monkeypatch.setattr(made, "_denoise", lambda sample, *args, **kwargs: (seen.append(sample) or sample, 0))
    made(torch.rand(1, 3, 32, 32), official_start=True, noise=fixture["noise"], output_type="pt")
    assert (seen[0] - fixture["x_N"]).abs().max() < 1e-6


@pytest.mark.parametrize("gamma", [0.5, 0.2])
def test_inpainting(parity, unet, gamma):
    fixture = load_file(parity / "inpaint_ddim250_start100.safetensors")
    states = []
    pipeline(unet, fixture["x0_hat"])(
        (fixture["y0"] + 1) / 2,
        num_inference_steps=250,
        eta=1.0,
        official_start=True,
        constraint=Masked(fixture["mask"], rule="step", gamma=gamma),
        noise=fixture["noise"],
        step_noise=fixture["step_noise"],
        output_type="pt",
        callback_on_step_end=lambda pipe, i, t, tensors: states.append(tensors["sample"]),
    )
    assert (states[-1] - fixture[f"out_gamma{gamma}_eta1.0"]).abs().max() < 1e-4


def test_schedule(parity):
    stored = json.loads((parity / "ddim250_schedule.json").read_text())
    scheduler = build_scheduler("ddim")
    scheduler.set_timesteps(250)
    ascending = scheduler.timesteps.flip(0)
    assert ascending[:5].tolist() == stored["timestep_map_first5"] and ascending[100] == stored["timestep_map_100"]
    respaced = scheduler.alphas_cumprod.double()[ascending]
    assert torch.allclose(
        respaced[:5], torch.tensor(stored["alphas_cumprod_respaced_first5"], dtype=torch.float64), atol=1e-6
    )
    assert abs(respaced[100] - stored["alphas_cumprod_respaced_100"]) < 1e-6
