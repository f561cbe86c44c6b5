"""Make the pictures of a dataset: resumable, every file whole or not at all, the same bytes however interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from PIL import Image
from rich.progress import track

from difface import images
from difface.degradation import Degradation
from difface.masks import Mask
from eval.datasets.degradations import Known, worsen
from eval.datasets.manifest import (
    DESCRIPTION,
    MANIFEST,
    Dataset,
    Item,
    noise_of,
    open_dataset,
    write_description,
    write_manifest,
)

Plan = list[tuple[Path, Degradation | Known | None]]


def make(folder: Path, description: dict, plan: Plan, read: Callable[[Path], Image.Image] = images.read) -> Dataset:
    """Make what is missing of a dataset and open it.

    dataset.json is written first, then hq/NAME.png, lq/NAME.png and for masks mask/NAME.png, the manifest last. Several
    processes may call this at once: one works, the others wait.

    Args:
        folder: where to; what another description made is not touched.
        description: for dataset.json; "size" is the side of the pictures in pixels.
        plan: per picture the file that it comes from and, unless it is a real photo, its degradation.
        read: opens such a file.

    Raises:
        ValueError: the folder holds something else, two files have the same name, or a picture has another size.
    """
    _check_names(plan)
    _check_free(folder, description)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / DESCRIPTION).is_file():
            write_description(folder, description)
        items = [_item(folder, file, degradation) for file, degradation in plan]
        todo = [(file, item) for (file, _), item in zip(plan, items, strict=True) if not _is_there(item)]
        for file, item in track(todo, description["name"]) if todo else ():
            _write(item, lambda file=file: _square(read(file), file, description["size"]))
        if todo or not (folder / MANIFEST).is_file():
            write_manifest(folder, items)
    return open_dataset(folder)


def _check_names(plan: Plan) -> None:
    """Refuse two files that would become one."""
    known: dict[str, Path] = {}
    for file, _ in plan:
        if file.stem in known:
            raise ValueError(
                f"{known[file.stem]} and {file} would both become {file.stem}.png; different names are accepted: "
                "rename one."
            )
        known[file.stem] = file


def _check_free(folder: Path, description: dict) -> None:
    """Refuse a folder with pictures of another dataset, or of something else."""
    if not (folder / DESCRIPTION).is_file():
        if (folder / "hq").exists() or (folder / "lq").exists():
            raise ValueError(
                f"{folder} has a folder hq or lq that no dataset made; an empty one is accepted: use another."
            )
        return
    stored = json.loads((folder / DESCRIPTION).read_text())
    for key in description | stored:
        if key != "label" and stored.get(key) != description.get(key):
            raise ValueError(
                f"{folder} holds another dataset ({stored['label']}): its `{key}` is {stored.get(key)!r}, asked for "
                f"was {description.get(key)!r}; use another folder."
            )


def _item(folder: Path, file: Path, degradation: Degradation | Known | None) -> Item:
    name = f"{file.stem}.png"
    mask = folder / "mask" / name if isinstance(degradation, Mask) else None
    return Item(file.stem, folder / "hq" / name if degradation else None, folder / "lq" / name, degradation, mask)


def _is_there(item: Item) -> bool:
    return all(file.is_file() for file in item.files)


def _write(item: Item, read: Callable[[], Image.Image]) -> None:
    """Write the files of a picture that are missing."""
    if item.hq is None:
        return images.write(read(), item.lq)
    if not item.hq.is_file():
        images.write(read(), item.hq)
    if item.mask and not item.mask.is_file():
        with Image.open(item.hq) as truth:
            missing = item.degradation.paint(truth.height, truth.width)[0]
        images.write(images.to_pil(missing.expand(3, -1, -1)), item.mask)
    if not item.lq.is_file():
        truth = images.to_tensors(images.read(item.hq))[0]
        lq = worsen(truth, item.degradation, noise_of(item.name))
        images.write(images.to_pil(lq), item.lq)


def _square(picture: Image.Image, file: Path, size: int) -> Image.Image:
    """The picture, if it is as large as the set's."""
    if picture.size != (size, size):
        raise images.ImageError(
            f"{file} is {picture.width}x{picture.height} pixels; aligned faces of {size}x{size} are accepted: cut them "
            f"out with `python -m difface align {file.parent} -o DIR --size {size}`."
        )
    return picture
