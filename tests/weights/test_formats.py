"""Which files are taken for checkpoints."""

import numpy as np
import pytest
import torch

from difface.weights import check_format, load_state_dict
from difface.weights.formats import WeightRefused, load_checkpoint


class Thing:
    """What no checkpoint may hold."""


@pytest.mark.parametrize("as_zip", [True, False])
def test_published_statistics_are_accepted_though_they_hold_arrays(tmp_path, as_zip) -> None:
    path = tmp_path / "inception_FFHQ_512.pth"
    statistics = {"name": "FFHQ", "size": 512, "mean": np.arange(3.0), "cov": np.eye(3)}
    torch.save(statistics, path, _use_new_zipfile_serialization=as_zip)
    check_format(path)
    loaded = load_checkpoint(path)
    assert loaded["size"] == 512 and np.array_equal(loaded["cov"], np.eye(3))


def test_other_objects_are_refused(tmp_path) -> None:
    path = tmp_path / "thing.pth"
    torch.save({"thing": Thing()}, path)
    with pytest.raises(WeightRefused, match="tensors alone"):
        load_checkpoint(path)


class Scripted(torch.nn.Module):
    """Buffers and modules two deep, with attributes that are no tensors."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
        self.sizes, self.label = [1, 2], "a"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) * self.sizes[1] + len(self.label)


def test_of_a_torchscript_archive_the_tensors_alone_are_read(tmp_path, monkeypatch) -> None:
    path, network = tmp_path / "net.pt", Scripted().eval()
    torch.jit.script(network).save(path)

    def compiled(*arguments, **options):
        raise AssertionError("its code was compiled")

    monkeypatch.setattr("torch.jit.load", compiled)
    check_format(path)
    read, state = load_state_dict(path), network.state_dict()
    assert read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state)
