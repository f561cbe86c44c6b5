"""The curve for N, and links to the notebooks."""

import re
from urllib.parse import unquote

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio as gr

from space import about
from space.shared import ROOT


def test_the_curve_stays_while_its_number_is_typed():
    assert about.contraction_of(None) == gr.skip()
    assert "At N = 400" in about.contraction_of(400)


def test_notebooks_are_files_here(monkeypatch, tmp_path):
    monkeypatch.delenv("SPACE_ID", raising=False)
    folder = tmp_path / "some notebooks"
    folder.mkdir()
    (folder / "1 & 2.ipynb").write_text("{}")
    (folder / "notes.txt").write_text("")
    text = about.notebooks(folder)
    (address,) = re.findall(r'href="([^"]+)" target="_blank"', text)
    assert unquote(address) == f"/gradio_api/file={folder}/1 & 2.ipynb" and " " not in address
    assert ">1 &amp; 2</a>" in text
    assert about.notebooks(tmp_path) == ""


def test_notebooks_are_pages_of_a_space(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/difface")
    links = re.findall(r'href="([^"]+)"', about.notebooks(ROOT / "notebooks"))
    assert len(links) == len(list((ROOT / "notebooks").glob("*.ipynb"))) > 0
    assert all(link.startswith("https://huggingface.co/spaces/someone/difface/blob/main/notebooks/") for link in links)
