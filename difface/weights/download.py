"""Find a file of weights, or download it once: resumed, retried, checked, recorded, and put into place whole.

`huggingface_hub.file_download.http_get` serves any address, but goes on after a broken connection without asking
whether the file is still the same, shows nobody the answer's headers, so that neither a web page nor another size can
be refused before a byte is read, and does not retry a 503; `pooch` and `torch.hub` do not resume. Hence the loop here,
on `requests`.
"""

import json
import logging
import os
import re
import shutil
import time
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

import requests
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from difface.files import sha256 as sha256_of
from difface.files import whole_file
from difface.weights.catalog import Weight, lookup
from difface.weights.formats import LicenceNotAccepted, WeightMissing, WeightRefused, check_format

logger = logging.getLogger(__name__)

ATTEMPTS = 4
"""Failures in a row, none of which brought a new byte, before a download is given up."""

ACCEPTED = "accepted.json"
"""File in the cache: the licences for non-commercial use that were accepted."""

BACKOFF = 0.5
"""Seconds before the first retry; doubled each time."""

_TIMEOUT = (10, 60)
"""Seconds to connect and between two pieces of data."""

_CHUNK = 1 << 16
"""Bytes written at a time; what a broken connection leaves of the last chunk is asked for again."""

_WORTH_RETRYING = {408, 425, 429, 500, 502, 503, 504}


class _Interrupted(requests.RequestException):
    """The transfer stopped early, or must start again."""


def cache_folder() -> Path:
    """Where downloads go: `$DIFFACE_CACHE`, else `~/.cache/difface`. It need not exist."""
    return Path(os.environ.get("DIFFACE_CACHE") or "~/.cache/difface").expanduser()


def find(name: str) -> Path:
    """The file of that name in `$DIFFACE_WEIGHTS`, else in the cache; its size and SHA-256 are checked where known.

    Args:
        name: a file name in the catalog.

    Raises:
        ValueError: the catalog has no such name.
        WeightMissing: it is in neither place; the message has the command that gets it.
        WeightRefused: it is there, but is no checkpoint, or not the one that was catalogued or recorded.
    """
    weight = lookup(name)
    for path in places(name):
        if path.is_file():
            _verify(weight, path)
            return path
    remedy = f"Get it with: {weight.command}" if weight.source else "It has no public address: put it there."
    raise WeightMissing(f"{name} ({weight.what}) is missing: looked for {_looked()}. {remedy}", name)


def find_any(*names: str) -> Path:
    """The first of these files that `find` has.

    Raises:
        WeightMissing: none is here; the message is about the last one.
        ValueError, WeightRefused: as `find`.
    """
    for name in names[:-1]:
        try:
            return find(name)
        except WeightMissing:
            continue
    return find(names[-1])


def fetch(name: str, *, progress: bool = True, accept_licence: bool = False) -> Path:
    """The file of that name, downloaded (with its archive, if it has one) into the cache when `find` has it not.

    An interrupted download goes on where it stopped, also in a later call. Its size and SHA-256 are recorded in
    NAME.json beside it, and every later use or download must match them. A licence for non-commercial use is asked for
    once: what was accepted is recorded in the cache, and holds for every file under it.

    Args:
        name: a file name in the catalog.
        progress: show a bar on stderr where that is a terminal.
        accept_licence: the user keeps to its licence for non-commercial use.

    Raises:
        ValueError: the catalog has no such name.
        LicenceNotAccepted: its licence is for non-commercial use and was never accepted.
        WeightMissing: it has no address, or the server cannot be reached or does not have it.
        WeightRefused: what is here, or what came, is not the file that was expected.
    """
    weight = lookup(name)
    if weight.source is None or any(path.is_file() for path in places(name)):
        return find(name)
    if weight.non_commercial:
        _ask_once(weight, accept_licence)
    if weight.archive:
        _unpack(weight, fetch(weight.archive, progress=progress))
        return find(name)
    target = cache_folder() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{name}.lock")):
        if not target.is_file():  # unless another process has brought it meanwhile
            _download(weight, target, progress)
    return find(name)


def _ask_once(weight: Weight, accepted_now: bool) -> None:
    """Go on only if the licence of a file was accepted before, or is now."""
    record = cache_folder() / ACCEPTED
    accepted = json.loads(record.read_text()) if record.is_file() else []
    if weight.licence in accepted:
        return
    if not accepted_now:
        raise LicenceNotAccepted(
            f"{weight.name} is under {weight.licence}. If you keep to that, accept it once for all files under it: "
            f"{weight.command}",
            weight.name,
        )
    record.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(record) as temporary:
        temporary.write_text(json.dumps([*accepted, weight.licence], indent=1) + "\n")


def places(name: str) -> list[Path]:
    """Where a file or folder of weights may be, in order: `$DIFFACE_WEIGHTS/NAME` if that is set, the cache."""
    own = os.environ.get("DIFFACE_WEIGHTS")
    return [*([Path(own).expanduser() / name] if own else []), cache_folder() / name]


def _looked() -> str:
    """The places in words."""
    own = os.environ.get("DIFFACE_WEIGHTS")
    return f"in $DIFFACE_WEIGHTS ({own or 'not set'}) and in the cache ({cache_folder()})"


def _download(weight: Weight, target: Path, progress: bool) -> None:
    """Bring the file and put it into place, whole, checked and recorded."""
    part = target.with_name(f"{weight.name}.part")
    logger.info("downloading %s from %s; licence: %s", weight.name, weight.url, weight.licence)
    with _bar(progress) as bar:
        _receive_all(weight, part, bar, bar.add_task(weight.name, total=weight.size))
    try:
        check_format(part, target.suffix)
        size, sha256 = part.stat().st_size, sha256_of(part)
        remedy = f"If the new file is the right one, remove {_record_path(target)}."
        _compare(weight, target, size, sha256, f"What came from {weight.url}", remedy)
    except WeightRefused:
        _forget(part)
        raise
    record = {"name": weight.name, "url": weight.url, "size": size, "sha256": sha256}
    with whole_file(_record_path(target)) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(part, target)
    _forget(part)


def _unpack(weight: Weight, archive: Path) -> None:
    """Put the file of that name in a ZIP archive into the cache, whole and checked."""
    with ZipFile(archive) as opened:
        inside = next((entry for entry in opened.infolist() if Path(entry.filename).name == weight.name), None)
        if inside is None:
            raise WeightRefused(f"{archive} does not hold {weight.name}. Remove it and get it anew.")
        target = cache_folder() / weight.name
        with whole_file(target) as part:
            with opened.open(inside) as source, part.open("wb") as file:
                shutil.copyfileobj(source, file)
            check_format(part, target.suffix)
            _compare(weight, target, part.stat().st_size, sha256_of(part), f"{weight.name} in {archive}", "Remove it.")


def _bar(progress: bool) -> Progress:
    """A bar on stderr that vanishes at the end; none where stderr is no terminal (or notebook) to draw it on."""
    console = Console(stderr=True)
    drawn = progress and (console.is_terminal or console.is_jupyter)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not drawn)


def _receive_all(weight: Weight, part: Path, bar: Progress, task: TaskID) -> None:
    """Receive until the file is whole; retry what may pass, as long as new bytes come or `ATTEMPTS` are not used up."""
    failures, most = 0, _size(part)
    while True:
        try:
            return _receive(weight, part, bar, task)
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            failures = 0 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            if failures >= ATTEMPTS or (status and status not in _WORTH_RETRYING):
                raise WeightMissing(
                    f"{weight.name} could not be downloaded from {weight.url} ({_reason(error)}). Try again later, or "
                    f"get that file elsewhere and put it at {cache_folder() / weight.name}.",
                    weight.name,
                ) from error
            time.sleep(BACKOFF * 2**failures)


def _receive(weight: Weight, part: Path, bar: Progress, task: TaskID) -> None:
    """One request for what `part` lacks; returns when the file is whole."""
    assert weight.url is not None, "`fetch` refuses what has no address"
    have, etag = _piece(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-", "If-Range": etag} if have else {})
    with requests.get(weight.url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        start, total = _span(response, have, etag)
        if response.status_code == 416 and have == total:  # nothing beyond what is here
            return
        if start is None:
            _forget(part)
            raise _Interrupted("the server's piece does not fit the one that was here")
        response.raise_for_status()
        _refuse_early(weight, response, total)
        if start == 0:
            _forget(part)  # before the new validator is written: an old piece must never be found beside it
            _etag_path(part).write_text(response.headers.get("ETag", ""))
        bar.update(task, total=total, completed=start)
        with part.open("ab") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.advance(task, len(chunk))
    if total is not None and _size(part) != total:
        raise _Interrupted(f"{_size(part)} of {total} bytes came")


def _piece(part: Path) -> tuple[int, str]:
    """How many bytes are here, and the validator of the file that they are from; 0 where there is none to be sure by.

    Only a strong ETag says that two answers are of the same bytes (RFC 9110, 13.1.5).
    """
    etag = _etag_path(part).read_text() if _etag_path(part).exists() else ""
    return (_size(part), etag) if etag.startswith('"') else (0, "")


def _span(response: requests.Response, have: int, etag: str) -> tuple[int | None, int | None]:
    """Where the body starts in the file (None: it does not go on where the piece ends, or is another file's) and the
    file's size in bytes (None: not told)."""
    if response.status_code in (206, 416):
        told = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
        goes_on = told and told[1] == str(have) and response.headers.get("ETag") == etag
        return (have if goes_on else None), (int(told[2]) if told and told[2] != "*" else None)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _refuse_early(weight: Weight, response: requests.Response, total: int | None) -> None:
    """Before a byte is read: a web page, or a file of another size than the catalogued one."""
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise WeightRefused(f"{weight.url} answered with a web page, not with {weight.name}; open it in a browser.")
    if weight.size is not None and total is not None and total != weight.size:
        raise WeightRefused(
            f"{weight.url} offers {total} bytes; {weight.name} must have {weight.size}. It is not the same file."
        )


def _reason(error: requests.RequestException) -> str:
    """Why a download failed, in a few words."""
    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error) if isinstance(error, _Interrupted) else "the connection broke off"


def _verify(weight: Weight, path: Path) -> None:
    """Refuse a file that is no checkpoint, or that is not the one catalogued or recorded."""
    stat = path.stat()
    _check_format_once(path, stat.st_size, stat.st_mtime_ns)
    if weight.sha256 or weight.size or _record_path(path).is_file():
        sha256 = _sha256_once(path, stat.st_size, stat.st_mtime_ns)
        _compare(weight, path, stat.st_size, sha256, str(path), "Remove it and get it anew.")


def _compare(weight: Weight, path: Path, size: int, sha256: str, subject: str, remedy: str) -> None:
    """Refuse a size (bytes) or digest other than the catalogued, else the one recorded beside `path`."""
    record = _read_record(_record_path(path))
    for what, given, catalogued, recorded in (
        ("size", size, weight.size, record.get("size")),
        ("SHA-256", sha256, weight.sha256, record.get("sha256")),
    ):
        expected, source = (catalogued, "the catalog") if catalogued else (recorded, _record_path(path))
        if expected and given != expected:
            raise WeightRefused(
                f"{subject} is not the known {weight.name}: {what} given {given}, expected {expected} (from {source}). "
                f"{remedy}"
            )


def _read_record(record: Path) -> dict:
    """What the first download recorded; empty where nothing was."""
    if not record.is_file():
        return {}
    try:
        return dict(json.loads(record.read_text()))
    except (ValueError, TypeError) as error:
        raise WeightRefused(f"{record} is not the record of a download; remove it.") from error


@lru_cache(maxsize=64)
def _sha256_once(path: Path, size: int, mtime_ns: int) -> str:
    """The digest, computed once per process and state of the file."""
    return sha256_of(path)


@lru_cache(maxsize=64)
def _check_format_once(path: Path, size: int, mtime_ns: int) -> None:
    """`check_format`, once per process and state of the file."""
    check_format(path)


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _etag_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    """Remove an unfinished download."""
    part.unlink(missing_ok=True)
    _etag_path(part).unlink(missing_ok=True)
