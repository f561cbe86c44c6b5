"""What a row of a table is made with: our own models with their settings, or a folder of another method's pictures."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from difface import constraints, profiles
from difface.chain import DEFAULT_ETA, DEFAULT_STEPS, Chain, chain
from difface.degradation import Degradation
from difface.masks import Mask
from difface.pipeline import DifFacePipeline
from difface.schedulers import build_scheduler
from difface.weights import CATALOG, WeightMissing
from eval.datasets import BlockMeans, Grey, Known

Restore = Callable[[torch.Tensor, list[torch.Generator], Sequence[Degradation | Known | None]], torch.Tensor]
"""(lq (B, 3, H, W) in [0, 1], one generator and what made each picture) -> (B, 3, H, W) in [0, 1]."""


MakePipeline = Callable[[str, str | None, str], DifFacePipeline]
"""(profile, estimator or None for its first, scheduler) -> a pipeline of its own on networks that may be shared."""

ITSELF = "itself"
"""The estimator of diffusion and reconstruction (Eq. 10): the picture itself takes the place of f(y)."""


class Itself(nn.Module):
    """f(x) = x."""

    takes_mask = False
    dtype = torch.float32

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def forward(self, image: torch.Tensor, mask: None = None) -> torch.Tensor:
        """(B, 3, H, W) -> the same."""
        return image


@dataclass(frozen=True)
class Agreement:
    """How a result is made to agree with its input, whose degradation is known (see `difface.constraints`).

    Attributes:
        gamma: in [0, 0.5], of the rule "step" for known pixels; colours and block means are projected whatever it is.
        composite: paste the known pixels at the end; without a mask there is nothing to paste.
    """

    gamma: float = 0.5
    composite: bool = True


class EnlargedMeans(constraints.Downsampled):
    """`Downsampled` for inputs that are H^+ y already, for y may be smaller than the pipeline takes (4 pixels, x16)."""

    def prepared(self, inputs: list[torch.Tensor], size: int) -> list[torch.Tensor]:
        """The inputs as they are, of the model's size."""
        return inputs


@dataclass(frozen=True)
class Setting:
    """One way to restore; results are shared between tables where all of it is equal.

    Attributes:
        profile: which networks.
        estimator: of the profile, or `ITSELF`; None is the degraded input itself.
        begin_index: N; None is the estimate f(y) itself.
        scheduler: see `difface.schedulers`.
        steps: inference steps: with ddim those of the whole chain, with others the network calls.
        eta: of ddim; 0.5 with others.
        official_start: noise to alphas_cumprod[N] instead of to the first timestep taken.
        agreement: how a known degradation is used; None treats every input as blind.
        seed: added to the seeds of the pictures' names: 1 is another answer to each.
    """

    profile: str = "tiny"
    estimator: str | None = None
    begin_index: int | None = None
    scheduler: str = "ddim"
    steps: int = DEFAULT_STEPS
    eta: float = DEFAULT_ETA
    official_start: bool = False
    agreement: Agreement | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """A folder's name that tells the setting."""
        if self.estimator is None:
            return "input"
        known = ""
        if self.agreement:
            known = f"-known{self.agreement.gamma:g}" + ("" if self.agreement.composite else "-unpasted")
        if self.begin_index is None:
            return f"{profiles.label(self.profile)}-{self.estimator}{known}"
        start = "-official" if self.official_start else ""
        eta = f"-eta{self.eta:g}" if self.scheduler == "ddim" else ""
        seed = f"-seed{self.seed}" if self.seed else ""
        chain = f"N{self.begin_index}-{self.scheduler}{self.steps}{eta}{start}{seed}"
        return f"{profiles.label(self.profile)}-difface-{self.estimator}-{chain}{known}"

    def record(self) -> dict[str, Any]:
        """The setting as JSON, with the digests of the files that its networks came from."""
        if self.estimator is None:
            return {"method": "input"}
        fields = asdict(self)
        for later in ("agreement", "seed"):  # as in the records from before there were these
            if not fields[later]:
                del fields[later]
        return fields | {"profile": profiles.label(self.profile), "weights": _digests(self)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Setting":
        """The setting of a record, whatever weights that names.

        Raises:
            ValueError: it is the record of something else.
        """
        if record.get("method") == "input":
            return cls()
        given = {name: value for name, value in record.items() if name != "weights"}
        if agreement := given.get("agreement"):
            given["agreement"] = Agreement(**agreement)
        try:
            return cls(**given)
        except TypeError:
            raise ValueError(f"a record of a setting is accepted; got one of {', '.join(record)}.") from None

    def chain(self) -> Chain | None:
        """What the reverse chain would do, before any network is loaded; None where there is none.

        Raises:
            ValueError: N, the steps, eta or the start rule, as the pipeline refuses them.
        """
        if self.begin_index is None:
            return None
        scheduler = build_scheduler(self.scheduler)
        return chain(scheduler, self.begin_index, self.steps, self.eta, official_start=self.official_start)

    @property
    def timesteps(self) -> list[int]:
        """Of the network calls, falling; none without a chain."""
        found = self.chain()
        return found.timesteps if found else []

    def another(self, seed: int) -> "Setting":
        """The same with that much added to the seeds."""
        return replace(self, seed=self.seed + seed)

    def method(self, device: str, dtype: str, make: MakePipeline | None = None) -> Restore:
        """Load the networks and return the call that restores.

        Args:
            device, dtype: as in `difface.profiles.load`.
            make: gives the pipeline instead, from networks that are there already.
        """
        if self.estimator is None:
            return lambda lq, generators, made_by: lq
        load = self._estimate if self.begin_index is None else self._chain
        restore = load(device, dtype, make)
        if self.agreement is None or not self.agreement.composite:
            return restore
        return lambda lq, generators, made_by: _pasted(restore(lq, generators, made_by), lq, made_by)

    def _estimate(self, device: str, dtype: str, make: MakePipeline | None) -> Restore:
        """f(y)."""
        if make:
            estimator = make(self.profile, self.estimator, self.scheduler).estimator
        else:
            estimator = profiles.load_estimator(self.profile, self.estimator, device, dtype)
        place = {"device": estimator.device, "dtype": estimator.dtype}

        @torch.inference_mode()
        def estimate(lq: torch.Tensor, generators: list[torch.Generator], made_by: Sequence) -> torch.Tensor:
            mask = masks_of(made_by, lq.shape[-1]).to(**place) if estimator.takes_mask else None
            return estimator(lq.to(**place), mask).float().cpu()

        return estimate

    def _pipeline(self, device: str, dtype: str, make: MakePipeline | None) -> DifFacePipeline:
        itself = self.estimator == ITSELF
        if make:
            pipeline = make(self.profile, None if itself else self.estimator, self.scheduler)
        else:
            name = None if itself else self.estimator
            pipeline = profiles.load(self.profile, name, self.scheduler, device, dtype, prior_only=itself)
        estimator = Itself(pipeline.device) if itself else pipeline.estimator
        pipeline = DifFacePipeline(pipeline.unet, pipeline.scheduler, estimator, self.begin_index)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _chain(self, device: str, dtype: str, make: MakePipeline | None) -> Restore:
        """Alg. 1."""
        pipeline = self._pipeline(device, dtype, make)

        def restore(lq: torch.Tensor, generators: list[torch.Generator], made_by: Sequence) -> torch.Tensor:
            if lq.shape[-1] != pipeline.size:  # what is shown is what the networks saw
                raise ValueError(
                    f"the profile '{self.profile}' works at {pipeline.size} pixels; got faces of {lq.shape[-1]}: use a "
                    "profile of that size, or align the faces to this one's."
                )
            return pipeline(
                lq,
                self.steps,
                self.eta,
                generators,
                constraint=self._constraint(made_by, lq.shape[-1]),
                official_start=self.official_start,
                output_type="pt",
            ).images

        return restore

    def _constraint(self, made_by: Sequence[Degradation | Known | None], size: int) -> constraints.Constraint | None:
        """What the chain must agree with."""
        if self.agreement is None:
            return None
        match made_by[0]:
            case Mask():
                return constraints.Masked(masks_of(made_by, size), "step", self.agreement.gamma)
            case Grey():
                return constraints.Grey()
            case BlockMeans(scale):
                return EnlargedMeans(scale)
        raise ValueError("this setting needs inputs of a known degradation; got others: take another data set.")


def masks_of(made_by: Sequence[Degradation | Known | None], size: int) -> torch.Tensor:
    """(B, 1, size, size), 1 = missing."""
    return torch.cat([mask.paint(size) for mask in made_by])


def _pasted(restored: torch.Tensor, lq: torch.Tensor, made_by: Sequence[Degradation | Known | None]) -> torch.Tensor:
    """The final composite: the input's own pixels where they are known."""
    if not isinstance(made_by[0], Mask):
        return restored
    return torch.where(masks_of(made_by, lq.shape[-1]) == 1, restored, lq)


def _digests(setting: Setting) -> dict[str, str]:
    chosen = profiles.profile(setting.profile)
    folders = {}
    if setting.estimator != ITSELF:
        folders[setting.estimator] = (chosen.estimators | chosen.inpainting)[setting.estimator]()
    if setting.begin_index is not None:
        folders["unet"] = chosen.unet()
    return {name: digest(folder) for name, folder in folders.items()}


def digest(folder: Path) -> str:
    """SHA-256 of the weights of a network's folder."""
    file = next(folder.glob("*.safetensors"))
    return _digest(file, file.stat().st_mtime_ns)


@lru_cache
def _digest(file: Path, mtime_ns: int) -> str:
    """SHA-256 of a file, computed once per process and state of the file."""
    result = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            result.update(chunk)
    return result.hexdigest()


def missing(problem: WeightMissing) -> str:
    """What to do about the file of weights that is not there, without this machine's paths."""
    if problem.name is None:
        return " ".join(str(problem).split())
    weight = CATALOG[problem.name]
    remedy = f"get it with: {weight.command}" if weight.source else "which has no public address"
    return f"needs {problem.name}, {remedy}"


@dataclass(frozen=True)
class FolderMethod:
    """Another method, by the pictures that its own code made.

    Attributes:
        name: as in the paper's tables, whatever the case.
        folder: one picture per item, NAME.png of any size; for a table of several kinds, such a folder for each in it.
    """

    name: str
    folder: Path

    def within(self, kind: str | None) -> "FolderMethod":
        """Its pictures of a kind ("Box", "x8"): those in DIR/kind, in small letters, or else in DIR itself."""
        inner = self.folder / kind.lower() if kind else self.folder
        return FolderMethod(self.name, inner if inner.is_dir() else self.folder)

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
