"""How well known degradations are kept and undone by our models: seams, holes, luminance, colours, block means."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional

from difface import inpaint, profiles
from difface.constraints import LUMINANCE
from difface.files import whole_file
from difface.masks import MASKS, read_mask
from difface.metrics import PSNR
from eval.datasets import Dataset
from eval.markdown import markdown_grid
from eval.reports.study import Study
from eval.run import WHOLE_SET, Runner, Scores, read
from eval.seams import across_border, inside_hole
from eval.settings import Agreement, FolderMethod, Setting

FIRST = 8
"""Faces of each set that are restored again: with a second seed, or to see the result before it is rounded."""
SCALE = 4
DISTANCE = "FD identity"
BATCH = 20


@dataclass(frozen=True)
class Finding:
    """A number and what it should be.

    Attributes:
        task: kind of mask, "grey" or "x4".
        what: the quantity.
        value: None where there is none.
        least, most: the target; None for none.
        reason: why there is no `value`.
    """

    task: str
    what: str
    value: float | None
    least: float | None = None
    most: float | None = None
    reason: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the value is as it should be; None without a value or a target."""
        if self.value is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


def report(study: Study, output: Path, steps: int = 100) -> pd.DataFrame:
    """Measure everything, and write constraints.csv and constraints.md.

    Args:
        study: what is measured.
        output: folder for the report.
        steps: of the whole DDIM chain.

    Returns:
        One line for each `Finding`.
    """
    runner, profile, found = study.runner(BATCH), study.profile, []
    for kind in MASKS:
        found += _holes(runner, study.known(kind), kind, profile, steps)
    found += _grey(runner, study.known("grey"), profile, steps)
    found += _means(runner, study.known(f"x{SCALE}"), profile, steps)
    table = pd.DataFrame([vars(finding) | {"met": finding.met} for finding in found])
    for name, text in (("constraints.csv", table.to_csv(index=False)), ("constraints.md", markdown(table))):
        with whole_file(output / name) as temporary:
            temporary.write_text(text)
    return table


def markdown(table: pd.DataFrame) -> str:
    """The findings of `report` as a table, with the reasons for what is missing."""
    grid = [["", "", "measured", "target", "met"]]
    for row in table.itertuples():
        bounds = [f"{sign} {value:g}" for sign, value in (("≥", row.least), ("≤", row.most)) if pd.notna(value)]
        value = f"n/a: {row.reason}" if pd.isna(row.value) else f"{row.value:.4g}"
        met = "" if row.met is None or pd.isna(row.met) else "yes" if row.met else "no"
        grid.append([row.task, row.what, value, " and ".join(bounds), met])
    return markdown_grid(grid, texts=2) + "\n"


def _holes(runner: Runner, faces: Dataset, kind: str, profile: str, steps: int) -> list[Finding]:
    """Of one kind of mask: the seam, what gamma does to it, the texture in the hole, and a second seed."""
    try:
        lama = profiles.inpainting_estimator(profile)
    except ValueError as problem:
        return [Finding(kind, "all", None, reason=str(problem))]
    default = Setting(profile, lama, inpaint.START, steps=steps, eta=inpaint.ETA, agreement=Agreement())
    bare = replace(default, agreement=Agreement(composite=False))
    free = replace(default, agreement=Agreement(gamma=0))
    runner.evaluate(faces, [bare, free], [])
    masks = torch.cat([read_mask(item.mask) for item in faces.items])
    truth = torch.stack([read(item.hq) for item in faces.items])
    answer, incoherent = runner.restored(faces, bare), runner.restored(faces, free)
    border, gradient = across_border(answer, masks), inside_hole(answer, masks) / inside_hole(truth, masks)
    first, other = (runner.unrounded(faces, replace(default, seed=seed), FIRST) for seed in (0, 1))
    moved, hole = (other - first).abs(), masks[: len(other)].expand_as(other) == 1
    return [
        Finding(
            kind, "difference across the border, over the truth's", border / across_border(truth, masks), most=1.15
        ),
        Finding(
            kind, "the same of gamma = 0, over the default's", across_border(incoherent, masks) / border, least=1.1
        ),
        Finding(kind, "gradient in the hole, over the truth's", gradient, least=0.8),
        Finding(kind, "two seeds: mean difference in the hole", moved[hole].mean().item(), least=1 / 255),
        Finding(kind, "two seeds: largest difference elsewhere", moved[~hole].max().item(), most=0.0),
    ]


def _grey(runner: Runner, faces: Dataset, profile: str, steps: int) -> list[Finding]:
    """Luminance before rounding, and whether the colours make the faces more like faces."""
    estimator = profiles.restoring_estimator(profile)
    ours = Setting(profile, estimator, inpaint.START, steps=steps, eta=inpaint.ETA, agreement=Agreement())
    untouched = FolderMethod("untouched", faces.items[0].hq.parent)
    methods = {"colourised": ours, "grey": Setting(), "untouched": untouched}
    runner.evaluate(faces, list(methods.values()), [DISTANCE])
    lq, coloured = torch.stack([read(item.lq) for item in faces.items[:FIRST]]), runner.unrounded(faces, ours, FIRST)
    weights = torch.tensor(LUMINANCE).view(3, 1, 1)
    error = ((weights * coloured).sum(1) - (weights * lq).sum(1)).abs().max().item()
    found = {name: runner.scores(faces, method, DISTANCE) for name, method in methods.items()}
    result = [Finding("grey", "largest error of luminance before rounding, of 255", 255 * error, most=1.0)]
    for name, scores in found.items():
        value = scores.values.get(WHOLE_SET)
        result.append(Finding("grey", f"{DISTANCE} to the training faces, {name}", value, reason=scores.reason))
    return [*result, _closeness(found)]


def _closeness(found: dict[str, Scores]) -> Finding:
    """How far the colourised faces are from untouched ones, over how far the grey ones are."""
    what = "distance from untouched: colourised over grey"
    if lacking := [scores.reason for scores in found.values() if scores.reason]:
        return Finding("grey", what, None, reason=lacking[0])
    coloured, grey, untouched = (scores.values[WHOLE_SET] for scores in found.values())
    return Finding("grey", what, abs(coloured - untouched) / abs(grey - untouched), most=1.0)


def _means(runner: Runner, faces: Dataset, profile: str, steps: int) -> list[Finding]:
    """How well the result, made small again, is the input."""
    begin_index = profiles.profile(profile).begin_index
    setting = Setting(profile, profiles.restoring_estimator(profile), begin_index, steps=steps, agreement=Agreement())
    runner.evaluate(faces, [setting], [])
    lq = torch.stack([read(item.lq) for item in faces.items])
    small, wanted = (functional.avg_pool2d(x, SCALE) for x in (runner.restored(faces, setting), lq))
    metric = PSNR()
    metric.update(small, wanted)
    what = "PSNR (dB) of the result made small to the input"
    return [
        Finding(f"x{SCALE}", f"{what}, mean", metric.compute(), least=40.0),
        Finding(f"x{SCALE}", f"{what}, least of all faces", min(metric.values), least=40.0),
    ]
