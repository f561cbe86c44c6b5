"""The embedded models' numbers: fidelity, identity and realism on test faces at three levels of Eq. 17."""

import json
from collections.abc import Iterator
from dataclasses import replace
from math import isinf, isnan
from pathlib import Path
from typing import Any

from difface import folders, profiles
from difface.degradation import LEVELS, level
from difface.files import whole_file
from difface.schedulers import FAST_CALLS
from eval.datasets import Dataset
from eval.markdown import markdown_grid
from eval.reports.samples import sample_report
from eval.reports.study import Study
from eval.run import WHOLE_SET, Runner
from eval.settings import FolderMethod, Setting, digest
from eval.tables import statistics

BATCH = 25
STARTS = (150, 250, 400)
"""N of DifFace."""
FEW = 20
"""Steps of the short chain."""
MEANS = ("PSNR", "SSIM", "ID angle")
NEAREST = "nearest person"
DISTANCES = {"FD identity": 1, "KID identity": 4}
"""Distance to the training faces -> decimals."""
UNTOUCHED = "untouched"
"""The level of the test faces as they are."""


def settings(profile: str, most_calls: int | None = None) -> list[Setting]:
    """All rows of a level: the input, every f(y), and DifFace after the first, by DDIM and by five calls.

    Of the profile `tiny` also DifFace after the others, and the two starts side by side.

    Args:
        profile: whose networks.
        most_calls: leave out what calls the prior more often for a picture.
    """
    estimators = list(profiles.profile(profile).estimators)
    rows = [Setting(), *(Setting(profile, estimator) for estimator in estimators)]
    for begin_index in STARTS:
        ours = Setting(profile, estimators[0], begin_index)
        fast = replace(ours, scheduler=profiles.profile(profile).fast, steps=FAST_CALLS)
        rows += [ours, replace(ours, steps=FEW), fast]
    if profile == "tiny":
        rows += [Setting(profile, estimator, begin_index) for estimator in estimators[1:] for begin_index in STARTS]
        for begin_index in STARTS[1:]:
            ours = Setting(profile, estimators[0], begin_index)
            rows += [
                replace(ours, steps=steps, official_start=official)
                for steps in (FEW, 50, ours.steps)
                for official in (False, True)
            ]
    distinct = list(dict.fromkeys(rows))
    return [row for row in distinct if most_calls is None or len(row.timesteps) <= most_calls]


def label(row: dict[str, Any]) -> str:
    """The name of a report's row in a table."""
    made = row["setting"]
    if row["level"] == UNTOUCHED:
        return "untouched faces"
    if made["estimator"] is None:
        return "input (LQ)"
    if made["begin_index"] is None:
        return f"f(y), {made['estimator']}"
    which = f"DifFace({made['estimator']}), N = {made['begin_index']}"
    if made["scheduler"] != "ddim":
        return f"{which}, --fast ({made['steps']} calls)"
    return f"{which}, {made['steps']} steps, {'official' if made['official_start'] else 'matched'} start"


def report(study: Study, output: Path, most_calls: int | None = None) -> dict[str, Any]:
    """Measure every setting at every level.

    Args:
        study: what is measured.
        output: JSON file.
        most_calls: leave out what calls the prior more often for a picture.

    Returns:
        `profile`, `dtype`, `faces` (test faces), `weights` (network -> SHA-256), `rows` (level, s, the setting, PSNR in
        dB, SSIM, ID angle in degrees, the share whose nearest test face is their own, and the distances, each with the
        jackknife's standard error over the test faces, `... error`) and `samples` (see `sample_report`).

    Raises:
        ValueError: a metric lacks its weights.
    """
    runner, chosen = study.runner(BATCH), profiles.profile(study.profile)
    rows = list(_rows(study, runner, settings(study.profile, most_calls)))
    done = {
        "profile": study.profile,
        "dtype": runner.dtype,
        "faces": len(study.files),
        "weights": {name: digest(source()) for name, source in {"unet": chosen.unet, **chosen.estimators}.items()},
        "rows": rows,
        "samples": sample_report(folders.find([study.train]), study.files, study.profile, study.dtype),
    }
    with whole_file(output) as temporary:
        temporary.write_text(json.dumps(done, indent=1))
    return done


def _rows(study: Study, runner: Runner, order: list[Setting]) -> Iterator[dict[str, Any]]:
    for name in LEVELS:
        scale = level(study.size, name).scale
        faces = study.degraded(scale)
        methods = {(name, scale): order}
        if name == next(iter(LEVELS)):
            methods = {(UNTOUCHED, 1): [FolderMethod(UNTOUCHED, faces.items[0].hq.parent)]} | methods
        for (told, s), chosen in methods.items():
            runner.evaluate(faces, chosen, [*MEANS, NEAREST, *DISTANCES])
            for method in chosen:
                yield {"level": told, "s": s, "setting": _told(method)} | _scores(runner, faces, method)


def _told(method: Setting | FolderMethod) -> dict[str, Any]:
    """What tells a row's setting from another's."""
    made = method if isinstance(method, Setting) else Setting()
    return {name: getattr(made, name) for name in ("estimator", "begin_index", "scheduler", "steps", "official_start")}


def _scores(runner: Runner, faces: Dataset, method: Setting | FolderMethod) -> dict[str, float | None]:
    scores: dict[str, float | None] = {
        name: None if isinf(value) else value for name, value in runner.means(faces, method, (*MEANS, NEAREST)).items()
    }
    for name in DISTANCES:
        found = runner.scores(faces, method, name)
        if found.reason:
            raise ValueError(f"{name} cannot be measured: {found.reason}")
        error = statistics.error(statistics.deviations(found.without))
        scores |= {name: found.values[WHOLE_SET], f"{name} error": None if isnan(error) else error}
    return scores


def markdown(done: dict[str, Any]) -> str:
    """One table per level, and what the prior draws alone."""
    parts, by_severity = [], sorted(done["rows"], key=lambda row: row["s"])
    for name in dict.fromkeys(row["level"] for row in by_severity):
        rows = [row for row in by_severity if row["level"] == name]
        distances = [distance for distance in DISTANCES if distance in rows[0]]
        nearest = [NEAREST] if NEAREST in rows[0] else []  # not in reports from before it was measured
        head = ["", "PSNR (dB)", "SSIM", "ID angle (degrees)", *nearest, *distances]
        grid = markdown_grid([head, *(_cells(row, distances) for row in rows)])
        parts.append(f"**{name}** (s = {rows[0]['s']:g})\n\n{grid}")
    return "\n\n".join([*parts, _sample_lines(done["samples"])])


def _cells(row: dict[str, Any], distances: list[str]) -> list[str]:
    psnr = "-" if row["PSNR"] is None else f"{row['PSNR']:.2f}"
    told = [f"{row['SSIM']:.3f}", f"{row['ID angle']:.1f}"]
    told += [f"{row[NEAREST]:.0%}"] if NEAREST in row else []
    return [label(row), psnr, *told, *(distance(row, name) for name in distances)]


def distance(row: dict[str, Any], name: str) -> str:
    """The number with its standard error, where there is one."""
    error = row.get(f"{name} error")
    text = f"{row[name]:.{DISTANCES[name]}f}"
    return text if error is None else f"{text} ± {error:.{DISTANCES[name]}f}"


def _sample_lines(samples: dict[str, Any]) -> str:
    return (
        f"Samples of the prior alone: SCRFD finds a face in {samples['faces_in_samples']} of {samples['count']} (in "
        f"{samples['faces_in_test']} of as many test faces). Distance to the nearest training face, 1st percentile: "
        f"{samples['pixels_samples_p1']:.3f} by pixels (test faces {samples['pixels_test_p1']:.3f}), "
        f"{samples['angle_samples_p1']:.1f} degrees by embedding (test faces {samples['angle_test_p1']:.1f})."
    )
