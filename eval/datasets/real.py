"""Real-world test sets: degraded photos without a truth."""

import logging
from dataclasses import dataclass
from pathlib import Path

from difface import folders
from eval.datasets.make import make
from eval.datasets.manifest import Dataset
from eval.datasets.synthetic import digest_of_files

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RealWorld:
    """A set of the paper: its name there, and how many pictures it has."""

    title: str
    count: int


REAL_WORLD = {
    "lfw": RealWorld("LFW-Test", 1711),
    "webphoto": RealWorld("WebPhoto-Test", 407),
    "wider": RealWorld("WIDER-Test", 970),
}
"""Name -> the real-world sets of Tables IV and V."""


def build_real(source: Path, folder: Path, size: int, *, name: str | None = None, limit: int | None = None) -> Dataset:
    """Build a test set of real photos, or finish or reuse one that is there.

    Where the folder has another number of pictures than the paper's set, a warning says so: its numbers do not compare.

    Args:
        source: folder of aligned faces.
        folder: where the set goes: lq/, manifest.csv and dataset.json.
        size: side of the faces in pixels.
        name: a key of `REAL_WORLD`; None for a set of one's own, which is called like its folder.
        limit: at most so many pictures, the first by name.

    Raises:
        ValueError: an unknown name, unfit pictures, or a folder that holds another dataset.
    """
    if name is not None and name not in REAL_WORLD:
        raise ValueError(f"the real-world set '{name}' is unknown; {', '.join(REAL_WORLD)} are accepted: choose one.")
    if limit is not None and limit < 1:
        raise ValueError(f"`limit` must be a number of pictures from 1; got {limit}.")
    files = folders.find([source])
    title = REAL_WORLD[name].title if name else Path(source).resolve().name
    if name and len(files) != REAL_WORLD[name].count:
        logger.warning(
            "%s holds %d pictures; %s has %d in the paper: numbers of this set do not compare with the printed ones.",
            *(source, len(files), title, REAL_WORLD[name].count),
        )
    files = files[:limit]
    description = {
        "name": name or title,
        "label": f"{len(files):,} real photos of {title}",
        "size": size,
        "source": "real",
        "limit": len(files),
        "files": digest_of_files(files),
    }
    return make(Path(folder), description, [(file, None) for file in files])
