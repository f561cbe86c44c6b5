"""Rows of other methods that run here, `difface.methods`, by their official settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from difface import methods, profiles
from difface.methods import LEARNED, METHODS, Method, Task
from difface.weights import WeightMissing
from eval.datasets import BlockMeans
from eval.settings import MakePipeline, Restore, digest, masks_of, missing

MOST_CALLS = 200
"""Of the methods that run when none are named: network calls per picture."""

PRINTED = {"iigdm": "pigdm", "score-sde": "replacement"}
"""Name in the paper's tables, in small letters -> key of `difface.methods`, where the two differ. Which form of
Score-SDE the paper ran is not stated; ancestral replacement takes as long as DDRM in its Table VII."""


@dataclass(frozen=True)
class Rival:
    """A method that runs here.

    Attributes:
        key: its name on the command line.
        task: what it is asked for.
        profile: whose prior, for those that have no network of their own.
        seed: added to the seeds of the pictures' names.
    """

    key: str
    task: Task
    profile: str = "tiny"
    seed: int = 0

    @property
    def name(self) -> str:
        """A folder's name."""
        return f"{profiles.label(self.profile)}-{self.key}" + (f"-seed{self.seed}" if self.seed else "")

    @property
    def label(self) -> str:
        """The method's own name."""
        return kinds()[self.key].name

    @property
    def calls(self) -> int:
        """Network calls for each picture.

        Raises:
            difface.weights.WeightMissing: its network is not here.
        """
        return _calls(self.key, self.task, self.profile)

    @property
    def lacks(self) -> str | None:
        """Why it cannot run here, in a line; None: it can."""
        try:
            _calls(self.key, self.task, self.profile)
        except WeightMissing as problem:
            return missing(problem)
        except ValueError as problem:
            return " ".join(str(problem).split())
        return None

    def record(self) -> dict[str, Any]:
        """As JSON, with the digest of the prior; a learned method's file is named by its catalog entry's digest."""
        prior = {} if self.key in LEARNED else {"weights": {"unet": digest(profiles.profile(self.profile).unet())}}
        told = {"method": self.key, "task": self.task, "profile": profiles.label(self.profile), "seed": self.seed}
        return told | prior

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Rival":
        """The method of a record, whatever weights that names."""
        return cls(record["method"], record["task"], record["profile"], record["seed"])

    def another(self, seed: int) -> "Rival":
        """The same with that much added to the seeds."""
        return replace(self, seed=self.seed + seed)

    def method(self, device: str, dtype: str, make: MakePipeline | None = None) -> Restore:
        """Load it and return the call that restores; `make` knows no other methods and is not asked."""
        method = methods.load(self.key, self.task, self.profile, device, dtype)
        method.set_progress_bar_config(disable=True)

        def restore(lq: torch.Tensor, generators: list[torch.Generator], made_by: Sequence) -> torch.Tensor:
            if self.task == "inpainting":
                return method.restore(lq, mask=masks_of(made_by, lq.shape[-1]), generator=generators)
            if self.task == "super-resolution":
                scale = made_by[0].scale if isinstance(made_by[0], BlockMeans) else None
                return method.restore(functional.avg_pool2d(lq, scale), scale=scale, generator=generators)
            return method.restore(lq, generator=generators)

        return restore


def kinds() -> dict[str, type[Method]]:
    """All methods but DifFace itself and its estimator."""
    return {key: kind for key, kind in (METHODS | LEARNED).items() if key not in ("difface", "swinir")}


def rival(printed: str, task: Task, profile: str) -> Rival | None:
    """The method of a printed row, if it runs here and can do the task."""
    key = PRINTED.get(printed.lower(), printed.lower())
    known = kinds()
    return Rival(key, task, profile) if key in known and task in known[key].tasks else None


def chosen(names: Sequence[str], task: Task, profile: str) -> list[Rival]:
    """The methods that a table is asked to run.

    Args:
        names: keys; or "all" (every one that can do the task), "free" (those on our own prior), "fast" (those of at
            most `MOST_CALLS` network calls whose networks are here) or "none".
        task: of the table.
        profile: whose prior.

    Raises:
        ValueError: an unknown name, or a method named that cannot do the task.
    """
    groups = {
        "all": list(kinds()),
        "free": [key for key in kinds() if key in METHODS],
        "fast": list(kinds()),
        "none": [],
    }
    found: dict[str, Rival] = {}
    for name in names:
        if name not in groups and name not in kinds():
            raise ValueError(
                f"the method '{name}' is unknown; {', '.join([*groups, *kinds()])}, or NAME=DIR with a folder of "
                "pictures, are accepted: choose of these."
            )
        if name in kinds():
            kinds()[name].check_task(task)
        able = [key for key in groups.get(name, [name]) if task in kinds()[key].tasks]
        rivals = [Rival(key, task, profile) for key in able]
        found |= {one.key: one for one in rivals if name != "fast" or (not one.lacks and one.calls <= MOST_CALLS)}
    return list(found.values())


def running(names: Sequence[str], task: Task, profile: str) -> list[Rival]:
    """The same, all of which can run here.

    Raises:
        ValueError: as `chosen`; or one of them lacks its network.
    """
    found = chosen(names, task, profile)
    for one in found:
        if one.lacks:
            raise ValueError(f"the method '{one.key}' cannot run: {one.lacks}")
    return found


@cache
def _calls(key: str, task: Task, profile: str) -> int:
    return methods.load(key, task, profile, "cpu").calls(task)
