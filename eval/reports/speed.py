"""What each way to restore costs and what it is worth: seconds, memory and quality, all ways in turn in one run."""

import multiprocessing
import re
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image
from skimage.data import astronaut

from difface import images, masks, profiles
from difface.files import whole_file
from difface.methods import Task
from difface.metrics.runtime import synchronise
from difface.pipeline import DifFacePipeline
from difface.precision import choose
from difface.schedulers import FAST_CALLS
from difface.weights import WeightMissing
from eval import rivals
from eval.datasets import Dataset
from eval.figures.style import BLUE, COLUMN, DPI, GREEN, VERMILION, styled
from eval.markdown import markdown_grid
from eval.reports.study import Study
from eval.rivals import Rival
from eval.run import Runner, device_name
from eval.settings import Agreement, Setting
from eval.stand_ins import stand_in

START = 400
"""N of all rows: the paper's."""
SCALES = (4, 8)
"""s of the test faces' degradation."""
QUALITY = ("PSNR", "ID angle", "FD identity", "KID identity")
BATCH = 25
"""Faces at once where quality is measured."""
BATCHES = (4, 16)
"""Faces at once, beside one, where speed is measured."""
REFERENCED = 4
"""Test faces that are compared with the baseline's and with the long chain's answers."""
LONG = 1000
"""Steps of the long chain."""
AGREES = "PSNR to the baseline's"
"""Mean over `REFERENCED` faces in dB; the two walk with the same seeds and draw other noise."""
CONVERGED = "PSNR to 1000 steps"
NAMES = {"ddpm": "DDPM", "ddpm-noisy": "noisy DDPM", "dpm++": "DPM-Solver++"}
"""The schedulers that take few calls."""
OURS = ("official", "DDIM", "--fast", *NAMES.values())
"""How the names of DifFace's own ways begin."""


@dataclass(frozen=True)
class Way:
    """One way to compute an answer.

    Attributes:
        name: in the table.
        made: the method and its settings.
        dtype: of its networks, as in `difface.profiles.load`.
        channels_last: False keeps the prior's weights in the order that torch makes them in (NCHW).
    """

    name: str
    made: Setting | Rival
    dtype: str = "float32"
    channels_last: bool = True

    @property
    def calls(self) -> int:
        """Network calls of the prior for a picture."""
        return self.made.calls if isinstance(self.made, Rival) else len(self.made.timesteps)


def ways(profile: str, device: str, methods: Sequence[str] = ()) -> list[Way]:
    """The official path first, then one change after the other, then other methods.

    Args:
        profile: whose networks; where none restores without a mask, holes are filled, which takes DDIM.
        device: decides what the fastest number type is (`difface.precision.choose`).
        methods: of `eval.rivals.chosen`.

    Raises:
        ValueError: as `eval.rivals.chosen`.
    """
    chosen, fast = profiles.profile(profile), choose("auto", device).name
    estimator = next(iter(chosen.estimators | chosen.inpainting))
    agreement = None if chosen.estimators else Agreement()
    official = Setting(profile, estimator, START, steps=250, official_start=True, agreement=agreement)
    found = [Way("official: DDIM, 100 calls, float32, NCHW", official, channels_last=False)]
    found += [Way(f"official, {kind}, channels last", official, kind) for kind in dict.fromkeys(("float32", fast))]
    found += [Way(f"DDIM, 20 calls, {fast}", replace(official, official_start=False, steps=50), fast)]
    if agreement is None:
        few = replace(official, official_start=False, scheduler=chosen.fast, steps=FAST_CALLS)
        kinds, name = dict.fromkeys(("float32", "bfloat16", fast)), NAMES[chosen.fast]
        found += [Way(f"--fast: {name}, 5 calls, {kind}", few, kind) for kind in kinds]
        found += [
            Way(f"{name}, {_some(calls, 'call')}, {fast}", replace(few, steps=calls), fast) for calls in (4, 3, 2, 1)
        ]
        others = [other for other in NAMES if other != chosen.fast]
        found += [Way(f"{NAMES[other]}, 5 calls, {fast}", replace(few, scheduler=other), fast) for other in others]
    task: Task = "inpainting" if agreement else "blind"
    return found + [Way(one.label, one, fast) for one in rivals.running(methods, task, profile)]


@dataclass(frozen=True)
class Place:
    """Where the ways are timed.

    Attributes:
        profile: whose networks; random ones of its size where its weights are not here.
        device: as in `difface.profiles.load`.
    """

    profile: str
    device: str

    @property
    def random(self) -> bool:
        """Whether the weights are random."""
        try:
            profiles.profile(self.profile).unet()
        except WeightMissing:
            return True
        return False

    def prepared(self, way: Way) -> Callable[[int], None]:
        """Load a way's networks and return the call that restores so many faces, from tensors to 8-bit pictures."""
        size = profiles.profile(self.profile).size
        face = images.resize(images.to_tensors(Image.fromarray(astronaut()))[0][None], size, size).clamp(0, 1)
        filling = isinstance(way.made, Setting) and way.made.agreement
        made_by = [masks.box(torch.Generator().manual_seed(0)) if filling else None]
        restore = way.made.method(self.device, way.dtype, partial(self._pipeline, way))

        def call(count: int) -> None:
            generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
            for answer in restore(face.repeat(count, 1, 1, 1), generators, made_by * count):
                images.to_pil(answer)

        return call

    def _pipeline(self, way: Way, profile: str, estimator: str | None, scheduler: str) -> DifFacePipeline:
        make = stand_in if self.random else partial(_real, estimator=estimator)
        pipeline = make(profile, scheduler=scheduler, device=self.device, dtype=way.dtype)
        if not way.channels_last:
            pipeline.unet.to(memory_format=torch.contiguous_format)
        return pipeline


def _real(profile: str, estimator: str | None, scheduler: str, device: str, dtype: str) -> DifFacePipeline:
    return profiles.load(profile, estimator, scheduler, device, dtype)


def cheapest(made: Setting | Rival) -> Setting | Rival:
    """A walk of two network calls on the same networks, to warm them up or to see how much memory they take."""
    return made if isinstance(made, Rival) else replace(made, scheduler="ddim", steps=5)


def timed(place: Place, order: list[Way], repeats: int, batches: Sequence[int]) -> pd.DataFrame:
    """Seconds for one face, all ways in turn and then all again, and faces a second in batches.

    Args:
        place: where.
        order: of the ways.
        repeats: rounds.
        batches: numbers of faces at once, from 2; each batch is timed once.

    Returns:
        A row for each way: `calls`, `seconds` (median), `least`, `most`, `ratio` (the first way's median over this
        one's), and `faces/s at B` for each of `batches`.
    """
    calls = []
    for way in order:
        place.prepared(replace(way, made=cheapest(way.made)))(1)  # torch and oneDNN set their kernels up
        calls.append(place.prepared(way))
    seconds: list[list[float]] = [[] for _ in order]
    for _ in range(repeats):
        for found, call in zip(seconds, calls, strict=True):
            found.append(_seconds(place.device, call, 1))
    rows = []
    for way, found, call in zip(order, seconds, calls, strict=True):
        row = {"way": way.name, "calls": way.calls, "seconds": median(found), "least": min(found), "most": max(found)}
        row["ratio"] = median(seconds[0]) / row["seconds"]
        more = [size for size in batches if size > 1]
        rows.append(row | {f"faces/s at {size}": size / _seconds(place.device, call, size) for size in more})
    return pd.DataFrame(rows)


def _seconds(device: str, call: Callable[[int], None], count: int) -> float:
    synchronise(device)
    started = perf_counter()
    call(count)
    synchronise(device)
    return perf_counter() - started


def memory(place: Place, way: Way) -> dict[str, float]:
    """Peak memory of a process that restores one face in this way and does nothing else, in GB.

    Returns:
        `host GB`, and on CUDA `device GB`.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_peak, place, replace(way, made=cheapest(way.made))).result()


def _peak(place: Place, way: Way) -> dict[str, float]:
    """In a process of its own."""
    place.prepared(way)(1)
    found = {"host GB": _resident() / 1e9}
    if torch.device(place.device).type == "cuda":
        found["device GB"] = torch.cuda.max_memory_allocated() / 1e9
    return found


def _resident() -> float:
    """The most memory that this process had at once, in bytes."""
    told = Path("/proc/self/status")
    if told.is_file():  # on Linux `ru_maxrss` is at least that of the process which started this one
        return int(re.search(r"^VmHWM:\s*(\d+) kB$", told.read_text(), re.MULTILINE)[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def quality(study: Study, order: list[Way]) -> pd.DataFrame:
    """What the answers to test faces are worth, at each s of `SCALES`.

    Args:
        study: the faces, and where pictures and scores are kept.
        order: the ways; those that differ in the order of the weights alone have the same answers.

    Returns:
        A row for each way: `METRIC, s = S` for those of `QUALITY`, `AGREES` and `CONVERGED`.

    Raises:
        ValueError: a metric lacks its weights.
    """
    few = replace(study, work=study.work / "first", limit=min(REFERENCED, len(study.files)))
    rows: list[dict[str, Any]] = [{"way": way.name} for way in order]
    for scale in SCALES:
        many, some = study.degraded(scale), few.degraded(scale)
        baseline = order[0].made
        first = _answers(study, many, order[0])
        long = _answers(few, some, replace(order[0], made=replace(baseline, steps=LONG, official_start=False)))
        for row, way in zip(rows, order, strict=True):
            found = _scored(study, many, way)
            found[AGREES] = _psnr(_answers(study, many, way), first)
            found[CONVERGED] = _psnr(_answers(few, some, way), long)
            row |= {f"{metric}, s = {scale}": value for metric, value in found.items()}
    return pd.DataFrame(rows)


def _runner(study: Study, way: Way) -> Runner:
    return replace(study, dtype=way.dtype).runner(BATCH)


def _scored(study: Study, faces: Dataset, way: Way) -> dict[str, float]:
    runner = _runner(study, way)
    runner.evaluate(faces, [way.made], list(QUALITY))
    return runner.means(faces, way.made, QUALITY)


def _answers(study: Study, faces: Dataset, way: Way) -> torch.Tensor:
    """As they were written, (B, 3, H, W) in [0, 1]."""
    runner = _runner(study, way)
    runner.evaluate(faces, [way.made], [])
    return runner.restored(faces, way.made)


def _psnr(pictures: torch.Tensor, others: torch.Tensor) -> float:
    """Mean over the pictures in dB; infinite if all are equal."""
    return float((-10 * torch.log10((pictures - others).square().mean((1, 2, 3)))).mean())


def bench(
    place: Place,
    output: Path,
    study: Study | None = None,
    repeats: int = 3,
    batches: Sequence[int] = BATCHES,
    methods: Sequence[str] = (),
) -> list[Path]:
    """Measure all ways and write speed_PROFILE.csv and .md, and with a study a plot, speed_PROFILE.png.

    Args:
        place: where they are timed; nothing else should run there.
        output: folder.
        study: test faces, for what the answers are worth; None: only what they cost.
        repeats: rounds of the timing, 1 or more.
        batches: numbers of faces at once, beside one.
        methods: other methods, see `eval.rivals.chosen`.

    Raises:
        ValueError: an unknown method, or a metric that lacks its weights.
    """
    order = ways(place.profile, place.device, methods)
    table = timed(place, order, repeats, batches)
    table = table.join(pd.DataFrame([memory(place, way) for way in order]))
    if study is not None:
        table = table.merge(quality(study, order), on="way")
    stem = output / f"speed_{profiles.label(place.profile)}"
    paths = [stem.with_suffix(".csv"), stem.with_suffix(".md")]
    with whole_file(paths[0]) as csv, whole_file(paths[1]) as text:
        table.to_csv(csv, index=False, float_format="%.5g")
        text.write_text(markdown(table, place, repeats), encoding="utf-8")
    if study is not None:
        with whole_file(stem.with_suffix(".png")) as png:
            plot(table).savefig(png, format="png")
        paths.append(stem.with_suffix(".png"))
    return paths


def markdown(table: pd.DataFrame, place: Place, repeats: int) -> str:
    """What each way costs, and what its answers are worth."""
    weights = "random weights of its size: nothing is said of quality" if place.random else "its own weights"
    told = (
        f"Profile {profiles.label(place.profile)}, {weights}; {device_name(place.device)}, {torch.get_num_threads()} "
        f"threads, torch {torch.__version__}. All ways in turn, {_some(repeats, 'round')}; a face from its pixels to "
        "the restored 8-bit picture, f(y) included. Memory: of a process that restores one face."
    )
    costs = ["calls", "seconds", "least", "most", "ratio", *table.filter(regex="faces/s|GB").columns]
    parts = [told, _grid(table, costs)]
    parts += [_grid(table, list(of)) for scale in SCALES if (of := table.filter(regex=f"s = {scale}$").columns).size]
    return "\n\n".join(parts) + "\n"


def _some(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count > 1 else "")


def _grid(table: pd.DataFrame, columns: list[str]) -> str:
    body = [[row["way"], *(_number(row[column]) for column in columns)] for _, row in table.iterrows()]
    return markdown_grid([["", *columns], *body])


def _number(value: float) -> str:
    if pd.isna(value):
        return "n/a"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


@styled
def plot(table: pd.DataFrame) -> Figure:
    """FD identity against seconds: the official path, DifFace otherwise, other methods; a panel for each s. The ways
    have numbers, and their names stand beside."""
    drawn = Figure(figsize=(2 * COLUMN, 2.6), layout="constrained", dpi=DPI)
    for axes, scale in zip(drawn.subplots(1, len(SCALES), squeeze=False)[0], SCALES, strict=True):
        for k, (_, row) in enumerate(table.iterrows()):
            ours = str(row["way"]).startswith(OURS)
            place = (row["seconds"], row[f"FD identity, s = {scale}"])
            colour = VERMILION if k == 0 else BLUE if ours else GREEN
            axes.plot(*place, "o", markersize=3, color=colour, label=f"{k + 1}  {row['way']}")
            axes.annotate(str(k + 1), place, (3, 3), textcoords="offset points", fontsize=5)
        axes.set(xscale="log", xlabel="seconds a face", ylabel="FD identity, lower is better", title=f"s = {scale}")
        axes.margins(0.15)
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=5, handlelength=0.8)
    return drawn
