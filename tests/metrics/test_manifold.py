"""Precision and recall: by another implementation, on sets of known answers, leave-one-out by brute force."""

import numpy as np
import pytest
import torch
from test_kid import OfVectors

from difface.metrics import METRICS, manifold
from difface.metrics.manifold import Precision, Recall


def filled(kind, real: np.ndarray, scored: np.ndarray):
    metric = kind(OfVectors())
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(scored))
    return metric


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    real = draw.normal(size=(40, 6)).astype(np.float32)
    return real, (0.8 * draw.normal(size=(30, 6)) + 1.2).astype(np.float32)


@pytest.mark.parametrize("block", [7, 1024])
def test_they_are_those_of_prdc(sets, block, monkeypatch):
    """Recorded from prdc 0.2 (Naeem et al.), compute_prdc(real, scored, nearest_k=3)."""
    monkeypatch.setattr(manifold, "BLOCK", block)
    assert filled(Precision, *sets).compute() == pytest.approx(0.766667, abs=1e-6)
    assert filled(Recall, *sets).compute() == pytest.approx(0.2, abs=1e-6)


def test_copies_are_precise_and_one_cluster_recalls_little(sets):
    real = sets[0]
    assert filled(Precision, real, real[:10]).compute() == 1 and filled(Recall, real, real).compute() == 1
    cluster = np.repeat(real[:1], 10, 0) + 1e-3 * np.arange(10, dtype=np.float32)[:, None]
    assert filled(Precision, real, cluster).compute() == 1 and filled(Recall, real, cluster).compute() == 1 / 40
    far = real + 100
    assert filled(Precision, real, far).compute() == filled(Recall, real, far).compute() == 0


def test_precision_without_each(sets):
    real, scored = sets
    expected = [filled(Precision, real, np.delete(scored, k, 0)).compute() for k in range(len(scored))]
    assert np.allclose(filled(Precision, real, scored).without(), expected)
    assert np.isnan(filled(Recall, real, scored).without()).all()


def test_names_and_too_few(sets):
    assert METRICS["precision-prior"]().name == "precision-prior" and METRICS["recall-F"]().name == "recall-F"
    assert METRICS["precision-F"]().higher_is_better
    with pytest.raises(ValueError, match="precision vectors needs five images in each set; got 4 and 30"):
        filled(Precision, sets[0][:4], sets[1]).compute()
