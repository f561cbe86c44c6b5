"""Test sets whose degradation is known: faces with a kind of mask, in grey, or as means of blocks."""

from collections.abc import Callable
from pathlib import Path

from difface import masks
from eval.datasets.degradations import BlockMeans, Grey, Known
from eval.datasets.make import Plan, make
from eval.datasets.manifest import Dataset, generator_of
from eval.datasets.synthetic import CleanFaces, faces_of

OFFICIAL_COUNT = 500
"""Pictures per kind of mask in the official inpainting set."""


def _masked(kind: str) -> Callable[[str], Known]:
    return lambda name: masks.MASKS[kind](generator_of(f"{name} {kind}"))


KINDS: dict[str, tuple[str, Callable[[str], Known]]] = {
    **{kind: (f"mask '{kind}'", _masked(kind)) for kind in masks.MASKS},
    "grey": ("in grey", lambda name: Grey()),
    **{f"x{s}": (f"as means of {s} x {s} pixels", lambda name, s=s: BlockMeans(s)) for s in (4, 8, 16)},
}
"""Name -> (what a label says, the degradation of the face of a name)."""


def build_known(
    source: str | Path, folder: Path, size: int, kind: str, *, data: Path | None = None, limit: int | None = None
) -> Dataset:
    """Build a test set of one kind, or finish or reuse one that is there.

    A face's mask is drawn from its name, so that it depends on no order or number of faces. With "celeba" the masks are
    those of `difface.masks.plan`, the 2,000 pictures of the official set, of which this set takes the 500 of its kind.

    Args:
        source: "sampled", a folder of aligned faces, or "celeba": CelebA-HQ at 256 pixels in `data`, for masks only.
        folder: where the set goes: hq/, lq/, mask/ where there are masks, manifest.csv and dataset.json.
        size: side of the faces in pixels.
        kind: a key of `KINDS`.
        data: the folder of CelebA-HQ's PNG files.
        limit: at most so many faces.

    Raises:
        ValueError: an unknown kind or source, too few or unfit pictures, or a folder that holds another dataset.
    """
    if kind not in KINDS:
        raise ValueError(f"the kind '{kind}' is unknown; {', '.join(KINDS)} are accepted: choose one.")
    what, degradation_of = KINDS[kind]
    if source == "celeba" and kind in masks.MASKS:
        faces, plan = _official(Path(data), kind)
    else:
        faces = faces_of(source, data, size, limit)
        plan = [(file, degradation_of(file.stem)) for file in faces.files]
    plan = plan[:limit]
    description = {
        "name": f"{faces.name}-{kind}",
        "label": f"{len(plan):,} faces {faces.origin}, {what}, {size} pixels",
        "size": size,
        "source": faces.source,
        "limit": len(plan),
        "known": kind,
        "weights": faces.weights,
        "files": faces.digest([file for file, _ in plan]),
    }
    return make(Path(folder), description, plan, faces.read)


def _official(data: Path, kind: str) -> tuple[CleanFaces, Plan]:
    """The pictures of one kind in the official set, with their masks."""
    planned = masks.plan(sorted(data.glob("*.png")), OFFICIAL_COUNT)
    plan = [(file, mask) for file, mask in planned if mask.kind == kind]
    return CleanFaces("celeba", "celeba", "of CelebA-HQ", [file for file, _ in plan]), plan
