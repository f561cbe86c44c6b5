"""Several answers: which is clicked on, and which resembles a photo of the person."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("gradio", reason="gradio is not installed")

from difface import images
from space import answers


def test_a_click_puts_an_answer_under_the_map_and_makes_it_the_file_to_fetch():
    shown = [("a.png", "Seed 3"), ("b.png", "Seed 4, 61°")]
    pair, file = answers.under_map(shown, ("a.png", "map.png"), SimpleNamespace(index=1))
    assert pair == ("b.png", "map.png")
    assert (file["value"], file["label"], file["visible"]) == ("b.png", "Download seed 4, 61° (PNG)", True)
    for given in ((None, None, 0), (shown, ("a.png", "map.png"), 2)):
        assert "value" not in answers.under_map(*given[:2], SimpleNamespace(index=given[2]))[1]


@pytest.fixture
def strangers(astronaut_face) -> torch.Tensor:
    """Two pictures that are not of her, and her face as the third."""
    face = images.to_tensors(astronaut_face)[0]
    return torch.stack([face.flip(1), torch.rand(face.shape, generator=torch.Generator().manual_seed(0)), face])


def test_the_answer_that_resembles_the_person_comes_first(onnx, strangers, astronaut_photo):
    order, said = answers._ranked(strangers, astronaut_photo)
    assert order[0][0] == 2 and {k for k, _ in order} == {0, 1, 2} and "resembles your photo" in said
    degrees = [apart for _, apart in order]
    assert degrees == sorted(degrees) and degrees[0] < 60 < degrees[1]
    assert answers._ranked(strangers, None) == ([(0, None), (1, None), (2, None)], "")


def test_without_the_network_answers_stay_in_their_order_and_it_is_said(no_weights, strangers, astronaut_photo):
    order, said = answers._ranked(strangers, astronaut_photo)
    assert order == [(0, None), (1, None), (2, None)] and "mobilefacenet.onnx, is not on this server" in said
