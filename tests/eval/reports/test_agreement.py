"""Both distances put untouched faces first, and their sets are the promised ones."""

from difface import images
from eval.cli import main
from eval.reports import agreement
from eval.reports.study import Study


def test_agreement_of_both_distances(onnx, tmp_path, monkeypatch, astronaut_face, capsys):
    people = [astronaut_face.rotate(3 * k) for k in range(10)]
    for folder, faces in (("train", people[:6]), ("test", people[6:])):
        for k, face in enumerate(faces):
            images.write(face, tmp_path / folder / f"{k}.png")
    for name, few in (("DEGRADED", (1, 8)), ("RESTORED", (8,)), ("STARTS", (150,))):
        monkeypatch.setattr(agreement, name, few)
    frame = agreement.agreement(Study(tmp_path / "test", tmp_path / "train", tmp_path / "work"))
    assert list(frame.columns) == ["set", *agreement.METRICS]
    assert list(frame["set"]) == [
        "untouched",
        "s = 1, input",
        "s = 8, input",
        "s = 8, f(y), swinir",
        "s = 8, f(y), srcnn",
        "s = 8, DifFace, N = 150",
    ]
    assert (frame.iloc[:, 1:] > 0).all(axis=None) and frame.iloc[:, 1:].idxmin().tolist() == [0, 0]
    monkeypatch.setattr("eval.settings.Setting.method", lambda *_: 1 / 0)  # nothing is left to do
    given = [f"--{name}={tmp_path / name}" for name in ("train", "test", "work")]
    assert main(["agreement", *given]) == 0
    told = capsys.readouterr().out
    rank = frame["FD-prior"].corr(frame["FD identity"], method="spearman")
    assert f"rank correlation (Spearman): {rank:.3f}" in told
