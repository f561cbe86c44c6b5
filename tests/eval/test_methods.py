"""The list of methods: complete, and honest about what is here."""

from difface.methods import LEARNED, METHODS
from eval.methods import listing


def test_every_method_is_listed_with_its_calls_or_what_gets_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    rows = [line.strip("| ").split(" | ") for line in listing("tiny").splitlines()[2:]]
    table = {name: rest for name, *rest in rows}
    assert list(table) == [*METHODS, *LEARNED]
    assert table["repaint"] == ["RePaint", "training-free", "a mask", "2,410", "ready"]
    assert table["swinir"][-2:] == ["1", "ready"]
    assert table["codeformer"][1:] == [
        "by weight",
        "nothing more",
        "-",
        "`python -m difface fetch codeformer.pth --accept-licence`",
    ]
    assert table["sr3"][1:] == ["trained here", "a scale", "-", "`python -m difface train sr3`"]
