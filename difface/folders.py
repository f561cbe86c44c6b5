"""Files and folders that a user names, as one list of pictures."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

from difface.images import ImageError, register_heif

NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF")
"""Formats that Pillow knows, but reads by other programs or not at all."""
NO_MARK = ("TGA",)
"""Formats of which Pillow takes files that are something else: known by the name only."""


@dataclass
class Found:
    """Pictures, and what is not among them.

    Attributes:
        files: in the order of the call, those of a folder in order of name.
        places: for each the folder below the one that was named in which it lies, "." but for recursion.
        notes: lines on what was left out.
    """

    files: list[Path] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(inputs: Sequence[str | os.PathLike]) -> list[Path]:
    """The picture files of files and folders; see `search`."""
    return search(inputs).files


def search(inputs: Sequence[str | os.PathLike], recursive: bool | None = None, output: Path | None = None) -> Found:
    """The pictures of files and folders.

    Files are taken as they are named. Of a folder all that Pillow reads, by name or else by content, is taken; hidden
    files are not looked at.

    Args:
        inputs: what the user names.
        recursive: whether folders in folders are searched, too; None where there is no such choice.
        output: a folder that is not searched in that case.

    Raises:
        ImageError: a path does not exist, or a folder holds no picture.
    """
    found = Found()
    for given in map(Path, inputs):
        if os.path.isdir(given):
            _search_folder(given, recursive, output, found)
        elif os.path.exists(given):
            found.files.append(given)
            found.places.append(Path())
        else:
            raise ImageError(f"{given} does not exist; a picture or a folder of pictures is accepted: check the path.")
    return found


def _search_folder(folder: Path, recursive: bool | None, output: Path | None, found: Found) -> None:
    before = len(found.files)
    others = 0
    for path in _files(folder, recursive, output):
        if is_picture(path):
            found.files.append(path)
            found.places.append(path.parent.relative_to(folder))
        else:
            others += 1
    inside = [] if recursive else sorted(path.name for path in folder.iterdir() if path.is_dir() and _is_shown(path))
    named = f"{len(inside)} folder{'s' * (len(inside) > 1)} ({', '.join(inside[:5])}{', ...' * (len(inside) > 5)})"
    how = "name one of these" + (", or add --recursive" if recursive is False else "")
    if len(found.files) == before:
        what = f", but {named}; pictures are accepted: {how}." if inside else "; one is accepted: name another folder."
        raise ImageError(f"the folder {folder} holds no picture{what}")
    if others:
        found.notes.append(
            f"{others} of the files in {folder} {'is no picture' if others == 1 else 'are no pictures'}: left out."
        )
    if inside and recursive is False:
        found.notes.append(f"{named} in {folder} left out: add --recursive for what is in there.")


def _files(folder: Path, recursive: bool | None, output: Path | None) -> Iterator[Path]:
    """The files of a folder that are not hidden, in order of name; no link to a folder is followed."""
    without = None if output is None else os.path.realpath(output)
    for place, inside, names in os.walk(folder):
        at = Path(place)
        inside[:] = sorted(
            name for name in inside if recursive and _is_shown(at / name) and os.path.realpath(at / name) != without
        )
        yield from (at / name for name in sorted(names) if _is_shown(at / name))


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")


def is_picture(path: Path) -> bool:
    """Whether a file is a picture that Pillow reads: by its name, which may promise too much, or by its content."""
    if path.suffix.lower() in endings():
        return True
    if not path.is_file():  # no pipe is opened: it might never answer
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.format not in (*NO_PICTURES, *NO_MARK)
    except Exception:  # whatever a reader makes of what is no picture
        return False


@cache
def endings() -> frozenset[str]:
    """Endings of names of files that Pillow reads, such as ".png"."""
    register_heif()
    known = Image.registered_extensions().items()
    readable = {ending for ending, kind in known if kind in Image.OPEN and kind not in NO_PICTURES}
    return frozenset(readable | {".heic", ".heif"})
