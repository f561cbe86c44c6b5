"""NIQE, NRQM and PI: the formula on known scores; what is handed to pyiqa, and what where it is not there."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import io

from difface import images
from difface.metrics import METRICS, NIQE, NRQM, PI, iqa
from difface.metrics.iqa import CLIPIQA, DISTS, MANIQA, MUSIQ, QAlign, TOPIQFace
from difface.weights import WeightError


def brightness(image: torch.Tensor) -> torch.Tensor:
    return image.flatten(1).mean(1)


def test_pi_is_the_papers_formula():
    """On the scores that Table V prints for DifFace on WIDER: 4.24 and 6.11 make 4.065."""
    metric = PI(niqe=lambda image: 4.24 + brightness(image), nrqm=lambda image: 6.11 - brightness(image))
    metric.update(torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]))
    assert metric.values == pytest.approx([4.065, 5.065]) and metric.compute() == pytest.approx(4.565)
    assert not PI.higher_is_better and set(PI.needs) == {*NIQE.needs, *NRQM.needs}


@pytest.mark.parametrize(("metric", "least"), [(NIQE, 96), (NRQM, 64), (PI, 64)])
def test_small_images_are_refused(metric, least):
    with pytest.raises(ValueError, match=f"sides from {least}.*63"):
        metric().update(torch.zeros(1, 3, 63, 128))


@pytest.mark.parametrize("metric", [NIQE, NRQM])
def test_without_pyiqa_one_line_says_how_to_get_it(metric, monkeypatch):
    iqa._scorer.cache_clear()
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ImportError, match=f"{metric.name} needs the package pyiqa.*requirements-paper.txt") as caught:
        metric().update(torch.zeros(1, 3, 96, 96))
    assert "\n" not in str(caught.value)


@pytest.fixture
def parameters(tmp_path, monkeypatch):
    """Stand-ins for the two files: a normal distribution, and a forest of one stump for each kind of feature."""
    pytest.importorskip("pyiqa", reason="pyiqa is not installed (requirements-paper.txt)")
    mean = np.random.default_rng(0).normal(size=(1, 36))
    io.savemat(tmp_path / "niqe_modelparameters.mat", {"mu_prisparam": mean, "cov_prisparam": np.eye(36)})
    stump = {"left": [[2], [0], [0]], "right": [[3], [0], [0]], "c": 0, "d": 0}
    stump |= {"at": [[np.inf], [0], [0]], "value": [[0.0], [2.0], [4.0]], "attribute": [[1], [1], [1]]}
    forest = np.empty((1, 3), object)
    forest[0] = [{key: np.array(value) for key, value in stump.items()}] * 3
    model = {"linear": np.array([[0.5], [1.0], [1.0], [1.0]]), "rf": forest}
    io.savemat(tmp_path / "NRQM_model.mat", {"model": model})
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    iqa._scorer.cache_clear()
    yield tmp_path
    iqa._scorer.cache_clear()


def test_scores_are_those_of_pyiqa(parameters, astronaut_photo):
    """One number per image, in batches as alone; NIQE by pyiqa's function, NRQM by the stumps: 0.5 + 2 + 2 + 2."""
    from pyiqa.archs.niqe_arch import calculate_niqe

    stored = io.loadmat(parameters / "niqe_modelparameters.mat")
    image = images.to_tensors([astronaut_photo.crop((x, 0, x + 96, 96)) for x in (0, 180)])
    expected = [
        calculate_niqe(one[None], 0, True, "yiq", *(torch.from_numpy(stored[key]) for key in stored if key[0] != "_"))
        for one in image
    ]
    metrics = {metric: metric() for metric in (NIQE, NRQM, PI)}
    for metric in metrics.values():
        metric.update(torch.stack(image))
        metric.update(image[0][None])
    expected = [float(score) for score in (*expected, expected[0])]
    assert metrics[NIQE].values == pytest.approx(expected) and expected[0] != pytest.approx(expected[1])
    assert metrics[NRQM].values == pytest.approx([6.5] * 3)
    assert metrics[PI].values == pytest.approx([(3.5 + score) / 2 for score in expected])


FIELD = [
    (MUSIQ, "musiq"),
    (MANIQA, "maniqa"),
    (CLIPIQA, "clipiqa"),
    (QAlign, "qalign"),
    (TOPIQFace, "topiq_nr-face"),
    (DISTS, "dists"),
]


def scored(metric, images: torch.Tensor) -> list[float]:
    given = (images, images / 2) if metric.name == "DISTS" else (images,)
    metric.update(*given)
    return metric.values


@pytest.fixture
def told(monkeypatch):
    """A package pyiqa that tells what it was asked for, and scores by the mean of what it is given."""

    def create_metric(name, device):
        calls.append((name, str(device)))
        return lambda *images: sum(image.mean((1, 2, 3)) for image in images)[:, None]

    calls: list[tuple[str, str]] = []
    iqa._own.cache_clear()
    monkeypatch.setitem(sys.modules, "pyiqa", SimpleNamespace(create_metric=create_metric))
    yield calls
    iqa._own.cache_clear()


@pytest.mark.parametrize(("metric", "name"), FIELD)
def test_the_field_s_metrics_are_those_of_pyiqa(told, metric, name):
    """By its names and defaults, each image of a batch, clipped to [0, 1]; DISTS with its truth."""
    images = torch.stack([torch.full((3, 224, 224), level) for level in (0.25, 1.5)])
    assert scored(metric(), images) == pytest.approx([0.375, 1.75] if name == "dists" else [0.25, 1.0])
    assert told == [(name, "cpu")] and METRICS[metric.name] is metric
    assert metric.higher_is_better != (name == "dists")


@pytest.mark.parametrize("metric", [metric for metric, _ in FIELD])
def test_what_pyiqa_cannot_have_is_one_line(metric, told, monkeypatch):
    images = torch.rand(1, 3, 224, 224)

    def offline(name, device):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(sys.modules["pyiqa"], "create_metric", offline)
    with pytest.raises(WeightError, match=r"could not fetch them \(no route to host\)$"):
        scored(metric(), images)
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ImportError, match="needs the package pyiqa.*requirements-paper.txt"):
        scored(metric(), images)
