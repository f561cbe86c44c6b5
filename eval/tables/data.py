"""From what the command line names to data sets in the results' folder."""

from functools import lru_cache, partial
from pathlib import Path

from PIL import Image

from difface import images, profiles
from difface.chain import DEFAULT_STEPS
from difface.degradation import alike
from difface.precision import choose
from difface.sampling import BLOCK, draw
from eval.datasets import PRIOR, REAL_WORLD, Dataset, build, build_known, build_real
from eval.datasets.make import make
from eval.settings import digest
from eval.tables.definitions import KINDS

PAPER_BLOCKS = {"lfw": "LFW", "webphoto": "WebPhoto", "wider": "WIDER"}
"""Real-world set -> the block of Table IV that it stands for."""

SAMPLES = 32
"""Samples of the prior by default."""


def datasets(
    number: str, specs: list[str], folder: Path, profile: str, limit: int | None, scale: float | None
) -> dict[str | None, Dataset]:
    """Make or reopen what a table is measured on; arguments and errors as for `dataset`.

    Args:
        number: of the table: those of known degradations take one spec and have a set for each of their kinds.

    Returns:
        The paper's block, None in tables of one block -> its set.
    """
    if number not in KINDS:
        blocks = [PAPER_BLOCKS.get(spec.partition("=")[0]) if "=" in spec else None for spec in specs]
        if len(set(blocks)) < len(blocks):
            raise ValueError(
                f"two of --data {', '.join(specs)} stand for the same block of the table; one each of lfw=DIR, "
                "webphoto=DIR, wider=DIR and one other are accepted: leave the rest out."
            )
        return dict(dataset(spec, folder, profile, limit, scale) for spec in specs)
    if len(specs) > 1 or scale is not None:
        raise ValueError(
            f"Table {number} is of known degradations: one --data and no --scale are accepted; got {', '.join(specs)}"
            f"{'' if scale is None else f' and s = {scale:g}'}: leave the others out."
        )
    return {block: known(specs[0], folder, profile, limit, kind) for block, kind in KINDS[number].items()}


def known(spec: str, folder: Path, profile: str, limit: int | None, kind: str) -> Dataset:
    """Make or reopen a set of a kind of `eval.datasets.KINDS`.

    Args:
        spec: "sampled", a folder of aligned clean faces, or "celeba=DIR".
        folder, profile, limit: as for `dataset`.
        kind: how the faces are made worse.

    Raises:
        ValueError: another form, or pictures that do not fit.
    """
    size = profiles.profile(profile).size
    source, _, path = spec.partition("=")
    if (path and source != "celeba") or (spec != "sampled" and not Path(path or spec).is_dir()):
        raise ValueError(f"--data must be sampled, a folder of clean faces, or celeba=FOLDER here; got '{spec}'.")
    target = folder / "-".join([source if path else Path(spec).name, str(size), _count(limit), kind])
    return build_known(
        source if path or spec == "sampled" else Path(spec), target, size, kind, data=Path(path), limit=limit
    )


def dataset(
    spec: str, folder: Path, profile: str, limit: int | None, scale: float | None
) -> tuple[str | None, Dataset]:
    """Make or reopen a data set.

    Args:
        spec: "sampled", a folder of aligned clean faces, "celeba=DIR", or "lfw=DIR", "webphoto=DIR", "wider=DIR",
            "real=DIR" for degraded photos without a truth.
        folder: where data sets go.
        profile: whose size the pictures have.
        limit: at most so many.
        scale: s for all pictures (sigma 1, delta 5, q 60) instead of the grid.

    Returns:
        The paper's block that it stands for, None in tables of one block; and the set.

    Raises:
        ValueError: another form, or pictures that do not fit.
    """
    size = profiles.profile(profile).size
    kind, _, path = spec.partition("=")
    source = Path(path or spec)
    if (path and kind not in (*REAL_WORLD, "real", "celeba")) or (kind != "sampled" and not source.is_dir()):
        raise ValueError(f"--data must be sampled, a folder, or celeba|lfw|webphoto|wider|real=FOLDER; got '{spec}'.")
    target = folder / "-".join([kind if path else source.name, str(size), _count(limit), _level(scale)])
    if path and kind in (*REAL_WORLD, "real"):
        if scale is not None:
            raise ValueError(
                f"--scale is for clean faces; got s = {scale:g} and {spec}, which is not degraded: leave one out."
            )
        name = None if kind == "real" else kind
        return PAPER_BLOCKS.get(kind), build_real(source, target, size, name=name, limit=limit)
    same = None if scale is None else alike(size, scale)
    if path and kind == "celeba":
        return None, build("celeba", target, size, data=source, limit=limit, degradation=same)
    return None, build("sampled" if spec == "sampled" else source, target, size, limit=limit, degradation=same)


def _count(limit: int | None) -> str:
    return "all" if limit is None else str(limit)


def _level(scale: float | None) -> str:
    return "sgrid" if scale is None else f"s{scale}"


def samples(
    folder: Path,
    limit: int | None,
    profile: str = "tiny",
    steps: int = DEFAULT_STEPS,
    device: str = "auto",
    dtype: str = "float32",
) -> Dataset:
    """Faces that a profile's prior draws on its own, seeds from 0, for Table V; a run that was stopped goes on.

    They have no truth: a Frechet distance of theirs is to a folder of real faces alone.

    Args:
        folder: where data sets go.
        limit: how many; `SAMPLES` by default.
        profile: whose prior, at its size.
        steps: of DDIM with eta 1.
        device, dtype: of the prior, as in `difface.profiles.load`.

    Raises:
        ValueError: a number of steps that the chain does not take, or a folder that holds samples of another prior.
    """
    chosen, count = profiles.profile(profile), SAMPLES if limit is None else limit
    meant = choose(dtype, profiles.resolve_device(device)).name
    name = f"samples-{profiles.label(profile)}-{count}-steps{steps}-{meant}"
    files = [Path(f"sample_{seed:04d}.png") for seed in range(count)]
    description = {
        "name": name,
        "label": f"{count:,} samples of the prior of {profiles.label(profile)}, {steps} steps",
        "size": chosen.size,
        "source": PRIOR,
        "limit": count,
        "weights": digest(chosen.unet()),
    }
    drawn = lru_cache(maxsize=1)(partial(_draw, profile, steps, device, dtype))

    def read(file: Path) -> Image.Image:
        block, k = divmod(files.index(file), BLOCK)
        return drawn(block)[k]

    return make(folder / name, description, [(file, None) for file in files], read)


def _draw(profile: str, steps: int, device: str, dtype: str, block: int) -> list[Image.Image]:
    """`BLOCK` faces, always the same ones together, so that a face does not depend on how many are asked for."""
    pipeline = profiles.load(profile, device=device, dtype=dtype, prior_only=True)
    pipeline.set_progress_bar_config(disable=True)
    seeds = range(block * BLOCK, (block + 1) * BLOCK)
    return [images.to_pil(face) for _, face, _ in draw(pipeline, seeds, steps)]
