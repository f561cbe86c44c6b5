"""The curve for N, and links to the notebooks."""

import re
import urllib.error
import urllib.request
from urllib.parse import unquote

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio as gr

from space import about
from space.shared import ROOT


def test_the_curve_stays_while_its_number_is_typed():
    assert about.contraction_of(None) == gr.skip()
    assert "At N = 400" in about.contraction_of(400)


def test_notebooks_are_files_under_the_pages_own_address(monkeypatch, tmp_path):
    monkeypatch.delenv("SPACE_ID", raising=False)
    folder = tmp_path / "some notebooks"
    folder.mkdir()
    (folder / "1 & 2.ipynb").write_text("{}")
    (folder / "notes.txt").write_text("")
    text = about.notebooks(folder)
    (address,) = re.findall(r'href="([^"]+)" target="_blank"', text)
    assert unquote(address) == "files/notebooks/1 & 2.ipynb" and " " not in address
    assert ">1 &amp; 2</a>" in text
    assert about.notebooks(tmp_path) == ""


def test_links_lead_to_the_files_and_nowhere_else(server):
    for place in ("notebooks/00_start_here.ipynb", "docs/results.md", "docs/status/status.md"):
        (address,) = re.findall(r'href="([^"]+)"', about.link(place, "there"))
        with urllib.request.urlopen(f"{server[0]}/{address}") as answer:
            assert answer.read() == (ROOT / place).read_bytes()
    for place in ("files/docs/..%2f..%2fapp.py", "files/notebooks/%2e%2e/app.py", "files/app.py"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server[0]}/{place}")


def test_notebooks_are_pages_of_a_space(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/difface")
    links = re.findall(r'href="([^"]+)"', about.notebooks(ROOT / "notebooks"))
    assert len(links) == len(list((ROOT / "notebooks").glob("*.ipynb"))) > 0
    assert all(link.startswith("https://huggingface.co/spaces/someone/difface/blob/main/notebooks/") for link in links)
