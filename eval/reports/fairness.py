"""Whom embedded models restore better or worse: scores per group of people on a labelled set of faces."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from difface import folders, profiles
from difface.degradation import LEVELS, level
from difface.files import whole_file
from difface.schedulers import FAST_CALLS
from eval import rivals
from eval.datasets import Dataset
from eval.figures.style import DPI, LINES, PAGE, styled
from eval.markdown import markdown_grid
from eval.metrics import IndRMSE
from eval.run import WHOLE_SET, Made, Runner
from eval.settings import FolderMethod, Setting, digest
from eval.tables.data import dataset
from eval.tables.statistics import SURE, deviations, error, interval

KID = "KID identity"
"""From a group's results to its own untouched faces: whether they look like faces of these people at all."""
METRICS = ("PSNR", "ID angle", IndRMSE.name)
"""Of pictures; their intervals are over people."""
SHOWN = (METRICS[:2], (KID, IndRMSE.name))
"""The measures of a level's two tables."""
SMALLEST = 18
"""Pictures of a group; those of smaller ones are put together as `OTHERS`."""
OTHERS, UNKNOWN = "others", "unknown"
BANDS = 3
"""Groups, of about the same size, into which numbers such as ages are cut."""
FAR = 5.0
"""Degrees of the ID angle above the mean of all from which a group is named."""
BATCH = 25
GUESS = "f(y)"


def settings(profile: str, methods: Sequence[str] = ()) -> dict[str, Made]:
    """Name -> the input, the first guess, DifFace by the profile's N and five network calls, and other methods.

    Raises:
        ValueError: a method that is unknown, needs a mask or a scale, or lacks its network.
    """
    chosen = profiles.profile(profile)
    ours = Setting(profile, profiles.restoring_estimator(profile), chosen.begin_index, chosen.fast, FAST_CALLS)
    others = {one.label: one for one in rivals.running(methods, "blind", profile)}
    return {"input": Setting(), GUESS: replace(ours, begin_index=None), "DifFace": ours} | others


def fairness(
    faces: Path,
    labels: Path,
    columns: Sequence[str],
    work: Path,
    output: Path,
    profile: str = "small",
    person: str = "person",
    dtype: str = "float32",
    methods: Sequence[str] = (),
) -> dict[str, Any]:
    """Restore every face at the three levels, and compare the groups.

    Args:
        faces: folder of aligned faces of the profile's size that no network was trained on.
        labels: CSV with a column `file`, whose stems are those of the faces, and columns of labels.
        columns: those to group by; of numbers `BANDS` groups are made.
        work: folder for pictures and scores; what is there is not made again.
        output: JSON file; a figure of the ID angles is written beside it, as PNG.
        profile: whose networks.
        person: the column that tells people apart: an interval is over people, not over pictures of one.
        dtype: of the networks, as in `difface.profiles.load`.
        methods: other methods that run here, see `eval.rivals.chosen`.

    Returns:
        `profile`, `dtype`, `faces`, `people`, `weights` (network -> SHA-256) and `rows`: level, s, setting, column,
        group, pictures, people, and for PSNR (dB), the ID angle (degrees), IndRMSE and `KID` the mean, or the
        distance, and its 95 % interval.

    Raises:
        ValueError: a face without a label, a column that is not there, or a metric that lacks its weights.
    """
    files = folders.find([faces])
    groups = _groups(labels, [file.stem for file in files], [*columns, person], person)
    runner = Runner(work, dtype=dtype, batch=BATCH, guess=settings(profile)[GUESS])
    chosen, (estimator, source) = profiles.profile(profile), next(iter(profiles.profile(profile).estimators.items()))
    done = {
        "profile": profiles.label(profile),
        "dtype": runner.dtype,
        "faces": len(files),
        "people": int(groups[person].nunique()),
        "weights": {"unet": digest(chosen.unet()), estimator: digest(source())},
        "rows": list(_rows(runner, faces, profile, groups, columns, person, methods)),
    }
    with whole_file(output) as temporary:
        temporary.write_text(json.dumps(done, indent=1))
    with whole_file(output.with_suffix(".png")) as temporary:
        figure(done).savefig(temporary, format="png")
    return done


def _groups(labels: Path, names: list[str], columns: list[str], person: str) -> pd.DataFrame:
    """The labels of the faces, one row each: numbers as bands, small groups put together."""
    table = pd.read_csv(labels, dtype={person: str})
    absent = [column for column in ("file", *columns) if column not in table]
    if absent:
        raise ValueError(f"{labels} has no column '{absent[0]}'; it has {', '.join(table)}: choose among these.")
    table.index = pd.Index([Path(file).stem for file in table["file"]])
    unlabelled = [name for name in names if name not in table.index]
    if unlabelled:
        raise ValueError(f"{labels} says nothing of {unlabelled[0]}; a row for every face is accepted: add it.")
    table = table.loc[names, columns]
    return table.apply(lambda column: column if column.name == person else _grouped(column))


def _grouped(labels: pd.Series) -> pd.Series:
    """Labels as the names of groups."""
    if pd.api.types.is_numeric_dtype(labels) and labels.nunique() > BANDS:
        bands = pd.qcut(labels, BANDS, duplicates="drop")
        ends = labels.groupby(bands, observed=True).agg(["min", "max"])
        labels = bands.map({band: f"{low:g} to {high:g}" for band, (low, high) in ends.iterrows()})
    labels = labels.astype(object).where(labels.notna(), UNKNOWN).astype(str)
    return labels.where(labels.map(labels.value_counts()) >= SMALLEST, OTHERS)


def _rows(
    runner: Runner,
    faces: Path,
    profile: str,
    groups: pd.DataFrame,
    columns: Sequence[str],
    person: str,
    methods: Sequence[str],
) -> Iterator[dict[str, Any]]:
    size, made = profiles.profile(profile).size, settings(profile, methods)
    for name in LEVELS:
        scale = level(size, name).scale
        data = dataset(str(faces), runner.root / "data", profile, None, scale)[1]
        runner.evaluate(data, list(made.values()), list(METRICS))
        for label, setting in made.items():
            scores = _scores(runner, data, setting).loc[groups.index]
            told = {"level": name, "s": scale, "setting": label}
            for column, group, names in _members(groups, columns):
                of = scores.loc[names]
                kid = _kid(runner, data, setting, set(names))
                yield told | {"column": column, "group": group} | _summary(of, groups.loc[names, person]) | kid


def _members(groups: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, str, pd.Index]]:
    """Column and name of every group, and the names of its pictures; everyone first."""
    yield "all", "everyone", groups.index
    for column in columns:
        yield from ((column, str(group), of.index) for group, of in groups.groupby(column))


def _scores(runner: Runner, data: Dataset, setting: Made) -> pd.DataFrame:
    """Of every picture."""
    runner.means(data, setting, METRICS)  # says what is missing
    return pd.DataFrame({metric: runner.scores(data, setting, metric).values for metric in METRICS})


def _kid(runner: Runner, data: Dataset, setting: Made, names: set[str]) -> dict[str, Any]:
    """`KID` of a group and its interval, by jackknife over the pictures."""
    some = replace(data, items=tuple(item for item in data.items if item.name in names))
    method = FolderMethod(setting.name, runner.pictures(data, setting))
    runner.evaluate(some, [method], [KID])
    found = runner.scores(some, method, KID)
    half = SURE * error(deviations(found.without))
    value = found.values[WHOLE_SET]
    return {KID: value, f"{KID} interval": (value - half, value + half)}


def _summary(scores: pd.DataFrame, person: pd.Series) -> dict[str, Any]:
    """Mean of each score over the pictures, and its interval over the people."""
    found: dict[str, Any] = {"pictures": len(scores), "people": int(person.nunique())}
    each = scores.groupby(person).mean()
    for metric in scores:
        found |= {metric: float(scores[metric].mean()), f"{metric} interval": interval(each[metric].to_numpy())}
    return found


def far(done: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of groups whose ID angle is more than `FAR` degrees above that of everyone."""
    means = {(row["level"], row["setting"]): row["ID angle"] for row in done["rows"] if row["column"] == "all"}
    return [row for row in done["rows"] if row["ID angle"] > means[row["level"], row["setting"]] + FAR]


def markdown(done: dict[str, Any]) -> str:
    """Two tables per level: groups in rows, the measures of every setting in columns."""
    parts = [f"{done['faces']} pictures of {done['people']} people."]
    for name in dict.fromkeys(row["level"] for row in done["rows"]):
        of_level = [row for row in done["rows"] if row["level"] == name]
        parts.append(f"**{name}** (s = {of_level[0]['s']:g})")
        parts += [_grid(of_level, measures) for measures in SHOWN if measures[0] in of_level[0]]
    named = [f"{row['column']} {row['group']} ({row['level']}, {row['setting']})" for row in far(done)]
    parts.append(
        f"ID angle more than {FAR:g} degrees above everyone's: {', '.join(named) if named else 'no group'}. Groups of "
        f"fewer than {SMALLEST} pictures are put together as {OTHERS}."
    )
    return "\n\n".join(parts)


def _grid(rows: list[dict[str, Any]], measures: Sequence[str]) -> str:
    """Of one level."""
    found = {(row["column"], row["group"], row["setting"]): row for row in rows}
    shown = [
        (measure, setting)
        for measure in measures
        for setting in dict.fromkeys(key[2] for key in found)
        if not (measure == IndRMSE.name and setting == GUESS)
    ]
    head = ["", "pictures", *(f"{measure}, {setting}" for measure, setting in shown)]
    body = []
    for column, group in dict.fromkeys(key[:2] for key in found):
        label = group if column == "all" else f"{column}: {group}"
        cells = [_cell(found[column, group, setting], measure) for measure, setting in shown]
        body.append([label, str(found[column, group, shown[0][1]]["pictures"]), *cells])
    return markdown_grid([head, *body])


def _cell(row: dict[str, Any], measure: str) -> str:
    digits, (low, high) = 3 if measure == KID else 1, row[f"{measure} interval"]
    return f"{row[measure]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


@styled
def figure(done: dict[str, Any]) -> Figure:
    """The ID angles: a panel per level, a line per group, a mark with its interval per setting; everyone's dotted."""
    levels = list(dict.fromkeys(row["level"] for row in done["rows"]))
    groups = list(dict.fromkeys((row["column"], row["group"]) for row in done["rows"]))
    drawn = Figure(figsize=(PAGE, 0.22 * len(groups) + 0.8), layout="constrained", dpi=DPI)
    axes = drawn.subplots(1, len(levels), sharey=True, squeeze=False)[0]
    for plot, name in zip(axes, levels, strict=True):
        for k, setting in enumerate(dict.fromkeys(row["setting"] for row in done["rows"])):
            of = [row for row in done["rows"] if (row["level"], row["setting"]) == (name, setting)]
            look = LINES[k] | {"linestyle": "none"}
            means = [row["ID angle"] for row in of]
            ends = [abs(np.array(row["ID angle interval"]) - row["ID angle"]) for row in of]
            places = np.arange(len(of)) + 0.2 * (k - 1)
            plot.errorbar(means, places, xerr=np.transpose(ends), label=setting, elinewidth=0.8, **look)
            plot.axvline(means[0], color=look["color"], linestyle=":", linewidth=0.8)
        plot.set(title=f"{name} (s = {of[0]['s']:g})", xlabel="ID angle (degrees), lower is better")
    axes[0].set_yticks(range(len(groups)), [g if c == "all" else f"{c}: {g}" for c, g in groups])
    axes[0].invert_yaxis()
    axes[-1].legend()
    return drawn
