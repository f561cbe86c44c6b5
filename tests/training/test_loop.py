"""Training learns, resumes exactly, and says what is wrong."""

import csv
import json
import time
from pathlib import Path

import pytest
import torch
from conftest import small_unet
from diffusers import DDPMScheduler
from safetensors.torch import load_file
from torch.optim.optimizer import register_optimizer_step_pre_hook

from difface import images
from difface.training.data import Faces, TrainingError
from difface.training.loop import Settings, fit
from difface.training.prior import augment, eps_loss, spread

SCHEDULER = DDPMScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02)


def loss(model, batch, generator):
    x_0 = augment(batch.x_0, generator)
    return eps_loss(model, SCHEDULER, x_0, spread(batch.soft, 0, 1000, generator), generator)


def settings(**changes) -> Settings:
    base = dict(steps=6, batch_size=2, learning_rate=1e-3, warmup=2, decay=3, ema_decay=0.9, precision="no")
    return Settings(**(base | changes))


@pytest.fixture
def faces(tmp_path) -> Faces:
    for k in range(5):
        flat = torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(k)).expand(3, 16, 16)
        images.write(images.to_pil(flat), tmp_path / "faces" / f"{k}.png")
    return Faces([tmp_path / "faces"], 16)


def test_killed_and_resumed_equals_unbroken(faces, tmp_path, monkeypatch):
    fit(small_unet(), faces, loss, settings(), tmp_path / "unbroken")

    calls = []

    def killed(model, batch, generator):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return loss(model, batch, generator)

    with pytest.raises(KeyboardInterrupt):
        fit(small_unet(), faces, killed, settings(checkpoint_minutes=0), tmp_path / "killed")
    fit(small_unet(), faces, loss, settings(), tmp_path / "killed")
    unbroken, resumed = (
        load_file(tmp_path / name / "diffusion_pytorch_model.safetensors") for name in ("unbroken", "killed")
    )
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    start = small_unet().state_dict()
    assert any(not torch.equal(unbroken[name], start[name]) for name in unbroken)


def test_the_average_is_saved_and_not_the_last_weights(faces, tmp_path):
    """By hand from the weights after every step: diffusers' EMAModel with its own warm-up of the decay."""
    passed = []

    def spy(model, batch, generator):
        passed.append([p.detach().clone() for p in model.parameters()])
        return loss(model, batch, generator)

    model = small_unet()
    fit(model, faces, spy, settings(ema_decay=0.5), tmp_path / "out")
    last = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["model"]
    saved = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    average = passed[0]
    for step, weights in enumerate([*passed[1:], [last[name] for name, _ in model.named_parameters()]]):
        decay = min(0.5, (1 + step) / (10 + step)) if step else 0
        average = [decay * old + (1 - decay) * new for old, new in zip(average, weights, strict=True)]
    for (name, _), wanted in zip(model.named_parameters(), average, strict=True):
        assert torch.allclose(saved[name], wanted, atol=1e-6)
    assert any(not torch.allclose(saved[name], last[name], atol=1e-5) for name in saved)


@pytest.mark.parametrize("scale", [1e4, 1e-4])
def test_gradients_are_clipped_to_a_norm_of_1(faces, tmp_path, scale):
    norms = []

    def record(optimizer, *_):
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms.append(torch.stack([grad.norm() for grad in grads]).norm().item())

    handle = register_optimizer_step_pre_hook(record)
    try:
        fit(small_unet(), faces, lambda *given: scale * loss(*given), settings(steps=2), tmp_path / "out")
    finally:
        handle.remove()
    assert len(norms) == 2
    assert norms == pytest.approx([1, 1], abs=1e-3) if scale > 1 else 0 < max(norms) < 0.01


def test_loss_falls(faces, tmp_path):
    fit(small_unet(), faces, loss, settings(steps=150, batch_size=5, warmup=5), tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert [row["step"] for row in rows] == ["50", "100", "150"]
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])


def test_a_resumed_training_logs_the_mean_of_what_it_has_seen(faces, tmp_path):
    plan = dict(batch_size=5, learning_rate=0)
    fit(small_unet(), faces, loss, settings(steps=40, **plan), tmp_path / "out")
    fit(small_unet(), faces, loss, settings(steps=50, **plan), tmp_path / "out")
    fit(small_unet(), faces, loss, settings(steps=50, **plan), tmp_path / "unbroken")
    logged, unbroken = (
        float(next(csv.DictReader((tmp_path / name / "log.csv").open()))["loss"]) for name in ("out", "unbroken")
    )
    assert logged == pytest.approx(unbroken, rel=0.2)


def test_minutes_stop_cleanly(faces, tmp_path):
    started = time.monotonic()
    fit(small_unet(), faces, loss, settings(steps=10**6, minutes=0.02), tmp_path / "out")
    assert time.monotonic() - started < 20
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert 0 < state["step"] < 10**6 and {"model", "ema", "optimizer"} <= set(state)


def test_rate():
    plan = settings(steps=100, warmup=10, decay=50, learning_rate=1.0)
    assert plan.rate(0) == 0.1 and plan.rate(9) == plan.rate(50) == 1 and plan.rate(75) == 0.5 and plan.rate(99) == 0.02


def test_another_network_is_refused(faces, tmp_path):
    fit(small_unet(), faces, loss, settings(steps=1), tmp_path / "out")
    with pytest.raises(TrainingError, match="another network"):
        fit(small_unet(block_out_channels=(16, 48)), faces, loss, settings(steps=2), tmp_path / "out")


def test_the_weights_are_written_whole_or_not_at_all(faces, tmp_path, monkeypatch):
    model, folder = small_unet(), tmp_path / "out"
    fit(model, faces, loss, settings(steps=1), folder)
    before = (folder / "diffusion_pytorch_model.safetensors").read_bytes()

    def full(self, directory, **_):
        (Path(directory) / "diffusion_pytorch_model.safetensors").write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(type(model), "save_pretrained", full)
    with pytest.raises(OSError, match="No space"):
        fit(small_unet(), faces, loss, settings(steps=2), folder)
    assert (folder / "diffusion_pytorch_model.safetensors").read_bytes() == before
    assert not list(folder.glob(".difface-*"))


def test_a_resumed_run_takes_the_decay_that_is_asked_for_and_records_it(faces, tmp_path):
    fit(small_unet(), faces, loss, settings(steps=3), tmp_path / "out", told={"p2_gamma": 0.5})
    fit(small_unet(), faces, loss, settings(steps=30, ema_decay=0.0), tmp_path / "out", told={"p2_gamma": 0.5})
    averaged = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    last = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(averaged[name], last[name]) for name in averaged)  # decay 0: the average is the last weights
    record = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert record["p2_gamma"] == 0.5 and record["ema_decay"] == 0.0
