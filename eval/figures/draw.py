"""Draw figures by number into a folder: what `python -m eval figure` and `figures` do."""

import inspect
import logging
from collections.abc import Iterator
from pathlib import Path

from difface import profiles
from eval.figures import FIGURES, Faces, default_faces, read_faces, save
from eval.run import Runner

logger = logging.getLogger(__name__)

INPAINTING = ("12", "13")
"""Figures that need an inpainting estimator."""

REFERRED = ("7a", "7b")
"""Figures that may show distances between sets."""

GROUPS = {"7": ("7a", "7b"), "all": tuple(FIGURES)}
"""Names that stand for several figures."""


def draw(
    number: str,
    output: Path,
    profile: str = "tiny",
    data: Path | None = None,
    lq: Path | None = None,
    limit: int = 3,
    steps: int | None = None,
    others: dict[str, Path] | None = None,
    rivals: tuple[str, ...] = (),
    reference: Path | None = None,
    metrics: list[str] | None = None,
) -> Iterator[Path]:
    """Draw and save one figure after the other.

    Args:
        number: as in the paper, "7" for both parts, "all" for every one.
        output: folder for the files; pictures and scores in its folder work are not made again.
        profile: whose networks.
        data: folder of aligned clean faces; None, and no `lq`: the astronaut and samples of the embedded prior.
        lq: folder of inputs, paired with `data` by name; alone, faces without a truth.
        limit: at most so many faces.
        steps: length of the DDIM grid; None for the figures' own default.
        others: label -> folder of another method's pictures, for the figures that take them.
        rivals: other methods that run here, see `eval.rivals.chosen`, for the same figures.
        reference: folder of real faces that Frechet distances refer to.
        metrics: names of metrics for the figures that score; None for the figures' own default.

    Yields:
        The files written.

    Raises:
        ValueError: an unknown figure, or faces that it cannot be drawn from.
    """
    numbers = GROUPS.get(number, (number,))
    if unknown := set(numbers) - set(FIGURES):
        raise ValueError(f"figure '{unknown.pop()}' is not drawn here; {', '.join([*FIGURES, *GROUPS])} are accepted.")
    given: dict[str, object] = {
        "steps": steps,
        "others": others or None,
        "rivals": rivals or None,
        "metrics": metrics or None,
    }
    taken = {name for one in numbers for name in inspect.signature(FIGURES[one]).parameters}
    if foreign := [name for name, value in given.items() if value is not None and name not in taken]:
        option = {"others": "methods", "rivals": "methods"}.get(foreign[0], foreign[0])
        raise ValueError(f"figure {number} takes no --{option}; got it: leave it out, or draw another figure.")
    if reference and not set(numbers) & set(REFERRED):
        raise ValueError(f"figure {number} takes no --reference; got it: leave it out, or draw another figure.")
    faces, runner = faces_of(profile, data, lq, limit), Runner(output / "work", reference=reference)
    for one in numbers:
        if number == "all" and one in INPAINTING and not profiles.profile(profile).inpainting:
            logger.warning("figure %s is left out: the profile '%s' has no inpainting estimator.", one, profile)
            continue
        function = FIGURES[one]
        known = inspect.signature(function).parameters
        options = {name: value for name, value in given.items() if name in known and value is not None}
        figure, table = function(faces, runner, profile, **options)
        yield from save(figure, table, output, f"figure_{one}")


def faces_of(profile: str, data: Path | None, lq: Path | None, limit: int) -> Faces:
    """The faces of a figure; arguments as for `draw`."""
    size = profiles.profile(profile).size
    if data or lq:
        return read_faces(size, data, lq, limit)
    faces = default_faces(limit, profile if profile in profiles.EMBEDDED else "tiny")
    if faces.size != size:
        raise ValueError(
            f"this profile's faces have {size} pixels and those at hand {faces.size}; a folder of aligned faces is "
            "accepted: add --data DIR."
        )
    return faces
