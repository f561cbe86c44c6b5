"""Files that are written whole or not at all, and digests of files."""

import hashlib
import os
import re
import secrets
import shutil
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType

import psutil

_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
"""This machine, in the names of temporary files: the number of a process says something on its own machine only."""

_TEMPORARY = re.compile(rf"\.difface-{_HOST}-(\d+)-[0-9a-f]{{16}}\.part")


class whole_file:
    """Context manager that yields an empty temporary file beside `path` and renames it to `path` if nothing went wrong.

    The file gets the permissions of any new file. What killed runs have left in its folder is removed.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = _temporary(self.path.parent)
        os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return self.temporary

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                os.replace(self.temporary, self.path)
        finally:
            self.temporary.unlink(missing_ok=True)


@contextmanager
def scratch_folder(parent: str | os.PathLike) -> Iterator[Path]:
    """An empty folder in `parent`, on whose file system it lies, for as long as the block lasts.

    What killed runs have left in `parent` is removed.
    """
    folder = _temporary(Path(parent))
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def save_whole(model, folder: Path) -> None:
    """`model.save_pretrained` beside the folder, then put into its place: whole or not there, instead of what was."""
    folder = folder.absolute()
    with scratch_folder(folder.parent) as scratch:
        fresh = scratch / "fresh"
        model.save_pretrained(fresh)
        mode = next(fresh.rglob("*.json")).stat().st_mode
        for path in fresh.rglob("*.safetensors"):  # written for their owner alone, which a shared cache cannot use
            path.chmod(mode)
        if folder.exists():
            os.rename(folder, scratch / "old")
        os.rename(fresh, folder)


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(folder: Path) -> Path:
    """A new name in a folder: short, whatever the file will be called, and telling whose it is."""
    _sweep(folder.absolute())
    return folder / f".difface-{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.part"


@cache
def _sweep(folder: Path) -> None:
    """Remove the temporary files of this machine's dead processes; once per folder, which may be a large one."""
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            named = _TEMPORARY.fullmatch(path.name)
            if named and not psutil.pid_exists(int(named[1])):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
