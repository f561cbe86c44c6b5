"""What an address sets, and what Reset does."""

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio as gr

from space import address, page, widgets


@pytest.fixture
def named() -> address.Fields:
    with gr.Blocks():
        return {
            "restore-n": widgets.start(400),
            "restore-seed": widgets.seed(),
            "restore-sampler": gr.Dropdown([("DDIM", "ddim"), ("DPM", "dpm++")], value="dpm++"),
            "restore-steps": gr.Dropdown([20, 250], value=250),
            "photo-scale": gr.Radio([("Same", 1), ("Twice", 2)], value=1),
            "photo-strengths": gr.Textbox(""),
        }


def test_an_address_sets_what_it_names_and_nothing_else(named):
    query = {"restore-n": "250", "restore-sampler": "ddim", "restore-steps": "20", "photo-scale": "2", "tab": "photo"}
    assert address.restored(query, named) == [250, gr.skip(), "ddim", 20, 2, gr.skip()]
    assert address.restored({"restore-seed": "7", "photo-strengths": "2: 50"}, named)[1::4] == [7, "2: 50"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("restore-n", "5000"), ("restore-n", "x"), ("restore-n", "nan"), ("restore-n", "inf"), ("restore-seed", "-1"),
        ("restore-sampler", "euler"), ("restore-steps", "21"), ("photo-scale", "3"),
    ],
)  # fmt: skip
def test_what_a_field_does_not_hold_changes_nothing(named, name, text):
    assert address.restored({name: text}, named) == [gr.skip()] * len(named)


def test_reset_brings_back_the_first_values_and_empties_the_rest():
    """Every field of the tab in the order of its events, the settings by the values that they were built with."""
    built = page.build("tiny")
    (function,) = (one for one in built.fns.values() if one.api_name == "photo_reset")
    values = dict(zip((one.elem_id or one.label for one in function.outputs), function.fn(), strict=True))
    assert values["photo"] is values["photo-result"] is None and values["photo-summary"] == ""
    assert values["Size of the result"] == 1 and values["Strength (%)"] == 100 and values["Seed"] == 0
    assert not values["photo-download"]["interactive"]
    assert any(one.cancels for one in built.fns.values() if one.targets == function.targets)
