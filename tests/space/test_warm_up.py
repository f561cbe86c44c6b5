"""The networks are there before the first visitor."""

import pytest

from difface.weights import WeightMissing

pytest.importorskip("gradio")
shared = pytest.importorskip("space.shared")


def test_loads_what_a_visitor_asks_for():
    shared._unet.cache_clear()
    shared.warm_up("tiny").join(60)
    loaded = shared._unet.cache_info().currsize
    shared.pipeline_for("tiny")
    assert shared._unet.cache_info().currsize == loaded == 1


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_missing_weights_are_no_error_yet(monkeypatch):
    def missing(profile):
        raise WeightMissing("none")

    monkeypatch.setattr(shared, "pipeline_for", missing)
    thread = shared.warm_up("ffhq512")
    thread.join(60)
    assert not thread.is_alive()
