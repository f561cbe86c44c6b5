"""The state of a tab: its settings in the page's address, and back to what they were at first."""

from collections.abc import Sequence

import gradio as gr
from gradio.events import Dependency

from space import entry, widgets

Fields = dict[str, gr.components.Component]
"""Settings by their names in an address."""
REMEMBER = """(value) => {
  const address = new URL(location);
  if (value === null || String(value) === FIRST) address.searchParams.delete(NAME);
  else address.searchParams.set(NAME, value);
  history.replaceState(history.state, "", address);
}"""


def remember(page: gr.Blocks, tabs: dict[str, Fields]) -> None:
    """Write settings that are not the first ones into the address, and read them when it is opened.

    In an address the setting n of the tab photo is photo-n, so that a link holds those of every tab.

    Args:
        page: whose load reads them.
        tabs: the fields of each tab.
    """
    named = {f"{tab}-{name}": field for tab, fields in tabs.items() for name, field in fields.items()}
    for name, field in named.items():
        script = REMEMBER.replace("FIRST", f'"{field.value}"').replace("NAME", f'"{name}"')
        field.change(None, field, js=script, api_name=f"remember_{name.replace('-', '_')}", **widgets.PRIVATE)

    def of_address(request: gr.Request) -> list:
        return restored(dict(request.query_params), named)

    page.load(
        of_address,
        None,
        [*named.values()],
        api_name="settings_of_address",
        **widgets.PRIVATE,
    )


def restored(query: dict[str, str], named: Fields) -> list:
    """What the fields hold for an address; those that it does not name, or names wrongly, stay as they are."""
    return [_value(field, query[name]) if name in query else gr.skip() for name, field in named.items()]


def _value(field: gr.components.Component, text: str):
    """A setting's value, of its text in an address."""
    choices = [choice for _, choice in getattr(field, "choices", None) or []]
    try:
        value = float(text) if isinstance(field, gr.Slider | gr.Number) else text
        value = int(value) if isinstance(value, float) and value == int(value) else value
        value = next((choice for choice in choices if str(choice) == text), None) if choices else value
        entry.check_field(field, value)
    except (ValueError, OverflowError):
        return gr.skip()
    return gr.skip() if value is None else value


def reset(
    name: str,
    pictures: Sequence[gr.Image],
    settings: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    going: Sequence[Dependency],
) -> None:
    """Draw a button that brings a tab back to how it was at first, without a picture and without a result.

    Args:
        name: of the tab.
        pictures: fields that are emptied.
        settings: fields that get their first values.
        outputs: of the tab's run.
        going: runs that it ends.
    """
    button = gr.Button("Reset", elem_id=f"{name}-reset", size="sm", min_width=90)
    fields, first = [*pictures, *settings, *outputs], [field.value for field in settings]
    empty = [None for _ in pictures] + first + [_emptied(one) for one in outputs]
    button.click(lambda: empty, None, fields, cancels=[*going], api_name=f"{name}_reset", **widgets.PRIVATE)


def _emptied(output: gr.components.Component):
    match output:
        case gr.DownloadButton():
            return gr.update(value=None, interactive=False)
        case gr.File():
            return gr.update(value=None, visible=False)
        case gr.HTML():
            return ""
        case gr.State():
            return output.value
        case _:
            return None
