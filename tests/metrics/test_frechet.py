"""Frechet distances: running moments, the formula by SciPy, references from images and from files of either kind."""

import numpy as np
import pytest
import torch
from scipy import linalg

from difface.metrics.frechet import FrechetDistance, Moments, distances_without, frechet_distance


class Blocks(FrechetDistance):
    """On the means of four quarters of each channel: 12 numbers, by hand."""

    name = "FD blocks"

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


@pytest.fixture
def sets() -> tuple[torch.Tensor, torch.Tensor]:
    real, scored = torch.rand(2, 40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return real, scored[:30] ** 2


def by_scipy(real: torch.Tensor, scored: torch.Tensor) -> float:
    sets = [Blocks().features(images).double().numpy() for images in (real, scored)]
    (m1, c1), (m2, c2) = ((one.mean(0), np.cov(one, rowvar=False)) for one in sets)
    return ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real)


def filled(real: torch.Tensor, scored: torch.Tensor, batch: int = 7) -> Blocks:
    metric = Blocks()
    for part in real.split(batch):
        metric.update(part, real=True)
    for part in scored.split(batch):
        metric.update(part)
    return metric


def test_moments_are_those_of_numpy_even_far_from_zero():
    vectors = 1e6 + np.random.default_rng(0).normal(size=(50, 5))
    for sizes in ([50], [1] * 50, [13, 37]):
        moments = Moments()
        for part in np.split(vectors, np.cumsum(sizes)[:-1]):
            moments.add(part)
        mean, cov = moments.statistics
        assert np.abs(mean - vectors.mean(0)).max() < 1e-9
        assert np.abs(cov - np.cov(vectors, rowvar=False)).max() < 1e-8


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_it_is_the_formula_however_the_images_come(sets, batch):
    assert filled(*sets, batch).compute() == pytest.approx(by_scipy(*sets), abs=1e-9)


@pytest.mark.parametrize(("count", "dimensions"), [(3, 2), (12, 40), (40, 12), (60, 60)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_distances_without_each_are_those_of_the_rest(count, dimensions, scale):
    """Brute force: fewer vectors than dimensions, more, as many; spreads that differ a thousandfold between axes."""
    draw = np.random.default_rng(count)
    spread = scale * np.geomspace(1, 1e-3, dimensions)
    reference, vectors = (
        draw.normal(0.3, 1, (2 * dimensions, dimensions)) * spread,
        draw.gamma(2, 1, (count, dimensions)) * spread,
    )
    mean, cov = reference.mean(0), np.cov(reference, rowvar=False)
    rest = [np.delete(vectors, k, 0) for k in range(count)]
    expected = [frechet_distance(mean, cov, one.mean(0), np.cov(one, rowvar=False)) for one in rest]
    assert np.allclose(distances_without(mean, cov, vectors), expected, rtol=1e-7, atol=1e-7 * scale**2)


def test_a_metric_without_each_image_is_the_metric_of_the_rest(sets):
    real, scored = sets
    found = filled(real, scored).without()
    for k in range(0, 30, 6):
        rest = torch.cat([scored[:k], scored[k + 1 :]])
        assert found[k] == pytest.approx(by_scipy(real, rest), abs=1e-7)
    assert np.isnan(filled(real, scored[:2]).without()).tolist() == [True, True]


def test_equal_sets_are_at_no_distance(sets):
    assert abs(filled(sets[0], sets[0]).compute()) < 1e-9


def test_a_reference_from_a_file_is_that_from_images(sets, tmp_path):
    real, scored = sets
    mean, cov = filled(real, scored)._reference_statistics()
    np.savez_compressed(tmp_path / "reference.npz", mu=mean, sigma=cov)  # as `pytorch-fid --save-stats` does
    # BasicSR's form: NumPy arrays in the old format of torch, with the module names of NumPy 1.
    published = dict(name="FFHQ", size=512, mean=mean.astype(np.float32), cov=cov)
    torch.save(published, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "legacy.pth").read_bytes()
    assert b"numpy._core.multiarray" in content
    (tmp_path / "old.pth").write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    torch.save({"mean": torch.from_numpy(mean), "cov": torch.from_numpy(cov)}, tmp_path / "tensors.pth")
    for name in ("reference.npz", "legacy.pth", "old.pth", "tensors.pth"):
        metric = Blocks()
        metric.load_reference(tmp_path / name)
        metric.update(scored)
        assert metric.compute() == pytest.approx(by_scipy(real, scored), abs=1e-6)
        with pytest.raises(ValueError, match="was loaded and takes no images"):
            metric.update(real, real=True)


def test_what_is_no_reference_is_refused_in_a_line(sets, tmp_path):
    metric = filled(*sets)
    np.savez(tmp_path / "other.npz", mean=np.zeros(12))
    np.savez(tmp_path / "odd.npz", mu=np.zeros(12), sigma=np.zeros(12))
    np.savez(tmp_path / "small.npz", mu=np.zeros(5), sigma=np.eye(5))
    torch.save(torch.zeros(12), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match="must hold mean and cov; got Tensor"):
        metric.load_reference(tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match="must hold mu and sigma; got mean"):
        metric.load_reference(tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"\(d, d\); got \(12,\) and \(12,\)"):
        metric.load_reference(tmp_path / "odd.npz")
    with pytest.raises(ValueError, match=".npz and .pth"):
        metric.load_reference(tmp_path / "reference.txt")
    metric.load_reference(tmp_path / "small.npz")
    with pytest.raises(ValueError, match="5 dimensions and its features 12"):
        metric.compute()
    with pytest.raises(ValueError, match="two images in each set; got 1"):
        filled(sets[0], sets[1][:1]).compute()


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"mean": print, "cov": 0}, tmp_path / "code.pth")
    with pytest.raises(Exception, match="[Ww]eights.only"):
        Blocks().load_reference(tmp_path / "code.pth")
