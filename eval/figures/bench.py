"""Where the figures get pictures and scores from: the runner of the tables, so that what is there is not made again."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from difface import images, profiles
from difface.degradation import Degradation
from difface.masks import Mask
from difface.methods import Task
from eval import rivals
from eval.datasets import Dataset, Item, Known
from eval.figures.faces import Faces
from eval.figures.scores import PAIRS, known, reason
from eval.rivals import Rival
from eval.run import WHOLE_SET, Method, Runner
from eval.settings import FolderMethod, Setting


@cache
def _scratch() -> TemporaryDirectory:
    """A folder that is gone when the process ends."""
    return TemporaryDirectory(prefix="difface-figures-")


def temporary_runner() -> Runner:
    """One whose pictures last as long as the process."""
    return Runner(Path(_scratch().name))


def ours(profile: str, estimator: str | None = None, begin_index: int | None = None, **options) -> Setting:
    """DifFace by a profile's own estimator and N, where none is given.

    Args:
        profile: whose networks.
        estimator: None for the profile's first.
        begin_index: N; None for the profile's.
        options: of `Setting`.
    """
    chosen = profiles.profile(profile)
    begin_index = chosen.begin_index if begin_index is None else begin_index
    return Setting(profile, estimator or next(iter(chosen.estimators), None), begin_index, **options)


@dataclass(frozen=True)
class Bench:
    """The faces of a figure as a data set of a runner, and how they are restored and scored.

    Attributes:
        faces: inputs, and truth where there is one.
        runner: makes and keeps pictures and scores, and has the reference of distances between sets; without one, that
            is the truth.
        profile, estimator: whose networks; None is the profile's first estimator.
        begin_index: N; None for the profile's.
        steps: length of the DDIM grid; the paper's is 250.
        others: a name -> folder of another method's answers, NAME.png for each face.
        rivals: other methods that run here, see `eval.rivals.chosen`.
        metrics: for the table, and the plots; one that cannot be had is n/a.
        made_by: what made each input, where it is known; none: blind restoration.
        notes: metric -> why it has no number, filled as it is asked for.

    Raises:
        ValueError: an unknown metric.
    """

    faces: Faces
    runner: Runner
    profile: str = "tiny"
    estimator: str | None = None
    begin_index: int | None = None
    steps: int = 50
    others: Mapping[str, Path] | None = None
    rivals: Sequence[str] = ()
    metrics: Sequence[str] = PAIRS
    made_by: Sequence[Degradation | Known] = ()
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known(self.metrics)

    def first(self, count: int) -> "Bench":
        """The same with the first faces only."""
        return replace(self, faces=self.faces.first(count))

    def ours(self, **options) -> Setting:
        """DifFace as it is asked for; `options` of `Setting`."""
        return ours(self.profile, self.estimator, self.begin_index, steps=self.steps, **options)

    def peers(self, task: Task, kind: str | None = None) -> dict[str, Method]:
        """Name -> other methods: folders of their answers, of one kind where there are several, and those that run.

        Raises:
            ValueError: of those that run, one that is unknown, cannot do the task, or lacks its network.
        """
        given = (self.others or {}).items()
        found: dict[str, Method] = {name: FolderMethod(name, Path(folder)).within(kind) for name, folder in given}
        return found | {one.label: one for one in rivals.running(self.rivals, task, self.profile)}

    @cached_property
    def dataset(self) -> Dataset:
        """The faces, written where the runner keeps its own."""
        faces, digest = self.faces, hashlib.sha256(repr(self.made_by).encode())
        for name, batch in (("hq", faces.hq), ("lq", faces.lq)):
            digest.update(name.encode() if batch is None else batch.numpy().tobytes())
        folder = self.runner.root / "faces" / digest.hexdigest()[:10]
        items = []
        for k, name in enumerate(faces.names):
            made_by = self.made_by[k] if self.made_by else None
            pictures = {"lq": faces.lq[k]} | ({} if faces.hq is None else {"hq": faces.hq[k]})
            if isinstance(made_by, Mask):
                pictures["mask"] = made_by.paint(faces.size)[0].expand(3, -1, -1)
            files = {kind: folder / kind / f"{name}.png" for kind in pictures}
            for kind, file in files.items():
                if not file.exists():
                    images.write(images.to_pil(pictures[kind]), file)
            items.append(Item(name, files.get("hq"), files["lq"], made_by, files.get("mask")))
        return Dataset("faces", f"{len(items)} faces", faces.size, tuple(items))

    def pictures(self, method: Method, answers: int = 1) -> Tensor:
        """Of every face the answers with its name's seed plus 0, 1, ...: (B * answers, 3, H, H), grouped by face."""
        methods = [method if k == 0 else method.another(k) for k in range(answers)]
        self.runner.evaluate(self.dataset, methods, [])
        each = [self.runner.restored(self.dataset, one) for one in methods]
        return torch.stack(each, 1).flatten(0, 1)

    def unrounded(self, setting: Setting) -> Tensor:
        """Of every face the answer before it is rounded to 8 bits, (B, 3, H, H)."""
        return self.runner.unrounded(self.dataset, setting, len(self.faces.names))

    def each(self, method: Method) -> list[dict[str, float]]:
        """Of every face metric -> score; NaN where there is none."""
        found = self._scores(method)
        return [{name: found[name].get(face, math.nan) for name in self.metrics} for face in self.faces.names]

    def scored(self, method: Method) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Of every face its name, the answer, and metric -> score."""
        return zip(self.faces.names, self.pictures(method), self.each(method), strict=True)

    def whole(self, method: Method) -> dict[str, float]:
        """Metric -> the mean over the faces, or the distance of the set; NaN where there is none."""
        return {
            name: values.get(WHOLE_SET, sum(values.values()) / len(values)) if values else math.nan
            for name, values in self._scores(method).items()
        }

    def _scores(self, method: Method) -> dict[str, dict[str, float]]:
        self.runner.evaluate(self.dataset, [method], list(self.metrics))
        found = {}
        for name in self.metrics:
            scores = self.runner.scores(self.dataset, method, name)
            if scores.reason:
                self.notes[name] = reason(scores.reason)
            found[name] = dict(scores.values)
        return found


def calls(method: Method) -> float:
    """Network calls of the prior for each picture; NaN where they are not known."""
    if isinstance(method, Rival):
        return method.calls
    return len(method.timesteps) if isinstance(method, Setting) else math.nan
