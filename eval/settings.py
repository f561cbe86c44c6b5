"""What a row of a table is made with: our own models with their settings, or a folder of another method's pictures."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from difface import profiles
from difface.pipeline import DEFAULT_ETA, DEFAULT_STEPS

Restore = Callable[[torch.Tensor, list[torch.Generator]], torch.Tensor]
"""(lq (B, 3, H, W) in [0, 1], one generator per picture) -> (B, 3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class Setting:
    """One way to restore; results are shared between tables where all of it is equal.

    Attributes:
        profile: which networks.
        estimator: of the profile; None is the degraded input itself.
        begin_index: N; None is the estimate f(y) itself.
        scheduler: see `difface.schedulers`.
        steps: inference steps: with ddim those of the whole chain, with others the network calls.
        eta: of ddim; 0.5 with others.
        official_start: noise to alphas_cumprod[N] instead of to the first timestep taken.
    """

    profile: str = "tiny"
    estimator: str | None = None
    begin_index: int | None = None
    scheduler: str = "ddim"
    steps: int = DEFAULT_STEPS
    eta: float = DEFAULT_ETA
    official_start: bool = False

    @property
    def name(self) -> str:
        """A folder's name that tells the setting."""
        if self.estimator is None:
            return "input"
        if self.begin_index is None:
            return f"{self.profile}-{self.estimator}"
        start = "-official" if self.official_start else ""
        eta = f"-eta{self.eta:g}" if self.scheduler == "ddim" else ""
        return f"{self.profile}-difface-{self.estimator}-N{self.begin_index}-{self.scheduler}{self.steps}{eta}{start}"

    def record(self) -> dict[str, Any]:
        """The setting as JSON, with the digests of the files that its networks came from."""
        if self.estimator is None:
            return {"method": "input"}
        return asdict(self) | {"weights": _digests(self)}

    def method(self, device: str, dtype: str) -> Restore:
        """Load the networks and return the call that restores."""
        if self.estimator is None:
            return lambda lq, generators: lq
        if self.begin_index is None:
            estimator = profiles.load_estimator(self.profile, self.estimator, device, dtype)
            place = {"device": estimator.device, "dtype": estimator.dtype}

            @torch.inference_mode()
            def estimate(lq: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
                return estimator(lq.to(**place)).float().cpu()

            return estimate
        pipeline = profiles.load(self.profile, self.estimator, self.scheduler, device, dtype)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.set_begin_index(self.begin_index)

        def restore(lq: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
            return pipeline(
                lq, self.steps, self.eta, generators, official_start=self.official_start, output_type="pt"
            ).images

        return restore


def _digests(setting: Setting) -> dict[str, str]:
    chosen = profiles.profile(setting.profile)
    folders = {setting.estimator: (chosen.estimators | chosen.inpainting)[setting.estimator]()}
    if setting.begin_index is not None:
        folders["unet"] = chosen.unet()
    files = {name: next(folder.glob("*.safetensors")) for name, folder in folders.items()}
    return {name: _digest(file, file.stat().st_mtime_ns) for name, file in files.items()}


@lru_cache
def _digest(file: Path, mtime_ns: int) -> str:
    """SHA-256 of a file, computed once per process and state of the file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class FolderMethod:
    """Another method, by the pictures that its own code made.

    Attributes:
        name: as in the paper's tables, whatever the case.
        folder: one picture per item, of the item's name.
    """

    name: str
    folder: Path

    @staticmethod
    def parse(text: str) -> "FolderMethod":
        """From NAME=DIR.

        Raises:
            ValueError: another form, or no such folder.
        """
        name, _, folder = text.partition("=")
        if not (name and folder and Path(folder).is_dir()):
            raise ValueError(f"--methods must be NAME=DIR with a folder of its pictures; got '{text}'.")
        return FolderMethod(name, Path(folder))
