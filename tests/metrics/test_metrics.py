"""Metrics against second sources and known answers."""

import numpy as np
import pytest
import torch
from scipy import linalg
from skimage.metrics import peak_signal_noise_ratio

from difface import images
from difface.metrics import METRICS, PSNR, FrechetIdentity, IdentityAngle, NearestPerson
from difface.metrics.frechet import frechet_distance
from difface.metrics.identity import embed
from difface.weights import CATALOG


def noisy(image: torch.Tensor, sigma: float, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + sigma * noise).clamp(0, 1)


@pytest.fixture(scope="module")
def face(astronaut_face) -> torch.Tensor:
    return images.to_tensors(astronaut_face)[0][None]


def test_psnr_is_that_of_scikit_image(face):
    metric, others = PSNR(), []
    for k in range(3):
        other = noisy(face, 0.05 * (k + 1), k)
        metric.update(other, face)
        others.append(peak_signal_noise_ratio(face.double().numpy(), other.double().numpy(), data_range=1))
    assert np.allclose(metric.values, others) and abs(metric.compute() - np.mean(others)) < 1e-9
    with pytest.raises(ValueError, match="one shape"):
        metric.update(face, face[..., :32])


def test_frechet_is_the_textbook_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 8)), rng.normal(0.5, 2, size=(60, 8))
    stats = [stat for one in (a, b) for stat in (one.mean(0), np.cov(one, rowvar=False))]
    root = linalg.sqrtm(stats[1] @ stats[3]).real
    expected = ((stats[0] - stats[2]) ** 2).sum() + np.trace(stats[1] + stats[3] - 2 * root)
    assert abs(frechet_distance(*stats) - expected) < 1e-8
    assert abs(frechet_distance(*stats[:2], *stats[:2])) < 1e-9
    assert abs(frechet_distance(np.zeros(2), np.eye(2), np.array([3.0, 4]), 4 * np.eye(2)) - 27) < 1e-9


def portraits(testdata, count: int, points=None) -> torch.Tensor:
    from difface import faces

    crops = []
    for file in sorted((testdata / "portraits" / "jpg").iterdir())[:count]:
        photo = images.read(file)
        crops.append(images.to_tensors(faces.align(photo, faces.largest(faces.find_faces(photo)).points, 64))[0])
    return torch.stack(crops)


def test_nearest_person_finds_real_people_and_no_strangers(onnx, testdata):
    """People are nearest to themselves when slightly noisy; with the truths in another order none is found."""
    people = portraits(testdata, 6)
    found, turned = NearestPerson(), NearestPerson()
    for metric, truth in ((found, people), (turned, people.roll(1, 0))):
        metric.update(truth, real=True)
        metric.update(noisy(people, 0.02))
    assert found.compute() == 1 and turned.compute() == 0
    found.update(people[:1], real=True)
    with pytest.raises(ValueError, match="a truth for each picture; got 7 for 6"):
        found.compute()


def test_nearest_person_without_each():
    metric = NearestPerson()
    metric.add(np.eye(3), real=True)
    metric.add(np.array([[1.0, 0, 0], [1, 0, 0], [0, 0, 1]]))
    assert metric.compute() == pytest.approx(2 / 3) and np.allclose(metric.without(), [0.5, 1, 0.5])


def test_identity_on_real_faces(onnx, testdata):
    people = portraits(testdata, 6)
    same, other = IdentityAngle(), IdentityAngle()
    same.update(noisy(people, 0.02), people)
    other.update(people.roll(1, 0), people)
    assert max(same.values) < min(other.values) and same.compute() < 30 < 60 < other.compute()
    exact = IdentityAngle()
    exact.update(people, people)
    assert exact.compute() < 0.1
    one_by_one = np.concatenate([embed(one[None]) for one in people])
    assert np.abs(one_by_one - embed(people)).max() < 1e-4


def test_frechet_identity_sees_damage(onnx, testdata):
    people = portraits(testdata, 12)
    distances = []
    for sigma in (0.0, 0.1, 0.3):
        metric = FrechetIdentity()
        metric.update(people, real=True)
        metric.update(noisy(people, sigma))
        distances.append(metric.compute())
    assert abs(distances[0]) < 1e-3 and distances[0] < distances[1] < distances[2]
    with pytest.raises(ValueError, match="two images"):
        FrechetIdentity().compute()


def test_every_metric_has_the_interface():
    for name, make in METRICS.items():
        metric = make()
        assert metric.name == name and isinstance(metric.higher_is_better, bool) and isinstance(metric.needs, tuple)
        assert all(file in CATALOG for file in metric.needs)
        assert callable(metric.update) and callable(metric.compute)
