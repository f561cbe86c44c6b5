"""The methods that the paper compares with, and what came since.

Each is called as `restore(lq, *, mask=None, scale=None, generator=None) -> (B, 3, H, W)`. Those in `METHODS` are
training-free, on any prior of the catalog, one file each: the update rule is in the docstring, and the official
defaults are the constructor's. `METHODS[name].load("tiny")` is one with the networks of a profile. Those in `LEARNED`
have a network of their own.
"""

from inspect import signature

from difface import profiles
from difface.methods.base import ChainMethod, Method, Task
from difface.methods.by_weight import GFPGAN, GFPGAN12, GFPGAN14, CodeFormer, LaMa, RestoreFormer, SwinIR
from difface.methods.ccdf import CCDF
from difface.methods.ddnm import DDNM
from difface.methods.ddrm import DDRM
from difface.methods.difface import DifFace
from difface.methods.diffpir import DiffPIR
from difface.methods.dps import DPS
from difface.methods.dr2 import DR2
from difface.methods.gdp import GDP
from difface.methods.ilvr import ILVR
from difface.methods.mcg import MCG
from difface.methods.pigdm import PiGDM
from difface.methods.red_diff import REDDiff
from difface.methods.repaint import RePaint
from difface.methods.replacement import Replacement
from difface.methods.score_sde import ScoreSDE
from difface.methods.sdedit import SDEdit
from difface.methods.sr3 import SR3

METHODS: dict[str, type[Method]] = {
    "difface": DifFace,
    "repaint": RePaint,
    "ddrm": DDRM,
    "replacement": Replacement,
    "score-sde": ScoreSDE,
    "mcg": MCG,
    "pigdm": PiGDM,
    "ilvr": ILVR,
    "ccdf": CCDF,
    "gdp": GDP,
    "dr2": DR2,
    "dps": DPS,
    "ddnm": DDNM,
    "diffpir": DiffPIR,
    "red-diff": REDDiff,
    "sdedit": SDEdit,
}
"""Name on the command line -> class, training-free."""

LEARNED: dict[str, type[Method]] = {
    "sr3": SR3,
    "gfpgan": GFPGAN,
    "gfpgan-1.2": GFPGAN12,
    "gfpgan-1.4": GFPGAN14,
    "restoreformer": RestoreFormer,
    "codeformer": CodeFormer,
    "lama": LaMa,
    "swinir": SwinIR,
}
"""Name on the command line -> class, with a network of its own."""


def load(
    name: str,
    task: Task,
    profile: str = profiles.DEFAULT,
    device: str = "auto",
    dtype: str = "float32",
    steps: int | None = None,
) -> Method:
    """A method by its name on the command line.

    Args:
        name: of `METHODS` or `LEARNED`.
        task: what it is for.
        profile, device, dtype: as for `difface.profiles.load`.
        steps: instead of the official number.

    Raises:
        ValueError: an unknown name, or a task that the method cannot do, before a network is loaded; steps that it does
            not take.
        difface.weights.WeightMissing: its network is not here; the message has the command that gets it or trains it.
    """
    known = METHODS | LEARNED
    if name not in known:
        raise ValueError(f"the method '{name}' is unknown; {', '.join(known)} are accepted: choose one.")
    kind = known[name]
    kind.check_task(task)
    if steps is not None and "steps" not in signature(kind).parameters:
        raise ValueError(f"{kind.name} always takes the same steps; got {steps}: leave the number out.")
    method = kind.load(profile, device, dtype, **({} if steps is None else {"steps": steps}))
    method.calls(task)  # refuses steps that do not fit
    return method


__all__ = [
    "CCDF",
    "CodeFormer",
    "DDNM",
    "DDRM",
    "DPS",
    "DR2",
    "GDP",
    "GFPGAN",
    "GFPGAN12",
    "GFPGAN14",
    "ILVR",
    "LEARNED",
    "LaMa",
    "MCG",
    "METHODS",
    "ChainMethod",
    "DifFace",
    "DiffPIR",
    "Method",
    "PiGDM",
    "REDDiff",
    "RePaint",
    "Replacement",
    "RestoreFormer",
    "SDEdit",
    "SR3",
    "ScoreSDE",
    "SwinIR",
    "Task",
    "load",
]
