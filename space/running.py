"""A request while it runs: step by step to the page, stopped when the visitor leaves, smaller when memory is short."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Generic, TypeVar

import gradio as gr
import torch

from difface import DifFacePipeline
from difface.memory import is_out_of_memory

T = TypeVar("T")
EVERY = 0.4
"""Least seconds before and between pictures of a run that is shown live; drawing them takes time, too."""

LONGEST = 1.0
"""Most seconds without a word: a generator can be closed where it yields only."""

_working = Lock()


@dataclass(frozen=True)
class Step:
    """How far a run is.

    Attributes:
        done, total: network calls, or faces.
        seconds: about how long it will still take.
        x0_hat: the clean estimate now, (B, 3, H, W) in [0, 1]; None where there is nothing to see.
    """

    done: int
    total: int
    seconds: float
    x0_hat: torch.Tensor | None = None


NOTHING_NEW = Step(0, 0, 0)


class Stopped(Exception):
    """Raised inside a run that nobody waits for any more."""


class Run(Generic[T]):
    """Work in a thread of its own, so that a generator can show how far it is; closing the generator stops the work
    at its next step. One run works at a time.

    Args:
        work: called with `report(done, total, x0_hat=None)`, which it calls after every step.
    """

    def __init__(self, work: Callable[[Callable[..., None]], T]):
        self.work, self.stop = work, Event()
        self.reports: SimpleQueue[Step | None] = SimpleQueue()

    def steps(self, view: Callable[[Step], tuple]) -> Iterator[tuple | dict]:
        """`view` of what was reported, at most one every `EVERY` seconds and always the newest; ends with the work.

        In a long step, and while another run works, it yields `gr.skip()`, which changes nothing on the page.
        """
        self.began = time.perf_counter()
        pool = ThreadPoolExecutor(1)
        try:
            self.future = pool.submit(self._alone)
            self.future.add_done_callback(lambda _: self.reports.put(None))
            shown = self.began
            while (step := self._newest()) is not None:
                if step is NOTHING_NEW:
                    yield gr.skip()
                elif time.perf_counter() - shown >= EVERY:
                    yield view(step)
                    shown = time.perf_counter()
        finally:
            self.stop.set()
            pool.shutdown(wait=False)  # Gradio closes generators in its event loop: to wait there would stop every page

    def _alone(self) -> T:
        """The work, once that of a run that was closed has come to its next step and ended."""
        with _working:
            if self.stop.is_set():
                raise Stopped
            self.began = time.perf_counter()
            return self.work(self._report)

    def result(self) -> T:
        """What the work returned, or the error that it raised."""
        return self.future.result()

    def _report(self, done: int, total: int, x0_hat: torch.Tensor | None = None) -> None:
        if self.stop.is_set():
            raise Stopped
        seconds = (time.perf_counter() - self.began) / max(done, 1) * (total - done)
        self.reports.put(Step(done, total, seconds, x0_hat))

    def _newest(self) -> Step | None:
        try:
            step = self.reports.get(timeout=LONGEST)
        except Empty:
            return NOTHING_NEW
        try:
            while step is not None:
                step = self.reports.get_nowait()
        except Empty:
            pass
        return step


def run_of(attempt: Callable[[Callable[..., None], str], T]) -> Run[tuple[T, list[str]]]:
    """A run of one piece of work, on the CPU where memory runs out; its result is `within_memory`'s.

    Args:
        attempt: called with `report`, as for `Run`, and the device.
    """
    return Run(lambda report: within_memory(lambda device, _: attempt(report, device)))


def follower(report: Callable[..., None], total: int, before: int = 0) -> dict:
    """Arguments of a pipeline call that report its steps.

    Args:
        report: of a `Run`.
        total: network calls of the whole run.
        before: calls that were made before this one.
    """

    def follow(pipeline: DifFacePipeline, step: int, timestep: int, tensors: dict) -> dict:
        x0_hat = tensors["pred_original_sample"]
        report(before + step + 1, total, (x0_hat.float().cpu() / 2 + 0.5).clamp(0, 1))
        return {}

    return dict(callback_on_step_end=follow, callback_on_step_end_tensor_inputs=["pred_original_sample"])


def within_memory(attempt: Callable[[str, int], T], batch: int = 1) -> tuple[T, list[str]]:
    """Try with a whole batch, then with halves, then on the CPU.

    Args:
        attempt: called with the device ("auto", then "cpu") and the batch size.
        batch: the first size.

    Returns:
        What it returned, and a sentence for each thing that was given up.

    Raises:
        MemoryError: not even one picture on the CPU.
    """
    device, notes = "auto", []
    while True:
        try:
            return attempt(device, batch), notes
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if batch > 1:
            batch //= 2
            notes.append(f"Memory ran out, so it went on with {batch} at once.")
        elif device == "auto":
            device = "cpu"
            notes.append("Memory ran out, so it was done on the CPU.")
        else:
            raise MemoryError("this server has too little memory for the picture; a smaller one is accepted: try that.")
