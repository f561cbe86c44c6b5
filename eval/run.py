"""Restore a data set with each setting, score the pictures, keep everything on disk: what is there is never done twice.

    ROOT/restored/DATASET/SETTING-DIGEST/NAME.png   and config.json: all that the pictures depend on
    ROOT/scores/DATASET/SETTING-DIGEST/METRIC.csv   name, value of every picture
    METRIC.PROCESS.log holds them until all are there
    (METRIC-VERSION-to-DIGEST where it has a version, and where the faces of a folder are its reference; a distance
    between sets is DISTANCE-each.csv: a line for the whole set, then what it is without each picture)
    ROOT/features/DATASET/SETTING-DIGEST/NETWORK.npy   and reference/NETWORK-DIGEST.npy: what distances are made of

Under `accelerate launch` the work is split between the processes; each picture is made by exactly one of them. Pictures
are made in fixed batches, so that neither the number of processes nor a killed run changes what stands in a batch.
"""

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from PIL import Image
from rich.progress import track

from difface import folders, images, profiles
from difface.files import whole_file
from difface.masks import read_mask
from difface.metadata import RESTORED
from difface.metrics import FID, measure
from difface.metrics.adaface import AdaFaceCosine
from difface.metrics.base import ImageMetric, Metric, PairMetric, SetMetric
from difface.metrics.on_features import OnFeatures
from difface.precision import choose
from difface.weights import WeightError, WeightMissing
from eval.datasets import PRIOR, Dataset, Item, ffhq_statistics, generator_of, name_seed
from eval.metrics import METRICS, HolePSNR, IndRMSE
from eval.rivals import Rival
from eval.settings import FolderMethod, MakePipeline, Setting, missing

PACKAGES = ("torch", "diffusers", "accelerate", "spandrel", "numpy", "opencv-python", "onnxruntime", "lpips")
"""Whose versions are written beside every result."""

WHOLE_SET = "(the whole set)"
"""The name in a score file of a metric that has no score for single pictures."""

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: a slow metric takes hours."""

Made = Setting | Rival
"""What is restored here."""

Method = Made | FolderMethod


def packages() -> dict[str, str]:
    """Name -> version of those of `PACKAGES` that are installed under that name (OpenCV has others, too)."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class NotApplicable(ValueError):
    """A metric that has no meaning for a data set; the message says why in one line."""


@dataclass(frozen=True)
class Scores:
    """Scores of one method by one metric.

    Attributes:
        values: name -> score; a single `WHOLE_SET` for a distance between sets; empty when there is a `reason`.
        reason: why there are none, in a line.
        without: of a distance between sets: name of each picture -> the distance without it.
    """

    values: dict[str, float]
    reason: str | None = None
    without: dict[str, float] = field(default_factory=dict)


class Runner:
    """Restores and scores into a folder.

    Args:
        root: the folder.
        device, dtype: of the networks, as in `difface.profiles.load`; "auto" is recorded as what it means here.
        batch: pictures through the networks at once; part of what a result depends on, in the last digits.
        reference: folder of faces that distances between sets refer to; None: the truth of the data set itself.
        make: gives the pipelines, from networks that are there already; None loads them.
        guess: the f(y) that `IndRMSE` is to; None: it cannot be measured.

    Raises:
        difface.images.ImageError: the reference is not there or holds no picture.
        ValueError: an unknown type or device.
    """

    def __init__(
        self,
        root: Path,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 8,
        reference: Path | None = None,
        make: MakePipeline | None = None,
        guess: Setting | None = None,
    ):
        self.make, self.guess = make, guess
        self.root, self.device, self.batch, self.reference = root, device, batch, reference
        self._faces = folders.find([reference]) if reference else []
        # Told that there is no GPU, accelerate joins the processes of `torchrun`; otherwise each would be the only one.
        self.state = PartialState(cpu=profiles.resolve_device(device).type == "cpu", timeout=PATIENCE)
        if self.device == "auto":
            self.device = "cpu" if self.state.device.type == "cpu" else str(self.state.device)
        self.dtype = choose(dtype, self.device).name
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # float32 is float32 here
        self.scoring_device = "cpu" if self._device_type == "mps" else self.device  # MPS has no float64

    def evaluate(self, dataset: Dataset, methods: list[Method], metrics: list[str]) -> None:
        """Restore and score whatever is not there yet, with all processes; returns when all are done.

        Raises:
            ValueError: as `check`, before anything is restored.
        """
        self.check(dataset, methods, metrics)
        guess = [self.guess] if self.guess and IndRMSE.name in metrics and dataset.source != PRIOR else []
        for method in dict.fromkeys([*guess, *methods]):
            if not isinstance(method, FolderMethod):
                self._restore(dataset, method)
        self.state.wait_for_everyone()
        parts = [part for metric in metrics for part in getattr(METRICS[metric](), "parts", ())]
        every = dict.fromkeys([*parts, *metrics])
        due = [(metric, method) for metric in every for method in methods if self._is_due(dataset, method, metric)]
        self.state.wait_for_everyone()  # nobody writes before all have looked
        for metric, method in due:
            self._score(dataset, method, metric)

    def check(self, dataset: Dataset, methods: list[Method], metrics: list[str]) -> None:
        """Refuse what scoring would stop at, by looking at the files: nothing is restored or scored.

        Raises:
            ValueError: another method's folder lacks a picture, or a picture of the reference has another size.
        """
        for folder in [method.folder for method in methods if isinstance(method, FolderMethod)]:
            for file in (folder / f"{item.name}.png" for item in dataset.items):
                if not file.exists():
                    raise ValueError(
                        f"{file.parent} has no {file.name}; one PNG for each of the {len(dataset.items)} inputs is "
                        "accepted."
                    )
        if any(self._referred(METRICS[metric]()) for metric in metrics):
            for file in self._faces:
                _check_size(file, dataset.size)

    def fitted(self, dataset: Dataset, method: Method) -> str:
        """What is said of another method's pictures that have another size than the data set's; else an empty text."""
        if not isinstance(method, FolderMethod):
            return ""
        sizes = sorted({_size(self._result(dataset, method, item)) for item in dataset.items})
        if sizes == [(dataset.size, dataset.size)]:
            return ""
        given = " to ".join(f"{width}x{height}" for width, height in dict.fromkeys((sizes[0], sizes[-1])))
        return (
            f"{method.name}'s pictures of {given} pixels resized to {dataset.size}x{dataset.size} (bicubic, antialias)"
        )

    def pictures(self, dataset: Dataset, method: Method) -> Path:
        """The folder of a method's pictures."""
        if isinstance(method, FolderMethod):
            return method.folder
        return self.root / "restored" / dataset.name / self._key(dataset, method)

    def restored(self, dataset: Dataset, method: Method) -> torch.Tensor:
        """A method's pictures as they were written, (B, 3, H, W) in [0, 1]."""
        return self._read([self._result(dataset, method, item) for item in dataset.items], dataset.size).cpu()

    def unrounded(self, dataset: Dataset, setting: Made, count: int) -> torch.Tensor:
        """Answers to the first pictures before they are rounded to 8 bits, (count, 3, H, W); they are not kept."""
        return torch.stack([picture for _, picture in self._answers(self._batches(dataset.items[:count]), setting)])

    def remade(self, dataset: Dataset, setting: Made, names: Sequence[str]) -> Iterator[tuple[Item, torch.Tensor]]:
        """The answers to the pictures of those names, each made anew with the others of its batch and not kept: the
        picture and (3, H, W)."""
        due = [batch for batch in self._batches(dataset.items) if any(item.name in names for item in batch)]
        yield from ((item, answer) for item, answer in self._answers(due, setting) if item.name in names)

    def means(self, dataset: Dataset, method: Method, metrics: Sequence[str]) -> dict[str, float]:
        """Metric -> the mean over the pictures, or the distance between sets, of what `evaluate` found.

        Raises:
            ValueError: a metric has no number; the message has the reason.
        """
        result = {}
        for metric in metrics:
            found = self.scores(dataset, method, metric)
            if found.reason:
                raise ValueError(f"{metric} cannot be measured: {found.reason}")
            result[metric] = sum(found.values.values()) / len(found.values)
        return result

    def scores(self, dataset: Dataset, method: Method, metric: str) -> Scores:
        """What `evaluate` found."""
        path = self.score_file(dataset, method, metric)
        if not path.exists():
            return Scores({}, json.loads(path.with_suffix(".json").read_text())["reason"])
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        values = {name: float(value or "nan") for name, value in zip(table["name"], table["value"], strict=True)}
        if WHOLE_SET not in values:
            return Scores(values)
        return Scores({WHOLE_SET: values.pop(WHOLE_SET)}, without=values)

    def runtime(self, dataset: Dataset, setting: Made) -> float:
        """Median seconds for one picture, measured once and kept: the machine belongs to it, the start rule does not.

        All processes call this together; the first measures while the others wait.
        """
        if isinstance(setting, Setting):
            setting = replace(setting, official_start=False)
        name = device_name(self.device)
        machine = broadcast_object_list([f"{self._device_type}-{name}-{torch.get_num_threads()}-{self.dtype}"])[0]
        path = self.root / "runtime" / f"{setting.name}-{_short(setting.record())}-{_slug(machine)}.json"
        self.state.wait_for_everyone()
        if self.state.is_main_process and not path.exists():
            restore, item = setting.method(self.device, self.dtype), dataset.items[0]
            lq = read(item.lq)[None]
            found = measure(lambda: restore(lq, [generator_of(item.name)], [item.degradation]), self.device, repeats=3)
            place = {"device": device_name(self.device), "threads": torch.get_num_threads(), "dtype": self.dtype}
            _write_json(path, {"median": found.median, "values": list(found.values)} | place)
        self.state.wait_for_everyone()
        return json.loads(path.read_text())["median"]

    @property
    def _device_type(self) -> str:
        """The device without its number, which differs between the processes."""
        return torch.device(self.device).type

    def _config(self, dataset: Dataset, method: Method) -> dict:
        """All that a method's pictures depend on, the versions of packages aside."""
        if isinstance(method, FolderMethod):
            files = sorted(method.folder.glob("*.png"))
            return {"dataset": dataset.digest, "folder": str(method.folder.resolve()), "pictures": _states(files)}
        place = {"device": self._device_type, "dtype": self.dtype, "batch": self.batch}
        seeds = "CRC-32 of the picture's name"
        return {"dataset": dataset.digest, "setting": method.record(), "seed": seeds} | place

    def _key(self, dataset: Dataset, method: Method) -> str:
        return f"{method.name}-{_short(self._config(dataset, method))}"

    def _restore(self, dataset: Dataset, setting: Made) -> None:
        """This process's share of the batches that are not complete."""
        folder = self.pictures(dataset, setting)
        due = [
            batch
            for batch in self._mine(dataset.items)
            if not all((folder / f"{item.name}.png").exists() for item in batch)
        ]
        if not due:
            return
        if self.state.is_main_process:
            _write_json(folder / "config.json", self._config(dataset, setting) | {"packages": packages()})
        beside = {item.name: [one.name for one in batch] for batch in due for item in batch}
        for item, picture in self._answers(due, setting):
            text = self._text(dataset, setting, item, beside[item.name])
            images.write(images.to_pil(picture), folder / f"{item.name}.png", text)

    def _text(self, dataset: Dataset, setting: Made, item: Item, batch: list[str]) -> dict[str, str]:
        """What a picture says of itself: how to make it again, with the pictures of which batch."""
        if setting == Setting():
            return {}
        seed = name_seed(item.name) + setting.seed
        told = self._config(dataset, setting) | {"seed": seed, "batch": batch}
        return {"Comment": RESTORED, "difface": json.dumps(told)}

    def _answers(self, batches: list[Sequence[Item]], setting: Made) -> Iterator[tuple[Item, torch.Tensor]]:
        """The only place where test pictures go through a method: each item with its answer, (3, H, W) in [0, 1]."""
        restore = setting.method(self.device, self.dtype, self.make)
        for batch in self._track(batches, setting.name):
            lq = torch.stack([read(item.lq) for item in batch])
            generators = [torch.Generator().manual_seed(name_seed(item.name) + setting.seed) for item in batch]
            yield from zip(batch, restore(lq, generators, [item.degradation for item in batch]), strict=True)

    def score_file(self, dataset: Dataset, method: Method, metric: str) -> Path:
        """Where the scores of a method by a metric are, if there are any."""
        scorer = METRICS[metric]()
        name = _versioned(scorer)
        if self._referred(scorer):
            name += f"-to-{self._reference_digest}"
        if isinstance(scorer, SetMetric):
            name += "-each"
        if isinstance(scorer, IndRMSE) and self.guess:
            name += f"-to-{self._key(dataset, self.guess)}"
        return self.root / "scores" / dataset.name / self._key(dataset, method) / f"{name}.csv"

    @cached_property
    def _reference_digest(self) -> str:
        """Stands for the reference folder and the state of its pictures: names, sizes and times of change."""
        return _short([str(self.reference.resolve()), _states(self._faces)])

    @cached_property
    def reference_sha256(self) -> str | None:
        """Of the names and bytes of the reference folder's pictures; None without one."""
        if not self.reference:
            return None
        lines = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in self._faces]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def told(self, metric: str) -> str:
        """What a reader of its numbers must know beside its name: its weights' version, and whom a distance is to."""
        scorer = METRICS[metric]()
        version = f" ({scorer.version})" if scorer.version else ""
        if isinstance(scorer, IndRMSE) and self.guess:
            return f"{metric} refers to f(y) of {self.guess.name}"
        if not isinstance(scorer, SetMetric) or scorer.reference != "faces":
            return metric + version if version else ""
        own = "FFHQ" if isinstance(scorer, FID) else "the truth"
        return f"{metric}{version} refers to {self.reference.resolve().name if self.reference else own}"

    def _referred(self, scorer: Metric) -> bool:
        """Whether the metric compares with the faces of the reference folder."""
        return self.reference is not None and isinstance(scorer, SetMetric) and scorer.reference == "faces"

    def _is_due(self, dataset: Dataset, method: Method, metric: str) -> bool:
        return not self.score_file(dataset, method, metric).exists()

    def _score(self, dataset: Dataset, method: Method, metric: str) -> None:
        """Write the score file of one metric, or the reason why it cannot be; each process scores its own batches."""
        path, scorer = self.score_file(dataset, method, metric), METRICS[metric]()
        found, reason = _tried(self._share, dataset, method, scorer)
        shares = gather_object([(found, reason)])
        if self.state.is_main_process:
            reason = next((why for _, why in shares if why), None)
            values = {name: value for found, _ in shares for name, value in found.items()}
            if reason is None:
                values, reason = _tried(self._joined, dataset, method, scorer, values)
            if reason is not None:
                _write_json(path.with_suffix(".json"), {"reason": reason})
            else:
                with whole_file(path) as temporary:
                    pd.DataFrame({"name": values.keys(), "value": values.values()}).to_csv(temporary, index=False)
            for log in _logs(path):
                log.unlink()
        self.state.wait_for_everyone()

    def _share(self, dataset: Dataset, method: Method, scorer: Metric) -> dict[str, float]:
        """Name -> score of this process's pictures; of a distance between sets their features are written instead."""
        self._check_applies(dataset, scorer)
        if isinstance(scorer, SetMetric):
            for files, path in self._sets(dataset, method, scorer):
                self._write_features(scorer, files, dataset.size, path)
            return {}
        if getattr(scorer, "parts", ()):
            return {}
        path = self.score_file(dataset, method, scorer.name)
        known, found = _logged(path), {}
        for batch in self._track(self._mine(dataset.items), f"{scorer.name} of {method.name}"):
            names = [item.name for item in batch]
            if not all(name in known for name in names):
                self._update(dataset, method, scorer, batch)
                known |= dict(zip(names, scorer.values[-len(names) :], strict=True))
                _log(path, self.state.process_index, {name: known[name] for name in names})
            found |= {name: known[name] for name in names}
        return found

    def _update(self, dataset: Dataset, method: Method, scorer: Metric, batch: Sequence[Item]) -> None:
        """Give a metric the pictures of a batch, and what it compares them with."""
        restored = self._read([self._result(dataset, method, item) for item in batch], dataset.size)
        if isinstance(scorer, PairMetric | HolePSNR):
            truth = self._read([item.hq for item in batch], dataset.size)
        if isinstance(scorer, HolePSNR):
            scorer.update(restored, truth, torch.cat([read_mask(item.mask) for item in batch]))
        elif isinstance(scorer, PairMetric):
            scorer.update(restored, truth)
        elif isinstance(scorer, IndRMSE) and self.guess:
            estimates = self._read([self._result(dataset, self.guess, item) for item in batch], dataset.size)
            scorer.update(restored, estimates)
        elif isinstance(scorer, AdaFaceCosine):
            scorer.update(restored, self._read([item.lq for item in batch], dataset.size))
        else:
            scorer.update(restored)

    def _check_applies(self, dataset: Dataset, scorer: Metric) -> None:
        """Raise `NotApplicable` for a metric that has no meaning for a data set."""
        if dataset.size < scorer.smallest:
            raise NotApplicable(f"takes sides from {scorer.smallest} pixels; {dataset.name} has {dataset.size}")
        if isinstance(scorer, PairMetric) and any(item.hq is None for item in dataset.items):
            raise NotApplicable(f"{dataset.name} has no truth to compare with")
        if isinstance(scorer, HolePSNR) and any(item.mask is None for item in dataset.items):
            raise NotApplicable(f"{dataset.name} has no masks")
        if isinstance(scorer, IndRMSE) and self.guess is None:
            raise NotApplicable("takes the first guess f(y) of an estimator that needs no mask; there is none here")
        if isinstance(scorer, IndRMSE | AdaFaceCosine) and dataset.source == PRIOR:
            raise NotApplicable(f"{dataset.name} are answers to no photo")
        if isinstance(scorer, SetMetric) and len(dataset.items) < 2:
            raise NotApplicable(f"a distance between sets takes two pictures or more; {dataset.name} has one")

    def _joined(self, dataset: Dataset, method: Method, scorer: Metric, found: dict[str, float]) -> dict[str, float]:
        """Name -> score in the order of the data set, as it is written; on the first process alone."""
        if isinstance(scorer, SetMetric):
            return self._distances(dataset, method, scorer)
        if isinstance(scorer, ImageMetric) and scorer.parts:
            return self._combined(dataset, method, scorer)
        return {item.name: found[item.name] for item in dataset.items}

    def _combined(self, dataset: Dataset, method: Method, scorer: ImageMetric) -> dict[str, float]:
        """The scores of a metric that is made of others, which were measured before it."""
        parts = [self.scores(dataset, method, part) for part in scorer.parts]
        if reasons := [part.reason for part in parts if part.reason]:
            raise NotApplicable(reasons[0])
        return {name: scorer.combined(*(part.values[name] for part in parts)) for name in parts[0].values}

    def _distances(self, dataset: Dataset, method: Method, scorer: SetMetric) -> dict[str, float]:
        """A distance between sets, and what it is without each picture."""
        scored, *real = [self._gathered(files, path) for files, path in self._sets(dataset, method, scorer)]
        scorer.add(scored[: scorer.most])
        if real:
            scorer.add(real[0], real=True)
        else:
            scorer.load_reference(ffhq_statistics(dataset.size))
        names = [item.name for item in dataset.items[: scorer.most]]
        return {WHOLE_SET: scorer.compute()} | dict(zip(names, scorer.without().tolist(), strict=True))

    def _sets(self, dataset: Dataset, method: Method, scorer: SetMetric) -> list[tuple[list[Path], Path]]:
        """The pictures of the scored set and of its reference, each with the file of their features; the first alone
        where the reference is FFHQ's statistics.

        Raises:
            NotApplicable: there is no reference.
        """
        path = self.root / "features" / dataset.name / self._key(dataset, method) / f"{_slug(scorer.family)}.npy"
        scored = ([self._result(dataset, method, item) for item in dataset.items], path)
        own = scorer.of if isinstance(scorer, OnFeatures) else scorer
        if isinstance(own, FID) and own.reference == "faces" and not self.reference:
            if own is not scorer:
                raise NotApplicable(
                    "takes pictures, no statistics of FFHQ: give a folder of real faces with --reference"
                )
            try:
                ffhq_statistics(dataset.size)
            except ValueError as problem:
                raise NotApplicable(str(problem)) from None
            return [scored]
        truth, referred = [item.hq for item in dataset.items if item.hq], self._referred(scorer)
        if not (truth or referred):
            raise NotApplicable(f"{dataset.name} has no truth: give a folder of real faces with --reference")
        of = self._reference_digest if referred else _short(dataset.digest)
        path = self.root / "reference" / f"{_slug(scorer.family)}-{of}.npy"
        return [scored, (self._faces if referred else truth, path)]

    def _write_features(self, scorer: SetMetric, files: list[Path], size: int, path: Path) -> None:
        """This process's part of the features of pictures of that size, unless all are there."""
        mine = self._mine(files)
        if path.exists() or not mine:
            return
        parts = [
            torch.as_tensor(scorer.features(self._read(batch, size))).float().cpu().numpy()
            for batch in self._track(mine, f"features of {path.parent.name}")
        ]
        with whole_file(_part(path, self.state.process_index)) as temporary, temporary.open("wb") as stream:
            np.save(stream, np.concatenate(parts))

    def _gathered(self, files: list[Path], path: Path) -> np.ndarray:
        """(n, d), put together of the processes' parts once, and kept in `path`."""
        if not path.exists():
            working = min(self.state.num_processes, len(self._batches(files)))
            each = [np.load(_part(path, k)) for k in range(working)]
            place, rows = [0] * len(each), []
            for k, batch in enumerate(self._batches(files)):
                of = k % len(each)
                rows.append(each[of][place[of] : place[of] + len(batch)])
                place[of] += len(batch)
            with whole_file(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, np.concatenate(rows))
            for k in range(len(each)):
                _part(path, k).unlink()
        return np.load(path)

    def _result(self, dataset: Dataset, method: Method, item: Item) -> Path:
        """Where a restored picture is."""
        return self.pictures(dataset, method) / f"{item.name}.png"

    def _read(self, files: Sequence[Path], size: int) -> torch.Tensor:
        """(B, 3, size, size) in [0, 1] where scores are made; other sizes are fitted by `images.fit_square`."""
        return torch.stack([images.fit_square(read(file), size) for file in files]).to(self.scoring_device)

    def _batches(self, items: Sequence) -> list[Sequence]:
        return [items[first : first + self.batch] for first in range(0, len(items), self.batch)]

    def _mine(self, items: Sequence) -> list[Sequence]:
        """This process's batches."""
        return self._batches(items)[self.state.process_index :: self.state.num_processes]

    def _track(self, work: list, title: str) -> Iterable:
        """A progress bar with the time left, on the first process."""
        return track(work, title, disable=not self.state.is_main_process, transient=True)


def _tried(work: Callable[..., dict[str, float]], *given: object) -> tuple[dict[str, float], str | None]:
    """What some work finds, and no reason; or nothing, and why it cannot be done, in a line."""
    try:
        return work(*given), None
    except WeightMissing as problem:
        return {}, missing(problem)
    except (NotApplicable, WeightError, ImportError) as problem:
        return {}, " ".join(str(problem).split())


def _part(path: Path, process: int) -> Path:
    """The file of one process's features."""
    return path.with_suffix(f".{process}.npy")


def _logs(path: Path) -> list[Path]:
    """Of a score file that is not there yet: what each process has scored so far."""
    return sorted(path.parent.glob(f"{path.stem}.*.log"))


def _log(path: Path, process: int, scores: dict[str, float]) -> None:
    """Keep scores until all are there, so that a run that was killed goes on behind them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(f".{process}.log").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{json.dumps([name, value])}\n" for name, value in scores.items())


def _logged(path: Path) -> dict[str, float]:
    """Name -> score, by all processes of a run that was killed; a line that was cut is left out."""
    found = {}
    for line in [line for log in _logs(path) for line in log.read_text(encoding="utf-8").splitlines()]:
        with suppress(json.JSONDecodeError):
            name, found[name] = json.loads(line)
    return found


def read(file: Path) -> torch.Tensor:
    """(3, H, W) in [0, 1]."""
    return images.to_tensors(images.read(file))[0]


def _check_size(file: Path, size: int) -> None:
    """Refuse a picture of another size, by its head.

    Raises:
        ValueError: it has.
    """
    width, height = _size(file)
    if (width, height) != (size, size):
        raise ValueError(f"{file} is {width}x{height} pixels; {size}x{size} is accepted.")


def _size(file: Path) -> tuple[int, int]:
    """Width and height, by its head."""
    with Image.open(file) as picture:
        return picture.size


def _write_json(path: Path, content: dict) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1))


def device_name(device: str) -> str:
    """The model of what computes."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() if torch.device(device).type == "cpu" else platform.machine()


def _cpu_name() -> str:
    """The CPU's model where the system tells it, else its architecture."""
    told = Path("/proc/cpuinfo")
    if told.is_file() and (found := re.search(r"^model name\s*:\s*(\S.*)$", told.read_text(), re.MULTILINE)):
        return found[1].strip()
    if platform.system() == "Darwin":
        asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return asked.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _versioned(scorer: Metric) -> str:
    """A metric's name as a file's, with the version of its weights where it has one."""
    return _slug(f"{scorer.name}-{scorer.version}")


def _slug(name: str) -> str:
    """A name as a file's name."""
    return re.sub(r"[^\w-]+", "-", name).strip("-")


def _states(files: list[Path]) -> list[list]:
    """Names, sizes and times of change of files: what differs when one was replaced."""
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _short(content: object) -> str:
    """Ten characters that stand for JSON-like content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:10]
