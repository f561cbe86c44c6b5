"""FID against pytorch-fid's own network and a closed form, with random weights."""

import numpy as np
import pytest
import torch

from difface.metrics import FID, fid
from difface.weights import WeightMissing


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A random state dict of the whole network, of a size that leaves something of a picture at its end."""
    from pytorch_fid import inception

    with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        shapes: list[dict] = []
        patch.setattr(torch.nn.Module, "load_state_dict", lambda module, state: shapes.append(module.state_dict()))
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        inception.fid_inception_v3()
        state = shapes[0]
        for key, value in state.items():
            if key.endswith("conv.weight"):
                torch.nn.init.kaiming_normal_(value)
    return {key: value for key, value in state.items() if "num_batches" not in key}  # the published file has none


@pytest.fixture(scope="module")
def network(weights) -> torch.nn.Module:
    return fid.build_inception(weights)


def pictures(count: int, seed: int, side: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) ** (1 + seed)


def test_the_features_are_those_of_pytorch_fid(weights, network, monkeypatch):
    from pytorch_fid import inception

    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: weights)
    theirs = inception.InceptionV3().eval()
    for side in (48, 320):  # enlarged and reduced
        with torch.inference_mode():
            expected = theirs(pictures(2, 0, side))[0].flatten(1)
        ours = FID(network=network).features(pictures(2, 0, side))
        assert ours.shape == (2, 2048) and expected.std() > 1e-3
        assert torch.allclose(ours, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_fid_is_its_closed_form(network):
    """With C = A^T A, tr (C1 C2)^(1/2) is the sum of the singular values of A1 A2^T, of a row for each image."""
    shortened, seen = torch.nn.Sequential(network, torch.nn.AvgPool1d(8)), []  # to 256 numbers: quicker
    shortened.register_forward_hook(lambda *call: seen.append(call[2].double().numpy()))
    metric = FID("truth", shortened)
    for real in (True, False):
        for part in pictures(4, int(real)).split(3):
            metric.update(part, real=real)
    sets = [np.concatenate(seen[:2]), np.concatenate(seen[2:])]
    means = [vectors.mean(0) for vectors in sets]
    roots = [(vectors - vectors.mean(0)) / np.sqrt(3) for vectors in sets]
    traces = [np.square(root).sum() for root in roots]
    expected = np.square(means[0] - means[1]).sum() + sum(traces) - 2 * np.linalg.norm(roots[0] @ roots[1].T, "nuc")
    assert metric.compute() == pytest.approx(expected, abs=1e-5 * sum(traces))


def test_the_two_references_are_two_names():
    assert (FID().name, FID().reference) == ("FID-F", "faces")
    assert (FID("truth").name, FID("truth").reference) == ("FID-G", "truth")
    with pytest.raises(ValueError, match="faces, truth"):
        FID("celeba")


def test_missing_weights_are_named_with_the_command_that_gets_them(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    monkeypatch.setattr(fid, "_published", fid._published.__wrapped__)
    with pytest.raises(WeightMissing, match="python -m difface fetch pt_inception-2015-12-05-6726825d.pth"):
        FID().update(pictures(1, 0))
