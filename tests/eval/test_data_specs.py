"""What --data may name, and the figures' command."""

import json

import pytest

from difface import images
from eval.cli import main
from eval.tables.data import dataset


@pytest.fixture
def faces(tmp_path, astronaut_face):
    for k in range(3):
        images.write(astronaut_face, tmp_path / "faces" / f"{k}.png")
    return tmp_path / "faces"


def test_clean_faces_are_degraded_and_real_ones_are_not(tmp_path, faces) -> None:
    block, clean = dataset(str(faces), tmp_path / "data", "tiny", None, None)
    assert block is None and len({item.degradation for item in clean.items}) == 3
    block, real = dataset(f"real={faces}", tmp_path / "data", "tiny", None, None)
    assert block is None and all(item.hq is None and item.degradation is None for item in real.items)


def test_one_scale_for_all(tmp_path, faces) -> None:
    _, same = dataset(str(faces), tmp_path / "data", "tiny", 2, 4.0)
    parameters = same.items[0].degradation
    assert len(same.items) == 2 and {item.degradation for item in same.items} == {parameters}
    assert (parameters.scale, parameters.sigma_x, parameters.noise, parameters.jpeg_quality) == (4, 1, 5, 60)


def test_real_world_sets_stand_in_the_papers_blocks(tmp_path, faces, caplog) -> None:
    assert dataset(f"wider={faces}", tmp_path / "data", "tiny", None, None)[0] == "WIDER"
    assert "WIDER-Test has 970" in caplog.text


def test_a_figure_is_drawn_with_its_table(tmp_path, faces, capsys) -> None:
    assert main(["figure", "4", "--data", str(faces), "--limit", "2", "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".csv", ".pdf", ".png"]
    assert main(["figure", "16", "-o", str(tmp_path / "out")]) == 2
    assert "figure '16' is not drawn here" in capsys.readouterr().err


def test_a_curve_is_drawn_from_a_log(tmp_path) -> None:
    (tmp_path / "log.csv").write_text("step,loss,learning_rate\n50,0.5,1e-4\n100,0.1,2e-4\n")
    (tmp_path / "settings.json").write_text(json.dumps({"batch_size": 16}))
    assert main(["curve", str(tmp_path), "-o", str(tmp_path / "curve.png")]) == 0
    assert images.read(tmp_path / "curve.png").width > 500
