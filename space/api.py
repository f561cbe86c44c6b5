"""What the page's API says of itself: every endpoint, every parameter with its range and meaning, every result by name.

All of it is what the fields themselves say on the page, so that it cannot differ from them.
"""

import inspect

import gradio as gr

from difface import images

PAINTED = (
    "What /mask answers, as it is; or the same with layers of your own: PNG files, or data addresses of them, in the "
    "shape of the face, white where it is missing and transparent elsewhere."
)

PAINTED_SCHEMA = {
    "type": "object",
    "properties": {"layers": {"type": "array", "items": {"type": "string"}}},
    "required": ["layers"],
}
"""The same for programs; Gradio's own refers to parts that its MCP server leaves out."""


def described(info: dict, page: gr.Blocks) -> dict:
    """Gradio's description of the API with a sentence on every parameter and result.

    Args:
        info: of `gr.Blocks.get_api_info`; changed.
        page: whose endpoints.
    """
    for function in page.fns.values():
        endpoint = info["named_endpoints"].get(f"/{function.api_name}")
        if endpoint is None:
            continue
        for said, parts in ((endpoint["parameters"], function.inputs), (endpoint["returns"], function.outputs)):
            for one, part in zip(said, (part for part in parts if not part.skip_api), strict=True):
                text = meaning(part) if said is endpoint["parameters"] else f"{part.label}."
                one["python_type"] = one["python_type"] | {"description": text}
                if all(isinstance(choice, int) for choice in one["type"].get("enum") or [""]):
                    one["type"] = one["type"] | {"type": "integer"}  # Gradio calls every choice a text
    return info


def document(page: gr.Blocks) -> None:
    """Give the public functions of a page the names of their endpoints, and docstrings that say the same as those.

    Gradio's MCP server makes its tools of them.
    """
    for function in page.fns.values():
        if function.fn and function.api_visibility == "public":
            fields = [part for part in function.inputs if not part.skip_api]
            names = inspect.signature(function.fn).parameters
            arguments = [f"    {name}: {meaning(field)}" for name, field in zip(names, fields, strict=True)]
            function.fn.__name__ = function.api_name
            function.fn.__doc__ = "\n".join([function.api_description, "", "Args:", *arguments])


def meaning(field: gr.components.Component) -> str:
    """What a field is, what it does, and what it takes, in a line."""
    said = [f"{field.label}{'' if field.label.endswith('?') else '.'}", getattr(field, "info", None), _takes(field)]
    return " ".join(filter(None, said))


def _takes(field: gr.components.Component) -> str:
    match field:
        case gr.Slider() | gr.Number():
            return f"A number in {field.minimum}..{field.maximum}."
        case gr.Dropdown() | gr.Radio():
            return f"One of {', '.join(_choice(*choice) for choice in field.choices)}."
        case gr.CheckboxGroup():
            return "A list of numbers."
        case gr.Checkbox():
            return "True or false."
        case gr.Image():
            return f"A picture: {images.ACCEPTED}."
        case gr.File():
            return f"Pictures: {images.ACCEPTED}."
        case gr.ImageEditor():
            return PAINTED
        case _:
            return "Text."


def _choice(title: str, value: str | int) -> str:
    return str(value) if str(title) == str(value) else f"{value} ({title})"
