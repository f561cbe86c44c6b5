"""What enters the page: only files that were uploaded to it and values that its fields hold, whatever the endpoint."""

import os
import reprlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from PIL import Image

from space import api, shared

NOT_UPLOADED = "the file is none that was uploaded to this page; a picture is accepted: upload it first."
"""Said of every other file, so that nobody learns which files there are."""
UNFIT = "the request does not fit this page; what the page itself sends is accepted: see “Use via API” at its foot."

DATA = "data:image/png;base64"


class Refused(ValueError):
    """What a client sent is not accepted; the message is one line for the visitor."""


class Page(gr.Blocks):
    """A page whose events read files of this server's uploads alone, and refuse in one line what no field holds.

    Gradio judges a path only where the client sends `meta` beside it, does not follow links, and fetches addresses.
    Examples that a visitor clicks on are in the upload folder, too.
    """

    async def preprocess_data(self, block_fn, inputs: list, state, explicit_call: bool = False) -> list:
        """The fields of an event, as its function takes them; called by Gradio for every event.

        Raises:
            gr.Error: a field names another file, or cannot hold its value.
        """
        with shared.one_line():
            try:
                refuse_outsiders(inputs)
                for k, (field, value) in enumerate(zip(block_fn.inputs, inputs, strict=False)):
                    check_field(field, value)
                    inputs[k] = taken_in(field, value)
                return await super().preprocess_data(block_fn, inputs, state, explicit_call)
            except InvalidPathError:
                raise Refused(NOT_UPLOADED) from None
            except (gr.Error, Refused):
                raise
            except Exception as error:  # of pydantic, of a component, of too few values: long, and for programmers
                raise Refused(UNFIT) from error

    def get_api_info(self, all_endpoints: bool = False, page: str | None = None) -> dict:
        """As Gradio's, with a sentence on every parameter and result."""
        return api.described(super().get_api_info(all_endpoints, page), self)


def taken_in(field: gr.components.Component, value: Any) -> Any:
    """A value as Gradio takes it: layers of a canvas that are data addresses, as /mask answers them, become files here.

    Raises:
        ValueError: such an address holds no data.
    """
    if (
        not isinstance(field, gr.ImageEditor)
        or not isinstance(value, dict)
        or not isinstance(value.get("layers"), list)
    ):
        return value
    return value | {"layers": [_file_of(layer) if isinstance(layer, str) else layer for layer in value["layers"]]}


def _file_of(address: str) -> dict:
    kind, _, data = address.partition(",")
    if kind != DATA:
        raise ValueError
    path = shared.result_folder() / "layer.png"
    path.write_bytes(b64decode(data, validate=True))
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def data_address(picture: Image.Image) -> str:
    """A picture as a data address of a PNG file, so that a client can hand it back as it is."""
    file = BytesIO()
    picture.save(file, "PNG")
    return f"{DATA},{b64encode(file.getvalue()).decode()}"


def refuse_outsiders(value: Any) -> None:
    """Raise `Refused` if a path in what a client sent is not in the upload folder, links followed."""
    for path in _paths(value):
        if not _is_uploaded(path):
            raise Refused(NOT_UPLOADED)


def _paths(value: Any) -> Iterator[str]:
    """Every text under the key "path", at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for part in value:
        yield from _paths(part)


def _is_uploaded(path: str) -> bool:
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(gr.utils.get_upload_folder()))
    except (OSError, ValueError):  # a null byte, half a character
        return False


def check_field(field: gr.components.Component, value: Any) -> None:
    """Raise `Refused` if a client's value is none that this field holds; Gradio checks some fields only in part."""
    accepted = _accepted(field, value)
    if accepted:
        raise Refused(f"{field.label} is {reprlib.repr(value)}; {accepted} is accepted: change it.")


def _accepted(field: gr.components.Component, value: Any) -> str | None:
    """What the field holds, in words, where this value is something else."""
    match field:
        case gr.Slider() | gr.Number():
            fits = value is None or (type(value) in (int, float) and field.minimum <= value <= field.maximum)
            return None if fits else f"a number in {field.minimum}..{field.maximum}"
        case gr.Checkbox():
            return None if isinstance(value, bool) else "true or false"
        case gr.Textbox():
            return None if isinstance(value, str) else "text"
        case gr.Dropdown() | gr.Radio():
            choices = [choice for _, choice in field.choices]
            fits = value in choices or (value is None and isinstance(field, gr.Radio))
            return None if fits else f"one of {', '.join(map(str, choices))}"
        case gr.CheckboxGroup():
            return None if isinstance(value, list) else "a list"
        case gr.Dataset():
            fits = type(value) is int and 0 <= value < len(field.samples)
            return None if fits else f"one of 0..{len(field.samples) - 1}"
        case gr.Image():
            fits = value is None or (isinstance(value, dict) and isinstance(value.get("path"), str))
            return None if fits else "an uploaded picture"
    return None
