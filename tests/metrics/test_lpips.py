"""LPIPS against torchmetrics' copy on one random trunk, and where its trunk comes from."""

import pytest
import torch
import torchvision

from difface.metrics import lpips
from difface.metrics.lpips import LPIPS
from difface.weights import WeightMissing

MODELS = {"vgg": "vgg16", "alex": "alexnet", "squeeze": "squeezenet1_1"}
FILES = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}


def trunk(net: str) -> torch.nn.Sequential:
    """Random features of torchvision's network, the unused classifier not even allocated."""
    with torch.device("meta"):
        features = getattr(torchvision.models, MODELS[net])(weights=None).features
    generator = torch.Generator().manual_seed(0)
    for value in features.to_empty(device="cpu").parameters():
        value.data.normal_(0, (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.01, generator=generator)
    return features.eval()


def published_form(features: torch.nn.Sequential) -> dict[str, torch.Tensor]:
    return {f"features.{key}": value for key, value in features.state_dict().items()} | {
        "classifier.1.bias": torch.ones(1)
    }


def pictures(side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    other = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(2))
    return torch.lerp(truth, other, torch.tensor([0, 0.2, 0.9]).view(3, 1, 1, 1)), truth


@pytest.mark.parametrize("net", MODELS)
def test_it_is_that_of_torchmetrics(net, monkeypatch):
    theirs = pytest.importorskip("torchmetrics.functional.image.lpips", reason="torchmetrics is not installed")
    features = trunk(net)
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: features)
    reference = theirs._LPIPS(net=net, pnet_rand=True)
    metric = LPIPS(net, published_form(features))
    metric.update(*pictures())
    with torch.inference_mode():
        expected = reference(*pictures(), normalize=True).flatten()
    assert torch.allclose(torch.tensor(metric.values).float(), expected, rtol=1e-4, atol=1e-7)
    assert metric.values[0] == 0 < metric.values[1] < metric.values[2]


def test_least_sides_are_those_of_the_trunks():
    for net in ("alex", "squeeze"):
        metric = LPIPS(net, published_form(trunk(net)))
        metric.update(*pictures(metric.smallest))
        assert len(metric.values) == 3
        with pytest.raises(ValueError, match=f"sides from {metric.smallest}"):
            metric.update(*pictures(metric.smallest - 1))
        with pytest.raises(RuntimeError):
            metric.score(*pictures(metric.smallest - 1))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An empty folder of weights, and nothing kept in memory."""
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lpips, "_published", lpips._published.__wrapped__)
    return tmp_path


def test_the_trunk_is_the_file_of_the_catalog(weights):
    features = trunk("squeeze")
    torch.save(published_form(features), weights / FILES["squeeze"], _use_new_zipfile_serialization=False)
    found, given = LPIPS("squeeze"), LPIPS("squeeze", published_form(features))
    for metric in (found, given):
        metric.update(*pictures())
    assert found.values == given.values


@pytest.mark.parametrize("net", MODELS)
def test_a_missing_trunk_is_named_with_the_command_that_gets_it(net, weights):
    metric = LPIPS(net)
    assert metric.needs == (FILES[net],)
    with pytest.raises(WeightMissing, match=f"{FILES[net]}.* is missing.*python -m difface fetch {FILES[net]}"):
        metric.update(*pictures())
    assert metric.values == []


def test_another_trunk_is_refused():
    with pytest.raises(ValueError, match="'resnet' is unknown; vgg, alex, squeeze"):
        LPIPS("resnet")
