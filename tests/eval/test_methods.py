"""`python -m eval methods` says of each method what it needs and what it costs."""

from difface.methods import METHODS
from eval.cli import main


def test_every_method_is_listed(capsys) -> None:
    assert main(["methods"]) == 0
    head, _, *rows = capsys.readouterr().out.strip().splitlines()
    cells = {row.split(" | ")[0].strip("| "): [cell.strip("| ") for cell in row.split(" | ")] for row in rows}
    assert list(cells) == list(METHODS)
    assert head == "| name | method | kind | needs beside the picture | calls |"
    assert cells["repaint"] == ["repaint", "RePaint", "training-free", "a mask", "2,410"]
    assert cells["diffpir"][3:] == ["a mask or a scale", "19 (inpainting), 99 (super-resolution)"]
    assert cells["difface"][2] == "ours" and "120 (inpainting)" in cells["difface"][4]


def test_an_unknown_profile_is_refused(capsys) -> None:
    assert main(["methods", "--profile", "huge"]) == 2
    assert "the profile 'huge' is unknown" in capsys.readouterr().err
