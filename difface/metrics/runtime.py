"""How long a call takes: the seconds of the paper's runtime columns."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch


@dataclass(frozen=True)
class RunTime:
    """Times of a repeated call, in seconds.

    Attributes:
        median: what a table shows; one slow call does not move it.
        values: one per repeat, in order.
    """

    median: float
    values: tuple[float, ...]


def measure(call: Callable[[], object], device: torch.device | str, warm_up: int = 1, repeats: int = 5) -> RunTime:
    """Time a call, waiting for the device before and after it, because an accelerator answers before it is done.

    Args:
        call: what to time.
        device: where its work runs.
        warm_up: calls before the first that counts (compilation, caches, memory).
        repeats: calls that count, 1 or more.

    Raises:
        ValueError: `repeats` is less than 1, or `warm_up` less than 0.

    Example:
        >>> times = measure(lambda: sum(range(1000)), "cpu", repeats=3)
        >>> len(times.values), min(times.values) <= times.median <= max(times.values)
        (3, True)
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(f"timing takes 1 repeat or more and 0 warm-up calls or more; got {repeats} and {warm_up}.")
    for _ in range(warm_up):
        call()
    values = []
    for _ in range(repeats):
        synchronise(device)
        start = perf_counter()
        call()
        synchronise(device)
        values.append(perf_counter() - start)
    return RunTime(median(values), tuple(values))


def synchronise(device: torch.device | str) -> None:
    """Wait until a device has done all that it was asked.

    Example:
        >>> synchronise("cpu")  # a CPU is done when its call returns
    """
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize(device)
