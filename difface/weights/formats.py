"""What a file of weights must look like, and how its tensors are read. Nothing is ever unpickled beyond tensors."""

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from torch import Tensor

_NESTS = ("params_ema", "params", "state_dict")
"""Keys under which official checkpoints keep their state dict, the averaged weights first."""


class WeightError(Exception):
    """Something is wrong with a file of weights; the message is one line for the user."""


class WeightMissing(WeightError, FileNotFoundError):
    """A file of weights is not here and could not be had.

    Attributes:
        name: of the file in the catalog; None where it is none of the catalog's.
    """

    def __init__(self, message: str, name: str | None = None):
        super().__init__(message)
        self.name = name


class LicenceNotAccepted(WeightMissing):
    """A file could be downloaded, but nobody has accepted its licence for non-commercial use."""


class WeightRefused(WeightError, ValueError):
    """A file is here, but it is not the checkpoint that it should be."""


def check_format(path: Path, suffix: str | None = None) -> None:
    """Refuse a file that cannot be what its suffix promises: an HTML page, an empty or a cut-off file.

    Args:
        path: the file.
        suffix: what it should be, with the dot ('.pth'); None takes the file's own. Unknown suffixes must only not be
            empty and no HTML page.

    Raises:
        WeightRefused: it is something else.
    """
    start = _first_bytes(path)
    if not start:
        raise WeightRefused(f"{path} is empty (0 bytes); delete it and fetch it again.")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise WeightRefused(f"{path} is a web page, not a checkpoint (starts with {start[:24]!r}); delete it.")
    wanted, fits = _CHECKS.get((suffix or path.suffix).lower(), ("", lambda _: True))
    if not fits(path):
        raise WeightRefused(
            f"{path} must be {wanted}; got {path.stat().st_size} bytes that start with {start[:12]!r}, "
            "cut off or of another kind. Delete it and fetch it again."
        )


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint on the CPU, out of `params_ema`, `params` or `state_dict` and without `module.`.

    Zip checkpoints and safetensors are mapped from the file, not read, so that gigabytes cost no memory.

    Args:
        path: a PyTorch checkpoint (zip or legacy pickle) or a safetensors file, whatever its suffix.

    Raises:
        WeightMissing: there is no such file.
        WeightRefused: it is neither, or it holds objects other than tensors and plain containers, or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightMissing(f"There is no file {path}; give the path of a .pth, .pt, .ckpt or .safetensors checkpoint.")
    checkpoint = load_checkpoint(path)
    for nest in _NESTS:
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(nest), dict):
            checkpoint = checkpoint[nest]
            break
    tensors = {}
    if isinstance(checkpoint, dict):
        tensors = {str(key): value for key, value in checkpoint.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightRefused(f"{path} holds no state dict: neither tensors by name nor one of {', '.join(_NESTS)}.")
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def load_checkpoint(path: Path) -> object:
    """The object in the file: tensors, plain values and NumPy's float arrays in plain containers; no more is unpickled.

    Of a TorchScript archive it is the tensors by name.

    Raises:
        WeightRefused: it is no checkpoint, or holds something else.
    """
    if _is_safetensors(path):
        from safetensors.torch import load_file

        return load_file(path)
    start = _first_bytes(path)
    if start[:2] != b"PK" and start[:1] != b"\x80":
        raise WeightRefused(
            f"{path} is not a checkpoint: it must be a PyTorch file (zip or pickle) or safetensors; "
            f"it starts with {start[:24]!r}."
        )
    import torch

    try:
        if _zip_holds(path, "/constants.pkl"):
            return _torchscript_tensors(path)
        with torch.serialization.safe_globals(_numpy_arrays()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=start[:2] == b"PK")
    except Exception as error:  # torch raises many kinds for a broken file
        reason = str(error).strip().split("\n")[0]
        raise WeightRefused(
            f"{path} cannot be read as a PyTorch checkpoint of tensors alone ({type(error).__name__}: {reason})."
        ) from error


class _Module:
    """A module of a TorchScript archive: its attributes alone."""


def _torchscript_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript archive by name. Its code is left out: nothing of it is compiled or run."""
    import torch

    data = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(data, "w") as copy:
        for name in archive.namelist():
            if PurePosixPath(name).parts[1] in ("data.pkl", "data", "version", "byteorder"):
                copy.writestr(name, archive.read(name))
    data.seek(0)
    unknown = torch.serialization.get_unsafe_globals_in_checkpoint(data)
    modules = [(_Module, name) for name in unknown if name.startswith("__torch__")]
    lists = [(_as_it_is, name) for name in unknown if name.startswith("torch.jit._pickle.")]
    data.seek(0)
    with torch.serialization.safe_globals([*modules, *lists]):
        return _flat(torch.load(data, map_location="cpu", weights_only=True))


def _as_it_is(values: object, *types: object) -> object:
    """A list of TorchScript, without its type."""
    return values


def _flat(module: _Module, prefix: str = "") -> dict[str, Tensor]:
    """Its tensors and those of the modules in it, named as in a state dict."""
    tensors = {}
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            tensors[prefix + name] = value
        elif isinstance(value, _Module):
            tensors |= _flat(value, f"{prefix}{name}.")
    return tensors


def _numpy_arrays() -> list:
    """What rebuilds a float array of NumPy 1 or 2 out of a pickle: published statistics hold such arrays."""
    import numpy as np
    from numpy._core.multiarray import _reconstruct

    named = [(_reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    return [np.ndarray, np.dtype, np.dtypes.Float32DType, np.dtypes.Float64DType, *named]


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _is_torch(path: Path) -> bool:
    """A zip with a torch pickle, or a legacy pickle (opened to see; `WeightRefused` with the reason if it does not)."""
    if zipfile.is_zipfile(path):
        return _zip_holds(path, "data.pkl")
    return _first_bytes(path)[:1] == b"\x80" and load_checkpoint(path) is not None


def _is_safetensors(path: Path) -> bool:
    """A header that is JSON and whose tensors fill the file exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            return True
    except (SafetensorError, OSError, ValueError):
        return False


def _is_npz(path: Path) -> bool:
    return _zip_holds(path, ".npy")


def _zip_holds(path: Path, ending: str) -> bool:
    """Whether a file is a zip whose list can be read and names a file with this ending."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(ending) for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _is_mat(path: Path) -> bool:
    return _first_bytes(path).startswith(b"MATLAB ")


def _is_onnx(path: Path) -> bool:
    """A protobuf message that starts with the IR version, has a graph (field 7) and ends where the file ends."""
    size = path.stat().st_size
    fields = []
    with path.open("rb") as file:
        while file.tell() < size:
            tag = _varint(file)
            if tag is None or tag & 7 not in (0, 2):  # ModelProto has whole numbers and nested messages only
                return False
            value = _varint(file)
            if value is None or (tag & 7 == 2 and file.seek(value, 1) > size):
                return False
            fields.append(tag >> 3)
    return fields[:1] == [1] and 7 in fields


def _varint(file: BinaryIO) -> int | None:
    """One protobuf whole number, or None at the end of the file or where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None


_TORCH = ("a PyTorch checkpoint (a zip, or a pickle of tensors)", _is_torch)
_CHECKS = {
    ".pth": _TORCH,
    ".pt": _TORCH,
    ".ckpt": _TORCH,
    ".safetensors": ("a safetensors file", _is_safetensors),
    ".onnx": ("an ONNX model", _is_onnx),
    ".zip": ("a zip archive", zipfile.is_zipfile),
    ".npz": ("a NumPy archive", _is_npz),
    ".mat": ("a MATLAB file", _is_mat),
}
"""Suffix -> (what the file must be, whether it is)."""
