"""Which files are taken for checkpoints."""

import numpy as np
import pytest
import torch

from difface.weights import check_format
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
