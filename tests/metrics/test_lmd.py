"""Landmark distances: peaks that are drawn where the answer is known, and facexlib's own decoding."""

import sys

import numpy as np
import onnx as onnx_package
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from difface import images
from difface.metrics import LMD, LMD106, lmd
from difface.weights import WeightMissing


def gaussians(centres: np.ndarray, size: int = 64, sigma: float = 1.5) -> torch.Tensor:
    """Heatmaps (B, K, size, size) with a peak at each of `centres` (B, K, 2), pixel i centred at i + 0.5."""
    at = torch.arange(size) + 0.5
    x, y = torch.as_tensor(centres)[..., None, None, :].unbind(-1)
    return torch.exp(-((at - x) ** 2 + (at[:, None] - y) ** 2) / (2 * sigma**2))


def test_peaks_are_found_to_a_quarter_of_a_pixel():
    """The step of a quarter leaves at most a quarter of error, and none where the peak is a quarter off its pixel."""
    centres = np.random.default_rng(0).uniform(2, 62, (3, 98, 2))
    errors = np.abs(lmd.decode(gaussians(centres)).numpy() - centres)
    assert errors.max() < 0.25 + 1e-6 and 0.1 < errors.mean() < 0.15
    quarters = np.floor(centres) + 0.5 + np.sign(centres - np.floor(centres) - 0.5) / 4
    assert np.abs(lmd.decode(gaussians(quarters)).numpy() - quarters).max() < 1e-6


def test_peaks_at_the_border_stay_inside():
    centres = np.array([[[0.5, 0.5], [63.5, 63.5], [0.5, 30.5], [40.5, 63.5]]])
    assert np.abs(lmd.decode(gaussians(centres)).numpy() - centres).max() < 1e-6
    assert lmd.decode(gaussians(centres)[..., :40]).shape == (1, 4, 2)  # higher than wide


class DrawnFace(torch.nn.Module):
    """In place of the network: all landmarks at the brightest pixel of the picture, which is 4 x 4 of its own."""

    def forward(self, image: torch.Tensor):
        small = torch.nn.functional.avg_pool2d(image.mean(1, keepdim=True), 4)
        boundary = torch.full_like(small, 1e6)
        return [torch.zeros_like(small), torch.cat([small.repeat(1, 98, 1, 1), boundary], 1)], None


def square(x: int, y: int, size: int = 512) -> torch.Tensor:
    """A bright square of 8 x 8 pixels in the dark."""
    image = torch.zeros(1, 3, size, size)
    image[..., y : y + 8, x : x + 8] = 1
    return image


def test_lmd_is_the_distance_in_pixels_of_the_images(monkeypatch):
    monkeypatch.setattr(lmd, "_fan", lambda device: DrawnFace())
    assert lmd.points_98(square(80, 160))[0].tolist() == [[84.0, 164.0]] * 98
    metric = LMD()
    metric.update(torch.cat([square(80, 160), square(80, 160)]), torch.cat([square(80, 160), square(104, 192)]))
    assert metric.values == [0, 40] and metric.compute() == 20
    half = LMD()
    half.update(square(40, 80, 256), square(52, 96, 256))
    assert half.values == [20]


def test_without_facexlib_one_line_says_how_to_get_it(monkeypatch):
    lmd._fan.cache_clear()
    for name in ("facexlib", "facexlib.alignment", "facexlib.alignment.awing_arch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="LMD needs the package facexlib.*requirements-paper.txt") as caught:
        LMD().update(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    assert "\n" not in str(caught.value)


def test_points_are_those_of_facexlib(tmp_path, monkeypatch, astronaut_photo):
    """On random weights, against facexlib's own `get_landmarks`, which fails where a peak is on the border."""
    reason = "facexlib is not installed (requirements-paper.txt)"
    facexlib = pytest.importorskip("facexlib.alignment.awing_arch", reason=reason)
    monkeypatch.setattr(np, "float", float, raising=False)  # facexlib 0.3 asks for it
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = facexlib.FAN(num_modules=4, num_landmarks=98, device="cpu").state_dict()
    torch.save({"state_dict": state}, tmp_path / "alignment_WFLW_4HG.pth")
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    lmd._fan.cache_clear()
    network = lmd._fan(torch.device("cpu"))

    def keep_off_the_border(layer, inputs, heatmaps):
        return torch.nn.functional.pad(heatmaps[..., 2:-2, 2:-2], (2, 2, 2, 2), value=-1e3)

    network.l3.register_forward_hook(keep_off_the_border)
    photo = astronaut_photo.crop((50, 0, 350, 400))
    with torch.inference_mode():
        expected = network.get_landmarks(np.asarray(photo)[:, :, ::-1])
    points = lmd.points_98(images.to_tensors(photo)[0][None])[0].numpy()
    lmd._fan.cache_clear()
    assert np.ptp(expected, axis=0).min() > 50 and np.abs(points - expected).max() < 1e-6


@pytest.fixture
def bright_spot(tmp_path, monkeypatch):
    """A stand-in for the network of 106 points: each of them is the centre of brightness of the 192 x 192 crop."""
    at = np.arange(192) / 96 - 1  # pixel i of the crop, as the network's numbers count: (p + 1) * 96
    x, y = (axis[None, None].astype(np.float32) for axis in np.meshgrid(at, at))
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    constants = [numpy_helper.from_array(value, name) for value, name in ((x, "x"), (y, "y"))]
    constants += [axes, numpy_helper.from_array(np.array([1, 106]), "times")]
    constants += [
        numpy_helper.from_array(np.array(value, np.float32), name) for value, name in ((0, "zero"), (1, "one"))
    ]
    nodes = [
        helper.make_node("Sub", ["data", "zero"], ["s"], name="Sub0")
    ]  # InsightFace feeds 0..255 where it sees these
    nodes += [helper.make_node("Mul", ["s", "one"], ["v"], name="Mul0")]
    nodes += [helper.make_node("ReduceSum", ["v", "axes"], ["mass"], keepdims=0)]
    for axis in "xy":
        nodes += [helper.make_node("Mul", ["v", axis], [f"v{axis}"])]
        nodes += [helper.make_node("ReduceSum", [f"v{axis}", "axes"], [f"sum_{axis}"], keepdims=0)]
        nodes += [helper.make_node("Div", [f"sum_{axis}", "mass"], [f"mean_{axis}"])]
    columns = [helper.make_node("Unsqueeze", [f"mean_{axis}", "one_axis"], [f"column_{axis}"]) for axis in "xy"]
    constants += [numpy_helper.from_array(np.array([1]), "one_axis")]
    nodes += [*columns, helper.make_node("Concat", ["column_x", "column_y"], ["pair"], axis=1)]
    nodes += [helper.make_node("Tile", ["pair", "times"], ["fc1"])]
    graph = helper.make_graph(
        nodes,
        "bright_spot",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 192, 192])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 212])],
        constants,
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx_package.save(model, tmp_path / "2d106det.onnx")
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    lmd._landmarks_106.cache_clear()
    yield
    lmd._landmarks_106.cache_clear()


@pytest.mark.parametrize("size", [128, 512])
def test_106_points_come_back_to_where_they_are(bright_spot, size):
    """A soft spot is found at its place in the picture, through InsightFace's crop and back."""

    def spot(x: float, y: float) -> torch.Tensor:
        at = torch.arange(size)
        drawn = torch.exp(-((at - x) ** 2 + (at[:, None] - y) ** 2) / (2 * (size / 40) ** 2))
        return drawn.expand(1, 3, size, size)

    here, there = (0.4 * size, 0.5 * size), (0.55 * size, 0.7 * size)
    points = lmd.points_106(torch.cat([spot(*here), spot(*there)]))
    assert points.shape == (2, 106, 2)
    assert np.abs(points - np.array([here, there])[:, None]).max() < 0.02 * size / 10
    metric = LMD106()
    metric.update(torch.cat([spot(*here), spot(*here)]), torch.cat([spot(*here), spot(*there)]))
    assert metric.values == pytest.approx([0, 0.25 * size], abs=0.01 * size / 10)


def test_a_missing_model_is_named_at_the_first_update(monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    lmd._landmarks_106.cache_clear()
    with pytest.raises(WeightMissing, match="2d106det.onnx"):
        LMD106().update(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
