"""A request while it runs: reported, stopped, and smaller when memory is short."""

import threading
import time

import gradio as gr
import pytest
import torch

from space import running


def test_steps_are_shown_and_the_result_kept(monkeypatch):
    monkeypatch.setattr(running, "EVERY", 0)

    def work(report):
        for done in range(1, 4):
            report(done, 3)
            time.sleep(0.05)
        return "made"

    run = running.Run(work)
    assert list(run.steps(lambda step: step.done)) == [1, 2, 3]
    assert run.result() == "made"


def test_time_left_is_that_of_the_steps_so_far(monkeypatch):
    monkeypatch.setattr(running, "EVERY", 0)

    def work(report):
        time.sleep(0.1)
        report(1, 4)
        time.sleep(0.05)

    (seconds,) = running.Run(work).steps(lambda step: step.seconds)
    assert 0.3 <= seconds < 0.6


def test_closing_waits_for_no_step_and_the_next_run_for_the_last(monkeypatch):
    monkeypatch.setattr(running, "EVERY", 0)
    going, ended, at_work = threading.Event(), threading.Event(), []

    def slow(report):
        at_work.append("slow")
        try:
            report(1, 2)
            going.wait(20)  # a step that takes long
            report(2, 2)
            at_work.append("went on")
        finally:
            ended.set()

    steps = running.Run(slow).steps(lambda step: step)
    next(steps)
    steps.close()  # as Gradio does in its event loop: it must not wait for the step
    assert not ended.is_set()
    following = threading.Thread(target=lambda: list(running.Run(lambda report: at_work.append("next")).steps(id)))
    following.start()
    time.sleep(0.2)
    assert at_work == ["slow"]
    going.set()
    following.join(20)
    assert ended.is_set() and at_work == ["slow", "next"]


def test_a_run_that_was_closed_while_it_waited_never_starts(monkeypatch):
    monkeypatch.setattr(running, "LONGEST", 0.05)
    started = []
    run = running.Run(lambda report: started.append(1))
    with running._working:
        steps = run.steps(lambda step: step)
        assert next(steps) == gr.skip()
        steps.close()
    assert isinstance(run.future.exception(20), running.Stopped) and not started


def test_an_error_of_the_work_is_that_of_the_result():
    def work(report):
        raise ValueError("no")

    run = running.Run(work)
    assert list(run.steps(lambda step: step)) == []
    with pytest.raises(ValueError, match="no"):
        run.result()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory"), MemoryError()]
)
def test_short_memory_halves_the_batch_then_takes_the_cpu(error):
    tried = []

    def attempt(device, batch):
        tried.append((device, batch))
        if device == "auto":
            raise error
        return batch

    result, notes = running.within_memory(attempt, 4)
    assert tried == [("auto", 4), ("auto", 2), ("auto", 1), ("cpu", 1)]
    assert result == 1
    assert "2 at once" in notes[0] and "CPU" in notes[-1]


def test_no_memory_at_all_is_one_line():
    def attempt(device, batch):
        raise MemoryError

    with pytest.raises(MemoryError, match="a smaller one is accepted"):
        running.within_memory(attempt)


def test_other_errors_are_not_hidden():
    def attempt(device, batch):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        running.within_memory(attempt, 8)
