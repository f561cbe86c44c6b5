"""FD-prior: its features are the prior's mid block, it sees damage, and its agreement with identity can be measured."""

from dataclasses import replace

import pytest
import torch
from conftest import small_unet

from difface import images, profiles
from difface.metrics import FDPrior, fd_prior
from difface.schedulers import build_scheduler


@pytest.fixture(scope="module")
def face(astronaut_face) -> torch.Tensor:
    return images.to_tensors(astronaut_face)[0][None]


def crowd(face: torch.Tensor, count: int) -> torch.Tensor:
    """The face in other light, shifted a little and mirrored."""
    generator = torch.Generator().manual_seed(0)
    light = torch.rand(count, 3, 1, 1, generator=generator) * 0.5 + 0.5
    shifts = torch.randint(-3, 4, (count, 2), generator=generator).tolist()
    moved = torch.cat(
        [face.roll(shift, (2, 3)).flip(3) if k % 2 else face.roll(shift, (2, 3)) for k, shift in enumerate(shifts)]
    )
    return moved * light


def test_features_are_the_mid_block_of_the_noised_face():
    unet, seen = small_unet(), []
    unet.mid_block.register_forward_hook(lambda *call: seen.append(call[2].mean((2, 3))))
    pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours = FDPrior(small_unet()).features(pictures)
    abar = build_scheduler("ddim").alphas_cumprod
    zeta = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    t = fd_prior.TIMESTEP
    with torch.no_grad():
        unet(abar[t].sqrt() * (2 * pictures - 1) + (1 - abar[t]).sqrt() * zeta, t)
    assert torch.allclose(ours, seen[0], atol=1e-5) and ours.std() > 1e-3
    one_by_one = torch.cat([FDPrior(small_unet()).features(one[None]) for one in pictures])
    assert torch.allclose(ours, one_by_one, atol=1e-5)


def test_the_given_prior_stays_whole():
    unet = small_unet()
    FDPrior(unet)
    assert unet(torch.zeros(1, 3, 16, 16), 0).sample.shape == (1, 3, 16, 16)


def test_its_version_is_that_of_the_embedded_weights(tmp_path, monkeypatch):
    before = FDPrior().version
    assert len(before) == 10 and FDPrior(small_unet()).version == ""
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"trained anew")
    trained = replace(profiles.profile("tiny"), unet=lambda: tmp_path)
    monkeypatch.setitem(profiles.PROFILES, "tiny", trained)
    fd_prior._digest.cache_clear()
    assert FDPrior().version != before
    fd_prior._digest.cache_clear()


def test_other_sizes_are_resized(face):
    large = torch.nn.functional.interpolate(face, scale_factor=4)
    same = torch.nn.functional.interpolate(large, (64, 64), mode="bilinear", antialias=True)
    assert torch.equal(FDPrior().features(large), FDPrior().features(same))


def test_it_sees_damage(face):
    people, distances = crowd(face, 16), []
    for sigma in (0.0, 0.05, 0.2):
        noise = torch.randn(people.shape, generator=torch.Generator().manual_seed(1))
        metric = FDPrior()
        metric.update(people, real=True)
        metric.update((people + sigma * noise).clamp(0, 1))
        distances.append(metric.compute())
    assert abs(distances[0]) < 1e-3 < distances[1] < distances[2]
