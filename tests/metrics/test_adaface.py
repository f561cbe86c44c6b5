"""NTIRE's identity filter: AdaFace's `ir_50` sees BGR faces of 112 pixels, results beside their inputs."""

import cv2
import numpy as np
import pytest
import torch
from conftest import seeded

from difface import images
from difface.faces import FFHQ_TEMPLATE
from difface.metrics import METRICS, adaface
from difface.metrics.identity import ARCFACE_TEMPLATE
from difface.models.adaface50 import AdaFace50
from difface.weights import WeightMissing
from eval.datasets import build_real
from eval.run import Runner
from eval.settings import Setting
from eval.tables import ntire


@pytest.fixture(scope="module")
def network() -> AdaFace50:
    """Random weights from seeds."""
    return seeded(AdaFace50())


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    """As Lightning saves it: the network's names after `model.`, and the training's head beside it."""
    folder = tmp_path_factory.mktemp("adaface")
    state = {f"model.{name}": value for name, value in network.state_dict().items()} | {
        "head.kernel": torch.zeros(2, 2)
    }
    torch.save({"state_dict": state, "epoch": 25}, folder / adaface.ADAFACE)
    return folder


@pytest.fixture
def checkpoint(saved, monkeypatch):
    """The file is where weights are looked for."""
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(saved))
    yield
    adaface._network.cache_clear()


def test_names_and_numbers_are_the_official_ones(network):
    """A second network, from a copy of the official listing, gave the same to the bit; the file was never here."""
    names = set(network.state_dict())
    assert {"input_layer.0.weight", "input_layer.2.weight", "body.3.shortcut_layer.0.weight"} < names
    assert {"body.23.res_layer.5.running_var", "output_layer.3.bias", "output_layer.4.running_mean"} < names
    assert not {"body.0.shortcut_layer.0.weight", "body.24.res_layer.0.weight", "output_layer.4.weight"} & names
    assert len(names) == 467 and sum(parameter.numel() for parameter in network.parameters()) == 43_585_600
    faces = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        found = network(faces)
    expected = torch.tensor([[-25507.9, -60995.1, 205020.2, 11714.7], [-107905.3, -13096.4, 216035.9, -6456.8]])
    assert torch.allclose(found[:, :4], expected, rtol=1e-3) and found.shape == (2, 512)


def test_the_cosine_is_that_of_bgr_crops(checkpoint, network, astronaut_face):
    """The crop by OpenCV's own warp from the same points."""
    one = images.to_tensors(astronaut_face)[0][None]
    two = (one + 0.1 * torch.randn(one.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    metric = adaface.AdaFaceCosine()
    metric.update(torch.cat([one, two]), torch.cat([one, one]))

    matrix, _ = cv2.estimateAffinePartial2D(FFHQ_TEMPLATE * 64, ARCFACE_TEMPLATE, method=cv2.LMEDS)
    crops = [cv2.warpAffine(images.to_uint8(face[0])[:, :, ::-1], matrix, (112, 112)) for face in (one, two)]
    bgr = torch.tensor(np.stack(crops)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        a, b = network((bgr - 0.5) / 0.5).double()
    expected = float(a @ b / a.norm() / b.norm())
    assert metric.values == pytest.approx([1, expected], abs=2e-3) and expected < 0.999
    assert METRICS["AdaFace cosine"] is adaface.AdaFaceCosine


def test_without_the_checkpoint_it_is_said(no_weights):
    with pytest.raises(WeightMissing, match=adaface.ADAFACE):
        adaface.AdaFaceCosine().update(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))


def test_a_run_compares_with_the_input(checkpoint, face, tmp_path):
    """Of a photo without truth; the input is itself."""
    photos = build_real(face.parent, tmp_path / "data", 64, limit=1)
    guess, runner = Setting("tiny", "swinir"), Runner(tmp_path / "out", "cpu")
    runner.evaluate(photos, [Setting(), guess], ["AdaFace cosine"])
    own, other = (runner.scores(photos, method, "AdaFace cosine").values["face"] for method in (Setting(), guess))
    assert own == pytest.approx(1) and other < own
    assert ntire.limit("WIDER-Test") == 0.3 and ntire.limit("CelebA") == 0.5
