"""The tasks of the estimators: their losses by hand, exact resume, and the networks that they train."""

import pytest
import torch
from safetensors.torch import load_file

from difface import images, masks
from difface.models.estimator import LAMA_256, LAMA_TINY, SWINIR_512, SWINIR_TINY, FaceEstimator
from difface.training import estimator as training
from difface.training.data import Batch, Faces, TrainingError, generator_of
from difface.training.loop import Settings
from difface.training.prior import augment

WEIGHTS = "diffusion_pytorch_model.safetensors"


def settings(**changes) -> Settings:
    base = dict(steps=4, batch_size=2, learning_rate=1e-3, warmup=1, decay=2, ema_decay=0.9, precision="no")
    return Settings(**(base | changes))


@pytest.fixture
def folder(tmp_path):
    for k in range(3):
        face = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(k))
        images.write(images.to_pil(face), tmp_path / "faces" / f"{k}.png")
    return tmp_path / "faces"


@pytest.mark.parametrize("task", ["inpaint", "sr4"])
def test_killed_and_resumed_equals_unbroken(folder, tmp_path, monkeypatch, task):
    def train(name: str, **changes) -> None:
        training.train_estimator(Faces([folder], 32), tmp_path / name, None, settings(**changes), task=task)

    train("unbroken")
    original, calls = training.mirrored, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "mirrored", killed)
        with pytest.raises(KeyboardInterrupt):
            train("killed", checkpoint_minutes=0)
    assert not (tmp_path / "killed" / WEIGHTS).exists()
    train("killed")
    unbroken, resumed = (load_file(tmp_path / name / WEIGHTS) for name in ("unbroken", "killed"))
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    trained = FaceEstimator.from_pretrained(tmp_path / "killed")
    assert trained.takes_mask == (task == "inpaint")


def sharp(x_0: torch.Tensor) -> Batch:
    return Batch(x_0, torch.zeros(len(x_0), dtype=torch.bool))


class Constant:
    """Answers 0.5 everywhere and remembers what it was asked."""

    def __call__(self, image, mask=None, clamp=True):
        self.image, self.mask = image, mask
        return torch.full_like(image, 0.5)


def test_inpainting_loss_by_hand():
    model, x_0 = Constant(), torch.rand(4, 3, 32, 32)
    loss = training.inpainting_loss(32)(model, sharp(x_0), generator_of(0))
    missing = model.mask.expand_as(x_0) == 1
    error = (model.image - 0.5).abs()
    by_hand = (10 * error[missing].sum() + error[~missing].sum()) / (10 * missing.sum() + (~missing).sum())
    assert torch.allclose(loss, by_hand) and model.mask.shape == (4, 1, 32, 32) and 0 < model.mask.mean() < 1
    assert all(torch.equal(one, x) or torch.equal(one, x.flip(-1)) for one, x in zip(model.image, x_0, strict=True))


@pytest.mark.parametrize("learner", ["prior", "inpaint", "sr4"])
def test_faces_are_mirrored_half_the_time(learner):
    x_0 = torch.zeros(200, 3, 16, 16)
    x_0[..., 8:] = 1  # bright on the right
    if learner == "prior":
        seen = augment(x_0, generator_of(0))
    else:
        model = Constant()
        training.TASKS[learner][0](16)(model, sharp(x_0), generator_of(0))
        seen = model.image
    on_the_left = seen[..., :8].mean((1, 2, 3)) > seen[..., 8:].mean((1, 2, 3))
    assert 80 <= on_the_left.sum() <= 120


def test_super_resolution_loss_by_hand():
    model, x_0 = Constant(), torch.rand(1, 3, 16, 16)
    x_0 = (x_0 + x_0.flip(-1)) / 2  # the same mirrored
    loss = training.super_resolution_loss(16)(model, sharp(x_0), generator_of(0))
    assert torch.allclose(loss, (x_0 - 0.5).abs().mean())
    for row, column in ((0, 0), (5, 9), (15, 2)):
        block = x_0[0, :, row // 4 * 4 : row // 4 * 4 + 4, column // 4 * 4 : column // 4 * 4 + 4]
        assert torch.allclose(model.image[0, :, row, column], block.mean((1, 2)))


def test_a_hole_is_learned(tmp_path):
    """Flat pictures: what is missing follows from what is known."""
    for k in range(4):
        flat = torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(k)).expand(3, 32, 32)
        images.write(images.to_pil(flat), tmp_path / "flat" / f"{k}.png")
    plan = settings(steps=60, batch_size=8, learning_rate=2e-3, warmup=5, decay=20)
    training.train_estimator(Faces([tmp_path / "flat"], 32), tmp_path / "out", None, plan, task="inpaint")
    rows = (tmp_path / "out" / "log.csv").read_text().splitlines()
    faces = torch.stack([images.to_tensors(images.read(tmp_path / "flat" / f"{k}.png"))[0] for k in range(4)])
    mask = masks.Mask("box", boxes=((80, 80, 180, 180),)).paint(32).expand(4, -1, -1, -1)
    untrained = (faces - 0.5).abs().mean()
    with torch.no_grad():
        error = (FaceEstimator.from_pretrained(tmp_path / "out").eval()(faces, mask) - faces).abs()
    assert len(rows) == 2 and error[mask.expand_as(faces) == 1].mean() < 0.5 * untrained


def test_networks_by_size():
    assert training.network("lama", 64) is LAMA_TINY and training.network("lama", 256) is LAMA_256
    assert training.network("swinir", 64) is SWINIR_TINY and training.network("swinir", 256) is SWINIR_512
    count = sum(p.numel() for p in FaceEstimator("lama", LAMA_TINY).parameters())
    assert count == 2_694_195 < 3e6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(task="deblur"), "restore, inpaint, sr4; got 'deblur'"),
        (dict(task="inpaint", architecture="swinir"), "one of lama for the task 'inpaint'"),
        (dict(architecture="lama"), "swinir, srcnn for the task 'restore'"),
    ],
)
def test_refused(folder, tmp_path, arguments, says):
    given = dict(architecture=None, task="restore") | arguments
    with pytest.raises(TrainingError, match=says):
        training.train_estimator(Faces([folder], 32), tmp_path / "out", settings=settings(), **given)
    assert not (tmp_path / "out").exists()


def test_a_size_that_has_no_blocks_of_four_is_refused():
    with pytest.raises(TrainingError, match="multiple of 4 for this task; got 30"):
        training.super_resolution_loss(30)
