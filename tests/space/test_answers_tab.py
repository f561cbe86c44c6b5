"""Answers in the order of likeness to a person, and the one that is clicked on."""

import pytest
import torch

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio as gr

from difface import images
from space import answers


@pytest.fixture
def faces_of_two(astronaut_face) -> torch.Tensor:
    """(3, 3, 128, 128): noise, a face, and that face darker and with noise."""
    face = images.to_tensors(astronaut_face.resize((128, 128)))[0]
    noise = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    return torch.stack([noise, face, (0.8 * face + 0.1 * noise).clamp(0, 1)])


def test_the_likest_comes_first(faces_of_two, onnx):
    order, angles, text = answers._ranked(faces_of_two, faces_of_two[1:2])
    assert order == [1, 2, 0] and angles[1] < 1 < angles[2] < 60 < angles[0]
    assert "likeness" in text


def test_without_the_networks_weights_they_stay_and_it_is_said(faces_of_two, no_weights):
    assert answers._ranked(faces_of_two, None) == ([0, 1, 2], [], "")
    order, angles, text = answers._ranked(faces_of_two, faces_of_two[1:2])
    assert order == [0, 1, 2] and angles == [] and "Not ranked" in text and "mobilefacenet.onnx" in text


def test_a_click_chooses_an_answer_by_its_seed():
    """Ranked answers do not stand in the order of their seeds."""
    shown = [("b.png", "Seed 9, 12° from the person"), ("a.png", "Seed 8, 40° from the person")]
    click = gr.SelectData(None, {"index": 1, "value": None})
    assert answers.under_map(shown, ("b.png", "map.png"), click) == (("a.png", "map.png"), "a.png", 8)
    assert answers.under_map(None, None, click) == (gr.skip(),) * 3
