"""In which number type the networks compute: a name, or "auto" for what this machine multiplies fastest."""

import time
from functools import cache
from typing import NamedTuple

import torch
from torch.nn import functional

WORTHWHILE = 1.2
"""Times faster that bfloat16 must be, where only a measurement can tell, before it is taken."""
DTYPES = ("auto", "float32", "float16", "bfloat16")


class Choice(NamedTuple):
    """A type and why it was taken.

    Attributes:
        name: "float32", "float16" or "bfloat16".
        reason: goes on "The networks compute in NAME: REASON".
    """

    name: str
    reason: str


def choose(name: str, device: torch.device | str = "cpu") -> Choice:
    """The type that a name means on a device, and why.

    "auto" is bfloat16 on a CPU with AMX, on one with AVX512-BF16 where a convolution is faster in it (AMD's are, by
    three times; Intel's without AMX are slower), and on a GPU that multiplies it, float16 on a GPU that multiplies only
    this (compute capability 7), and float32 elsewhere: torch and the clock are asked, not the machine's name.
    The weights keep their range in bfloat16 and lose 16 of their 24 bits; the chain's state is float32 in any case.

    Args:
        name: of `DTYPES`.
        device: where the networks are.

    Raises:
        ValueError: another name.

    Example:
        >>> choose("float16")
        Choice(name='float16', reason='it was asked for')
        >>> choose("auto", "mps").name
        'float32'
    """
    if name not in DTYPES:
        raise ValueError(f"the dtype '{name}' is unknown; {', '.join(DTYPES)} are accepted: choose one.")
    if name != "auto":
        return Choice(name, "it was asked for")
    device = torch.device(device)
    if device.type == "cpu":
        return _on_cpu()
    if device.type == "cuda":
        return _on_cuda(device)
    return Choice("float32", f"no faster type is known to be safe on {device.type}")


def torch_dtype(name: str, device: torch.device | str) -> torch.dtype:
    """`choose` as a type."""
    return getattr(torch, choose(name, device).name)


def _on_cpu() -> Choice:
    if not torch.backends.mkldnn.is_available():
        return Choice("float32", "this torch has no oneDNN, which multiplies bfloat16 on a CPU")
    units = _matrix_units()
    if not units:
        return Choice("float32", "this CPU has neither AMX nor AVX512-BF16")
    if "AMX" not in units and speedup() < WORTHWHILE:
        return Choice("float32", "this CPU multiplies bfloat16 in hardware (AVX512-BF16), but no faster")
    return Choice("bfloat16", f"this CPU multiplies it in hardware ({units[0]})")


@cache
def speedup() -> float:
    """How many times faster than in float32 this CPU is in bfloat16, by a 3x3 convolution of 128 channels.

    It is measured once in a process, in some hundredths of a second: the best of several turns each, since what else
    runs on the machine can only slow a turn down.
    """
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    with torch.inference_mode():
        for _ in range(6):  # of which the first sets things up
            for dtype, found in seconds.items():
                x = torch.ones(1, 128, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
                weight = torch.ones(128, 128, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
                started = time.perf_counter()
                functional.conv2d(x, weight, padding=1)
                found.append(time.perf_counter() - started)
    return min(seconds[torch.float32]) / min(seconds[torch.bfloat16])


def _matrix_units() -> list[str]:
    """Of AMX and AVX512-BF16 those that this CPU has. (Others compute bfloat16, too, but slower than float32.)"""
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        has = {"AMX": found.get("amx_bf16", False), "AVX512-BF16": found.get("avx512_bf16", False)}
    else:  # torch before 2.10 or so
        has = {"AMX": torch.cpu._is_amx_tile_supported(), "AVX512-BF16": torch.cpu._is_avx512_bf16_supported()}
    return [name for name, there in has.items() if there]


def _on_cuda(device: torch.device) -> Choice:
    with torch.cuda.device(device):
        multiplies_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if multiplies_bfloat16:
        return Choice("bfloat16", "this GPU multiplies it in hardware")
    if torch.cuda.get_device_capability(device) >= (7, 0):
        return Choice("float16", "this GPU multiplies it in hardware, but not bfloat16")
    return Choice("float32", "this GPU has no units for half precision")
