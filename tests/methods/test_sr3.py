"""SR3: what its network is told and shown, its chain against a plain one, and that the training teaches it to look."""

import numpy as np
import pytest
import torch
from conftest import small_unet

from difface import images, profiles
from difface.methods.sr3 import SR3, enlarged, noise_level
from difface.models.unet import UNet
from difface.training.data import Batch, Faces, TrainingError
from difface.training.loop import Settings
from difface.training.sr3 import sr3_loss, train_sr3, widened
from difface.weights import WeightMissing

ABAR = np.cumprod(1 - np.linspace(1e-6, 1e-2, 2000))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def unet() -> UNet:
    return small_unet(in_channels=6)


def test_the_chain_is_that_of_the_usual_code(unet) -> None:
    method, small = SR3(unet, steps=40), torch.rand(2, 3, 4, 4, generator=seeded(0))
    method.set_progress_bar_config(disable=True)
    draws = [torch.randn(2, 3, 16, 16, generator=seeded(k)) for k in range(41)]
    given = method.restore(small, scale=4, draws=draws)

    y, x = enlarged(2 * small - 1, 16).double(), draws[0].double()
    grid = np.linspace(0, 1999, 40).round().astype(int)
    abar = np.append(ABAR[grid], 1.0)  # the last entry is met as abar[-1]
    for i, z in zip(range(39, -1, -1), draws[1:], strict=True):
        with torch.no_grad():
            eps = unet(torch.cat([y, x], 1).float(), noise_level(torch.tensor([abar[i]] * 2))).sample.double()
        x_0 = ((x - np.sqrt(1 - abar[i]) * eps) / np.sqrt(abar[i])).clamp(-1, 1)
        alpha = abar[i] / abar[i - 1]
        x = (np.sqrt(abar[i - 1]) * (1 - alpha) * x_0 + np.sqrt(alpha) * (1 - abar[i - 1]) * x) / (1 - abar[i])
        if i:
            x = x + np.sqrt((1 - alpha) * (1 - abar[i - 1]) / (1 - abar[i])) * z.double()
    assert (given - (x / 2 + 0.5).clamp(0, 1)).abs().max() < 1e-4


def test_all_2000_steps_are_the_default(unet) -> None:
    assert SR3(unet).timesteps("super-resolution") == list(range(1999, -1, -1))
    assert SR3(unet).calls("super-resolution") == 2000


def test_the_noise_level_is_a_time_of_the_priors_chain() -> None:
    prior = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    told = noise_level(torch.tensor([1.0, prior[0], prior[400], (prior[400] + prior[401]) / 2, ABAR[1000]]))
    assert told[:4].tolist() == pytest.approx([-1, 0, 400, 400.5], abs=1e-2)
    assert np.interp(told[4].item(), np.arange(1000), prior) == pytest.approx(ABAR[1000], rel=1e-3)


def test_a_batch_equals_its_singles(unet) -> None:
    method, small = SR3(unet, steps=10), torch.rand(2, 3, 2, 2, generator=seeded(1))
    method.set_progress_bar_config(disable=True)
    both = method.restore(small, scale=8, generator=[seeded(5), seeded(6)])
    second = method.restore(small[1:], scale=8, generator=seeded(6))
    assert (both[1:] - second).abs().max() < 1e-4 and not torch.equal(both[0], both[1])


def test_a_widened_prior_answers_as_before() -> None:
    prior = small_unet()
    x, y, t = torch.randn(1, 3, 16, 16, generator=seeded(2)), torch.randn(1, 3, 16, 16), torch.tensor([7.0])
    with torch.no_grad():
        assert (widened(prior)(torch.cat([y, x], 1), t).sample - prior(x, t).sample).abs().max() < 1e-6


def test_the_loss_shows_block_means_and_a_level_between_neighbours() -> None:
    seen = []

    def network(shown, level):
        seen.append((shown, level))
        return type("Output", (), {"sample": torch.zeros_like(shown[:, :3])})

    x_0 = torch.rand(16, 3, 16, 16, generator=seeded(3))
    loss = sr3_loss(8)(network, Batch(x_0, torch.zeros(16, dtype=torch.bool)), seeded(4))
    assert loss.item() == pytest.approx(np.sqrt(2 / np.pi), rel=0.03)  # mean |eps| of a network that answers 0
    (shown, level), means = seen[0], 2 * torch.nn.functional.avg_pool2d(x_0, 8) - 1
    mirrored = torch.stack(
        [
            torch.minimum((shown[:, :3] - enlarged(m, 16)).abs().amax((1, 2, 3)), torch.tensor(9.0))
            for m in (means, means.flip(-1))
        ]
    )
    assert mirrored.min(0).values.max() < 1e-5
    # x - sqrt(abar) x_0 has the variance 1 - abar of the level that is told
    abar = torch.from_numpy(np.interp(level.numpy(), np.arange(1000), np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))))
    flipped = mirrored[1] < mirrored[0]
    clean = 2 * torch.where(flipped[:, None, None, None], x_0.flip(-1), x_0) - 1
    noise = shown[:, 3:] - abar.sqrt()[:, None, None, None] * clean
    assert noise.std((1, 2, 3)).numpy() == pytest.approx((1 - abar).sqrt().numpy(), rel=0.15, abs=0.02)
    assert len(set(level.tolist())) == 16 and level.max() > 900 and level.min() < 100


def test_the_training_learns_to_look_at_the_small_picture(tmp_path, monkeypatch) -> None:
    for k, colour in enumerate(torch.rand(24, 3, 1, 1, generator=seeded(9))):
        images.write(images.to_pil(colour.expand(3, 16, 16)), tmp_path / "faces" / f"{k:02d}.png")
    faces = Faces([tmp_path / "faces"], 16)
    plan = Settings(steps=150, batch_size=8, learning_rate=3e-3, warmup=10, decay=75, ema_decay=0.95, precision="no")
    monkeypatch.setattr("difface.training.prior.network", lambda size, in_channels: small_unet(in_channels=in_channels))
    train_sr3(faces, tmp_path / "out", plan, scale=8)
    unet = UNet.from_pretrained(tmp_path / "out")

    def of_another(shown, level):
        return unet(torch.cat([shown[:, :3].roll(1, 0), shown[:, 3:]], 1), level)

    colours = torch.rand(24, 3, 1, 1, generator=seeded(10)).expand(24, 3, 16, 16)
    batch = Batch(colours, torch.zeros(24, dtype=torch.bool))
    with torch.no_grad():
        right, wrong = (sr3_loss(8)(network, batch, seeded(11)).item() for network in (unet, of_another))
    assert right < 0.3  # 0.8 without any training
    assert wrong > 1.1 * right  # equal if it does not look


@pytest.mark.parametrize("scale", [1, 3])
def test_a_scale_that_does_not_fit_is_refused(tmp_path, scale) -> None:
    images.write(images.to_pil(torch.rand(3, 16, 16)), tmp_path / "0.png")
    plan = Settings(steps=1, batch_size=1, learning_rate=0, warmup=0, decay=0, ema_decay=0)
    with pytest.raises(TrainingError, match=f"divides `size` 16; got {scale}"):
        train_sr3(Faces([tmp_path], 16), tmp_path / "out", plan, scale=scale)


def test_what_it_cannot_do_is_one_line(unet, tmp_path, monkeypatch) -> None:
    with pytest.raises(ValueError, match="SR3 takes a small picture with `scale=`; got a degraded picture alone"):
        SR3(unet).restore(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="6 input channels"):
        SR3(small_unet())
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightMissing, match="train sr3 --data DIR --size 64 -o"):
        SR3.load("tiny")
    unet.save_pretrained(tmp_path / f"sr3-{profiles.profile('tiny').size}")
    assert SR3.load("tiny", "cpu", steps=5).calls("super-resolution") == 5
