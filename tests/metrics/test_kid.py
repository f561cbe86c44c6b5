"""Kernel distances: the formula by torchmetrics and by loops, leave-one-out by brute force, no bias, and names."""

import numpy as np
import pytest
import torch
from test_frechet import Blocks
from torchmetrics.image.kid import poly_mmd

from difface.metrics import FID, METRICS, KernelDistance, kid


class OfVectors(Blocks):
    """On pictures that are their own features."""

    name = "FD vectors"
    version = "1"
    reference = "truth"

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images


def filled(real: np.ndarray, scored: np.ndarray, batch: int = 7) -> KernelDistance:
    metric = KernelDistance(OfVectors())
    for vectors, is_real in ((real, True), (scored, False)):
        for part in torch.from_numpy(vectors).split(batch):
            metric.update(part, real=is_real)
    return metric


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.normal(size=(30, 6)).astype(np.float32), draw.gamma(1, size=(30, 6)).astype(np.float32)


def by_loops(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a, b) -> float:
        return (float(np.dot(a.astype(float), b.astype(float))) / len(a) + 1) ** 3

    own, other = (np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y))
    return own + other - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_of_equal_counts_it_is_that_of_torchmetrics(sets):
    real, scored = sets
    expected = poly_mmd(torch.from_numpy(real).double(), torch.from_numpy(scored).double()).item()
    assert filled(real, scored).compute() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("block", [4, 1024])
def test_of_other_counts_it_is_the_formula(sets, block, monkeypatch):
    monkeypatch.setattr(kid, "BLOCK", block)
    real, scored = sets[0], sets[1][:11]
    metric = filled(real, scored)
    assert metric.compute() == pytest.approx(by_loops(real, scored), rel=1e-9)
    expected = [by_loops(real, np.delete(scored, k, 0)) for k in range(11)]
    assert np.allclose(metric.without(), expected, rtol=1e-9)
    metric.update(torch.from_numpy(sets[1][11:]), real=True)
    assert metric.compute() == pytest.approx(by_loops(np.concatenate([real, sets[1][11:]]), scored), rel=1e-9)


def test_it_has_no_bias_where_a_frechet_distance_has_much():
    """Sets of one distribution, 5 to 40 vectors in 6 dimensions: the mean over many draws is 0 whatever the count."""
    draw = np.random.default_rng(1)
    for count in (5, 40):
        values = [filled(*draw.normal(size=(2, count, 6)).astype(np.float32)).compute() for _ in range(300)]
        assert abs(np.mean(values)) < 3 * np.std(values) / 300**0.5


def test_it_is_called_after_its_features_and_refers_to_the_same_faces():
    for name in ("KID identity", "KID-prior", "KID-F", "KID-G"):
        metric, of = METRICS[name](), METRICS[name.replace("KID", "FID" if name[-2:] in ("-F", "-G") else "FD")]()
        assert metric.name == name and not metric.higher_is_better and metric.family == of.family
        assert (metric.needs, metric.reference, metric.version) == (of.needs, of.reference, of.version)
    assert KernelDistance(FID("truth")).reference == "truth"


def test_too_few_images_are_refused_in_a_line(sets):
    real, scored = sets
    with pytest.raises(ValueError, match="KID vectors needs two images in each set; got 30 and 1: add images"):
        filled(real, scored[:1]).compute()
    with pytest.raises(ValueError, match="got 0 and 0"):
        KernelDistance(OfVectors()).compute()
    assert np.isnan(filled(real, scored[:2]).without()).all()
