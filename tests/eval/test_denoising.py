"""The held-out measure of a prior: right for a prior whose answer is known."""

import numpy as np
import pytest
import torch
from PIL import Image

from difface import images
from difface.models.unet import UNet
from eval.denoising import TIMESTEPS, denoising_psnr


@pytest.fixture
def faces(tmp_path, astronaut_face):
    images.write(astronaut_face, tmp_path / "faces" / "a.png")
    images.write(astronaut_face.transpose(Image.Transpose.FLIP_LEFT_RIGHT), tmp_path / "faces" / "b.png")
    return tmp_path / "faces"


def test_a_prior_that_predicts_no_noise_is_as_far_off_as_the_noise(tmp_path, faces, astronaut_face) -> None:
    unet = UNet(block_out_channels=(16, 16, 16, 16), norm_num_groups=8, attn_norm_num_groups=8, attention_head_dim=8)
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    unet.save_pretrained(tmp_path / "zero")
    found = denoising_psnr(tmp_path / "zero", faces, torch.float32)
    # With eps = 0, x0_hat = clip(x_0 + sigma z): by Monte Carlo with numpy's own noise.
    betas = np.linspace(1e-4, 0.02, 1000)
    x_0 = np.asarray(astronaut_face, float) / 127.5 - 1
    x_0 = np.stack([x_0] * 40)
    noise = np.random.default_rng(3).normal(size=x_0.shape)
    for t in TIMESTEPS:
        abar = np.prod(1 - betas[: t + 1])
        x0_hat = np.clip(x_0 + np.sqrt((1 - abar) / abar) * noise, -1, 1)
        assert found[t] == pytest.approx(-10 * np.log10((((x0_hat - x_0) / 2) ** 2).mean()), abs=0.1)


def test_the_embedded_prior_removes_noise(faces) -> None:
    from difface import profiles

    found = denoising_psnr(profiles.ASSETS / "tiny" / "unet", faces, torch.float32)
    assert list(found) == list(TIMESTEPS) and found[25] > 30 > found[250] > 18 > found[800]
