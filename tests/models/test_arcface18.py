"""The grey ResNet-18 is that of arcface-pytorch: names, sizes and numbers."""

import pytest
import torch
from conftest import seeded

from difface.models.arcface18 import ArcFace18
from difface.weights import load_state_dict


def official_names() -> set[str]:
    """The keys of `resnet_face18(use_se=False)`, from its listing."""

    def norm(name: str) -> set[str]:
        return {f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}

    names = {"conv1.weight", "prelu.weight", "fc5.weight", "fc5.bias"} | norm("bn1") | norm("bn4") | norm("bn5")
    for block in (f"layer{layer}.{k}" for layer in (1, 2, 3, 4) for k in (0, 1)):
        names |= {f"{block}.{part}.weight" for part in ("conv1", "conv2", "prelu")}
        names |= norm(f"{block}.bn0") | norm(f"{block}.bn1") | norm(f"{block}.bn2")
        if block in ("layer2.0", "layer3.0", "layer4.0"):
            names |= {f"{block}.downsample.0.weight"} | norm(f"{block}.downsample.1")
    return names


def test_names_are_the_official_ones():
    network = ArcFace18()
    assert set(network.state_dict()) == official_names()
    assert sum(parameter.numel() for parameter in network.parameters()) == 25_627_081  # counted in the official network


def test_numbers_are_the_official_ones():
    """The official network with the weights of `seeded`, on PyTorch 2.15; the two were equal to the bit."""
    faces = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        embeddings = seeded(ArcFace18())(faces)
    expected = [[50.4142, -7.0732, 7.4748, -22.7684], [88.1668, -9.6976, -3.7726, -61.9929]]
    assert embeddings.shape == (2, 512)
    assert torch.allclose(embeddings[:, :4], torch.tensor(expected), atol=0.01)
    assert embeddings.abs().mean(1).tolist() == pytest.approx([39.4721, 39.4364], abs=0.01)


def test_a_checkpoint_of_2018_loads(tmp_path):
    """Saved from DataParallel, by a PyTorch that did not count batches."""
    state = seeded(ArcFace18()).state_dict()
    saved = {f"module.{name}": value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(saved, tmp_path / "resnet18_110.pth", _use_new_zipfile_serialization=False)
    network = ArcFace18()
    network.load_state_dict(load_state_dict(tmp_path / "resnet18_110.pth"))
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state.items())
