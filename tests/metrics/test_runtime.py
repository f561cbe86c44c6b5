"""Timing on a clock that the call itself turns."""

import pytest
import torch

from difface.metrics import RunTime, measure, runtime


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that stands still, in seconds."""
    hand = [100.0]
    monkeypatch.setattr(runtime, "perf_counter", lambda: hand[0])
    return hand


def calls(clock: list[float], *seconds: float):
    """A call that takes these times, one after the other."""
    left = iter(seconds)

    def call():
        clock[0] += next(left)

    return call


def test_the_median_of_the_repeats_without_the_warm_up(clock):
    times = measure(calls(clock, 50, 60, 1, 9, 2, 3), "cpu", warm_up=2, repeats=4)
    assert times == RunTime(2.5, (1, 9, 2, 3))
    assert measure(calls(clock, 7), "cpu", warm_up=0, repeats=1) == RunTime(7, (7,))


def test_the_device_is_waited_for(clock, monkeypatch):
    """What an accelerator does after the call has returned counts; what it still had to do before it does not."""
    pending, waited = [0.0], []

    def call():
        clock[0] += 1
        pending[0] += 5

    def wait(device):
        waited.append(device)
        clock[0] += pending[0]
        pending[0] = 0

    monkeypatch.setattr(torch.accelerator, "synchronize", wait)
    assert measure(call, "cuda", warm_up=1, repeats=2) == RunTime(6, (6, 6))
    assert set(waited) == {"cuda"}


def test_numbers_that_make_no_sense_are_refused():
    for warm_up, repeats in ((0, 0), (-1, 3)):
        with pytest.raises(ValueError, match=f"got {repeats} and {warm_up}"):
            measure(lambda: None, "cpu", warm_up=warm_up, repeats=repeats)
