"""Does the Frechet distance on the prior's features order sets of faces as the one on face embeddings does?"""

from collections.abc import Iterator

import pandas as pd

from difface import profiles
from difface.schedulers import FAST_CALLS
from eval.datasets import Dataset
from eval.reports.study import Study
from eval.run import Method
from eval.settings import FolderMethod, Setting

BATCH = 25
METRICS = ("FD-prior", "FD identity")
DEGRADED = (1, 2, 3, 4, 6, 8)
"""s of the inputs."""
RESTORED = (2, 8)
"""s of what is restored."""
STARTS = (150, 250, 400)
"""N of DifFace, with five calls."""


def agreement(study: Study) -> pd.DataFrame:
    """Both distances to the training faces, of sets made from the test faces: untouched, degraded, estimated, restored.

    `frame.corr("spearman", numeric_only=True)` has the rank correlation.

    Returns:
        Columns `set`, `FD-prior` and `FD identity`, one row per set.

    Raises:
        ValueError: a metric lacks its weights.
    """
    runner, rows = study.runner(BATCH), []
    for s in DEGRADED:
        faces = study.degraded(s)
        sets = dict(_sets(faces, study.profile, s))
        runner.evaluate(faces, list(sets.values()), list(METRICS))
        rows += [{"set": name} | runner.means(faces, method, METRICS) for name, method in sets.items()]
    return pd.DataFrame(rows)


def _sets(faces: Dataset, profile: str, s: float) -> Iterator[tuple[str, Method]]:
    """Label and method of the sets at one s."""
    if s == DEGRADED[0]:
        yield "untouched", FolderMethod("untouched", faces.items[0].hq.parent)
    yield f"s = {s:g}, input", Setting()
    if s in RESTORED:
        estimators = list(profiles.profile(profile).estimators)
        for name in estimators:
            yield f"s = {s:g}, f(y), {name}", Setting(profile, name)
        for start in STARTS:
            setting = Setting(profile, estimators[0], start, scheduler=profiles.profile(profile).fast, steps=FAST_CALLS)
            yield f"s = {s:g}, DifFace, N = {start}", setting
