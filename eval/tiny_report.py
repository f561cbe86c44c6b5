"""The embedded models' numbers: fidelity, identity and realism on test faces at three levels of Eq. 17."""

import hashlib
import json
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path

import torch
from rich.progress import track

from difface import folders, images, profiles
from difface.degradation import Degradation, degrade
from difface.files import whole_file
from difface.metrics import PSNR, SSIM, FrechetIdentity, IdentityAngle, KernelDistance
from difface.metrics.base import SetMetric
from difface.pipeline import DifFacePipeline
from difface.schedulers import FAST_CALLS
from eval.datasets import generator_of, noise_of
from eval.prior_samples import sample_report
from eval.settings import digest
from eval.tables import statistics

LEVELS = {"middle": 4, "mild": 2, "severe": 8}
"""Level -> s of Eq. 17; sigma 1 pixel, delta 5 grey levels and JPEG quality 60 at all three."""
BATCH = 25
NETWORKS = ("srcnn", "swinir", "unet")
"""Folders of the embedded weights that the numbers depend on."""
DEFINITIONS = f"SSIM {SSIM.version}; noise of NAME.png, answers of NAME; distances with errors"
"""What numbers depend on beside weights and faces: when one of these changes, rows of before are measured again."""


@dataclass(frozen=True)
class Setting:
    """One row: which estimator, and if DifFace follows it, how.

    Attributes:
        estimator: "swinir" or "srcnn"; None is the degraded input itself.
        begin_index: N; None is the estimate f(y) itself.
        scheduler: see `difface.schedulers`.
        steps: inference steps.
        official_start: noise to alphas_cumprod[N] instead of to the first timestep taken.
    """

    estimator: str | None = None
    begin_index: int | None = None
    scheduler: str = "ddim"
    steps: int = 250
    official_start: bool = False

    @property
    def label(self) -> str:
        """The row's name in a table."""
        if self.estimator is None:
            return "input (LQ)"
        if self.begin_index is None:
            return f"f(y), {self.estimator}"
        if self.scheduler != "ddim":
            return f"DifFace({self.estimator}), N = {self.begin_index}, --fast ({self.steps} calls)"
        start = "official" if self.official_start else "matched"
        return f"DifFace({self.estimator}), N = {self.begin_index}, {self.steps} steps, {start} start"


def settings() -> list[Setting]:
    """All rows of a level."""
    rows = [Setting(), Setting("srcnn"), Setting("swinir")]
    rows += [Setting(estimator, begin_index) for estimator in ("srcnn", "swinir") for begin_index in (150, 250, 400)]
    for begin_index in (250, 400):
        rows.append(Setting("swinir", begin_index, "dpm++", FAST_CALLS))
        rows += [
            Setting("swinir", begin_index, "ddim", steps, official)
            for steps in (20, 50, 250)
            for official in (False, True)
            if (steps, official) != (250, False)
        ]
    return rows


def report(train: Path, test: Path, output: Path, limit: int | None = None, dtype: str = "auto") -> dict:
    """Measure every setting at every level; one seed per face, from its file's name.

    Args:
        train: folder of aligned 64-pixel faces that the Frechet distance refers to.
        test: folder of aligned 64-pixel faces to degrade and restore.
        output: JSON file, written after every row; rows measured before on the same weights and faces are not repeated.
        limit: only so many test faces.
        dtype: of the networks, see `difface.profiles.load`; the sampler's state is float32 in any case.

    Returns:
        `key` (digest of weights, type, faces and definitions), `dtype`, `weights` (network -> SHA-256), `rows` (level, s, the setting, PSNR in dB, SSIM, ID
        angle in degrees, FD identity and KID identity, each with the jackknife's standard error over the test faces, `...
        error`) and `samples` (see `eval.prior_samples`).
    """
    dtype = profiles.dtype_name(dtype)
    known, files = folders.find([train]), folders.find([test])[:limit]
    done = _resumed(output, _fingerprint(known, files, dtype), dtype)
    truth = torch.cat([_read(file) for file in files])
    distances = (FrechetIdentity(), KernelDistance(FrechetIdentity()))
    for file in track(known, "reference"):
        vectors = distances[0].features(_read(file))
        for distance in distances:
            distance.add(vectors, real=True)
    levels = [(name, s, setting) for name, s in LEVELS.items() for setting in settings()]
    for level, s, setting in track([("untouched", 1, Setting()), *levels], "rows"):
        if any(row["level"] == level and row["setting"] == asdict(setting) for row in done["rows"]):
            continue
        answer = truth if level == "untouched" else _restored(truth, files, s, setting, dtype)
        row = {"level": level, "s": s, "setting": asdict(setting)} | _scores(answer, truth, distances)
        done["rows"].append(row)
        _write(done, output)
    if not done["samples"]:
        done["samples"] = sample_report(known, files, dtype)
        _write(done, output)
    return done


def _resumed(output: Path, key: str, dtype: str) -> dict:
    """What the file holds of the same weights and faces, or an empty report."""
    if output.exists():
        stored = json.loads(output.read_text())
        if stored.get("key") == key:
            return stored
    weights = {name: digest(profiles.ASSETS / "tiny" / name) for name in NETWORKS}
    return {"key": key, "dtype": dtype, "weights": weights, "rows": [], "samples": {}}


def _write(done: dict, output: Path) -> None:
    with whole_file(output) as temporary:
        temporary.write_text(json.dumps(done, indent=1))


def _read(file: Path) -> torch.Tensor:
    return images.to_tensors(images.read(file))[0][None]


def _fingerprint(known: list[Path], test: list[Path], dtype: str) -> str:
    """Digest of the embedded weights, their type, the faces, by names and bytes, and what else a number depends on."""
    weights = [profiles.ASSETS / "tiny" / name / "diffusion_pytorch_model.safetensors" for name in NETWORKS]
    digest = hashlib.sha256(f"{dtype} {len(known)} {DEFINITIONS}".encode())
    for file in weights + known + test:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _restored(truth: torch.Tensor, files: list[Path], s: float, setting: Setting, dtype: str) -> torch.Tensor:
    lq = degrade(truth, Degradation(s, 1, 1, 0, 5, 60), [noise_of(file.stem) for file in files])
    if setting.estimator is None:
        return lq
    pipeline = _pipeline(setting, dtype)
    parts = []
    for first in range(0, len(lq), BATCH):
        part = lq[first : first + BATCH]
        if setting.begin_index is None:
            with torch.inference_mode():
                parts.append(pipeline.estimator(part.to(pipeline.estimator.device)).float().cpu())
        else:
            seeds = [generator_of(file.stem) for file in files[first : first + BATCH]]
            result = pipeline(
                part, setting.steps, generator=seeds, official_start=setting.official_start, output_type="pt"
            )
            parts.append(result.images)
    return torch.cat(parts).mul(255).round() / 255


def _pipeline(setting: Setting, dtype: str) -> DifFacePipeline:
    pipeline = profiles.load("tiny", setting.estimator, setting.scheduler, dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    if setting.begin_index is not None:
        pipeline.set_begin_index(setting.begin_index)
    return pipeline


def _scores(answer: torch.Tensor, truth: torch.Tensor, distances: tuple[SetMetric, ...]) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    for metric in (PSNR(), SSIM(), IdentityAngle()):
        metric.update(answer, truth)
        value = metric.compute()
        scores[metric.name] = value if value != float("inf") else None
    vectors = distances[0].features(answer)
    for distance in distances:
        distance.reset()
        distance.add(vectors)
        without = dict(enumerate(distance.without().tolist()))
        error = statistics.error(statistics.deviations(without))
        scores |= {distance.name: distance.compute(), f"{distance.name} error": None if isnan(error) else error}
    return scores


def markdown(done: dict) -> str:
    """One table per level, and what the prior draws alone."""
    order = settings()
    rows, parts = sorted(done["rows"], key=lambda row: (row["s"], order.index(Setting(**row["setting"])))), []
    for level in dict.fromkeys(row["level"] for row in rows):
        chosen = [row for row in rows if row["level"] == level]
        names = [name for name in _DISTANCES if name in chosen[0]]
        head = ["PSNR (dB)", "SSIM", "ID angle (degrees)", *names]
        lines = [
            f"**{level}** (s = {chosen[0]['s']})",
            "",
            f"| | {' | '.join(head)} |",
            "| --- " * (len(head) + 1) + "|",
        ]
        for row in chosen:
            label = "untouched faces" if level == "untouched" else Setting(**row["setting"]).label
            psnr = "-" if row["PSNR"] is None else f"{row['PSNR']:.2f}"
            cells = [
                label,
                psnr,
                f"{row['SSIM']:.3f}",
                f"{row['ID angle']:.1f}",
                *(distance(row, name) for name in names),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, _sample_lines(done["samples"])] if done["samples"] else parts)


_DISTANCES = {"FD identity": 1, "KID identity": 4}
"""Distance -> decimals."""


def distance(row: dict, name: str) -> str:
    """The number with its standard error, where there is one."""
    error = row.get(f"{name} error")
    text = f"{row[name]:.{_DISTANCES[name]}f}"
    return text if error is None else f"{text} ± {error:.{_DISTANCES[name]}f}"


def _sample_lines(samples: dict) -> str:
    return (
        f"Samples of the prior alone: SCRFD finds a face in {samples['faces_in_samples']} of {samples['count']} (in "
        f"{samples['faces_in_test']} of as many test faces). Distance to the nearest training face, 1st percentile: "
        f"{samples['pixels_samples_p1']:.3f} by pixels (test faces {samples['pixels_test_p1']:.3f}), "
        f"{samples['angle_samples_p1']:.1f} degrees by embedding (test faces {samples['angle_test_p1']:.1f})."
    )
