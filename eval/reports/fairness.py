"""Whom embedded models restore better or worse: scores per group of people on a labelled set of faces."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from difface import folders, profiles
from difface.degradation import LEVELS, level
from difface.files import whole_file
from difface.schedulers import FAST_CALLS
from eval.run import Runner
from eval.settings import Setting, digest
from eval.tables.data import dataset
from eval.tables.render import markdown_grid
from eval.tables.statistics import interval

METRICS = ("PSNR", "ID angle")
SMALLEST = 18
"""Pictures of a group; those of smaller ones are put together as `OTHERS`."""
OTHERS, UNKNOWN = "others", "unknown"
BANDS = 3
"""Groups, of about the same size, into which numbers such as ages are cut."""
FAR = 5.0
"""Degrees of the ID angle above the mean of all from which a group is named."""
BATCH = 25


def settings(profile: str) -> dict[str, Setting]:
    """Name -> the input, the first guess, and DifFace by the profile's N and five network calls."""
    ours = Setting(
        profile, profiles.restoring_estimator(profile), profiles.profile(profile).begin_index, "dpm++", FAST_CALLS
    )
    return {"input": Setting(), "f(y)": replace(ours, begin_index=None), "DifFace": ours}


def fairness(
    faces: Path,
    labels: Path,
    columns: Sequence[str],
    work: Path,
    output: Path,
    profile: str = "small",
    person: str = "person",
    dtype: str = "float32",
) -> dict[str, Any]:
    """Restore every face at the three levels, and compare the groups.

    Args:
        faces: folder of aligned faces of the profile's size that no network was trained on.
        labels: CSV with a column `file`, whose stems are those of the faces, and columns of labels.
        columns: those to group by; of numbers `BANDS` groups are made.
        work: folder for pictures and scores; what is there is not made again.
        output: JSON file.
        profile: whose networks.
        person: the column that tells people apart: an interval is over people, not over pictures of one.
        dtype: of the networks, as in `difface.profiles.load`.

    Returns:
        `profile`, `dtype`, `faces`, `people`, `weights` (network -> SHA-256) and `rows`: level, s, setting, column,
        group, pictures, people, and for PSNR (dB) and the ID angle (degrees) the mean and its 95 % interval.

    Raises:
        ValueError: a face without a label, a column that is not there, or a metric that lacks its weights.
    """
    files = folders.find([faces])
    groups = _groups(labels, [file.stem for file in files], [*columns, person], person)
    runner = Runner(work, dtype=dtype, batch=BATCH)
    chosen, (estimator, source) = profiles.profile(profile), next(iter(profiles.profile(profile).estimators.items()))
    done = {
        "profile": profiles.label(profile),
        "dtype": runner.dtype,
        "faces": len(files),
        "people": int(groups[person].nunique()),
        "weights": {"unet": digest(chosen.unet()), estimator: digest(source())},
        "rows": list(_rows(runner, faces, profile, groups, columns, person)),
    }
    with whole_file(output) as temporary:
        temporary.write_text(json.dumps(done, indent=1))
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
    runner: Runner, faces: Path, profile: str, groups: pd.DataFrame, columns: Sequence[str], person: str
) -> Iterator[dict[str, Any]]:
    size, methods = profiles.profile(profile).size, settings(profile)
    for name in LEVELS:
        scale = level(size, name).scale
        data = dataset(str(faces), runner.root / "data", profile, None, scale)[1]
        runner.evaluate(data, list(methods.values()), list(METRICS))
        for label, setting in methods.items():
            runner.means(data, setting, METRICS)  # says what is missing
            scores = pd.DataFrame({metric: runner.scores(data, setting, metric).values for metric in METRICS})
            scores, told = scores.loc[groups.index], {"level": name, "s": scale, "setting": label}
            yield told | {"column": "all", "group": "everyone"} | _summary(scores, groups[person])
            for column in columns:
                for group, of in scores.groupby(groups[column]):
                    yield told | {"column": column, "group": group} | _summary(of, groups.loc[of.index, person])


def _summary(scores: pd.DataFrame, person: pd.Series) -> dict[str, Any]:
    """Mean of each metric over the pictures, and its interval over the people."""
    found: dict[str, Any] = {"pictures": len(scores), "people": int(person.nunique())}
    each = scores.groupby(person).mean()
    for metric in METRICS:
        found |= {metric: float(scores[metric].mean()), f"{metric} interval": interval(each[metric].to_numpy())}
    return found


def far(done: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of groups whose ID angle is more than `FAR` degrees above that of everyone."""
    means = {(row["level"], row["setting"]): row["ID angle"] for row in done["rows"] if row["column"] == "all"}
    return [row for row in done["rows"] if row["ID angle"] > means[row["level"], row["setting"]] + FAR]


def markdown(done: dict[str, Any]) -> str:
    """One table per level: groups in rows, the metrics of f(y) and DifFace in columns."""
    parts = [f"{done['faces']} pictures of {done['people']} people."]
    for name in dict.fromkeys(row["level"] for row in done["rows"]):
        rows = {(r["column"], r["group"], r["setting"]): r for r in done["rows"] if r["level"] == name}
        shown = list(dict.fromkeys(key[2] for key in rows))
        head = ["", "pictures", *(f"{metric}, {setting}" for metric in METRICS for setting in shown)]
        body = []
        for column, group in dict.fromkeys(key[:2] for key in rows):
            of = [rows[column, group, setting] for setting in shown]
            label = group if column == "all" else f"{column}: {group}"
            cells = [_cell(row, metric) for metric in METRICS for row in of]
            body.append([label, str(of[0]["pictures"]), *cells])
        parts.append(f"**{name}** (s = {next(iter(rows.values()))['s']:g})\n\n{markdown_grid([head, *body])}")
    named = [f"{row['column']} {row['group']} ({row['level']}, {row['setting']})" for row in far(done)]
    parts.append(
        f"ID angle more than {FAR:g} degrees above everyone's: {', '.join(named) if named else 'no group'}. Groups of "
        f"fewer than {SMALLEST} pictures are put together as {OTHERS}."
    )
    return "\n\n".join(parts)


def _cell(row: dict[str, Any], metric: str) -> str:
    low, high = row[f"{metric} interval"]
    return f"{row[metric]:.1f} [{low:.1f}, {high:.1f}]"
