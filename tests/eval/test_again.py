"""Numbers made again: the same where nothing was touched; weights, seeds, pictures and scores that were are noticed."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from difface import cli, images, profiles
from eval.again import Again, verify
from eval.cli import main
from eval.metrics import METRICS
from eval.results_page import RESULTS
from eval.stored import rows

PROOF = RESULTS.parent / "proof"
FACES = RESULTS.parents[1] / "notebooks" / "faces"
ROW = "tiny-difface-swinir"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Table III of four faces."""
    folder = tmp_path_factory.mktemp("made")
    given = ["--data", str(FACES), "--limit", "4", "--batch", "2", "--steps", "20", "--methods", "none"]
    given += ["--metrics", "IndRMSE"]
    assert main(["table", "III", *given, "--device", "cpu", "-o", str(folder)]) == 0
    return folder


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "results")


def ours(results):
    """Folder of DifFace's pictures, and that of its scores."""
    return next((results / "restored").glob(f"*/{ROW}*")), next((results / "scores").glob(f"*/{ROW}*"))


def again(results, capsys, *options) -> tuple[int, str]:
    status = main(["again", "III", "DifFace", "PSNR", "--results", str(results), *options])
    told = capsys.readouterr()
    return status, told.out + told.err


def test_a_number_comes_again_to_the_last_byte(results, capsys):
    status, said = again(results, capsys)
    assert status == 0 and said.count("again the same pixels") == 4 and "10 of 10 are the same" in said
    status, said = again(results, capsys, "--picture", "astronaut")
    assert status == 0 and "4 of 4 are the same" in said and "sample" not in said


def test_pictures_say_how_to_make_them_again(results):
    folder, _ = ours(results)
    with Image.open(folder / "astronaut.png") as picture:
        told = json.loads(picture.text["difface"])
    assert "restored" in picture.text["Comment"] and told["batch"] == ["astronaut", "sample_00"]
    config = json.loads((folder / "config.json").read_text())
    assert told["setting"] == config["setting"] and told["dataset"] == config["dataset"]
    assert {"unet", "swinir"} == set(told["setting"]["weights"])


@pytest.mark.parametrize(("values", "change"), [(1, 1), (200, 64)])
def test_a_touched_picture_is_noticed(results, capsys, values, change):
    folder, _ = ours(results)
    array = np.asarray(Image.open(folder / "astronaut.png")).copy()
    array.reshape(-1)[:values] ^= change
    images.write(Image.fromarray(array), folder / "astronaut.png")
    status, said = again(results, capsys, "--picture", "astronaut")
    assert status == 1 and "DIFFERS: table III, faces, DifFace, its pictures" in said
    assert ("DIFFERS: table III, faces, DifFace, picture astronaut" in said) == (values == 200)


def test_a_touched_score_or_cell_is_noticed(results, capsys):
    _, scores = ours(results)
    table = pd.read_csv(scores / "PSNR.csv")
    table.assign(value=table["value"] + 0.01).to_csv(scores / "PSNR.csv", index=False)
    status, said = again(results, capsys)
    assert status == 1 and said.count("DIFFERS") == 5  # four scores, and their mean is not the table's
    checks = [check for check in verify(results, 12, 0, None) if not isinstance(check, str)]
    assert [str(check).split(":")[0] for check in checks].count("DIFFERS") == 5


def test_a_picture_that_is_its_truth_is_the_same_again(results):
    """Its PSNR is infinite, and infinity less infinity is no number."""
    (row,) = [row for row in rows(results) if row.label == "DifFace"]
    truth = next((results / "data").glob("*/hq/astronaut.png"))
    shutil.copy(truth, row.pictures / "astronaut.png")
    file = row.results / row.told["scores"]["PSNR"]
    table = pd.read_csv(file)
    table.loc[table["name"] == "astronaut", "value"] = np.inf
    table.to_csv(file, index=False)
    with Again() as scratch:
        (check,) = scratch.scores(row, "PSNR", ["astronaut"])
        assert check.holds and check.again == "inf"


def test_another_seed_is_noticed(results, capsys):
    file = ours(results)[0] / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"setting": config["setting"] | {"seed": 1}}))
    status, said = again(results, capsys, "--picture", "astronaut")
    assert status == 1 and re.search(r"DIFFERS: .* picture astronaut: stored a picture, again \d+\.\d dB from it", said)


def test_other_weights_are_noticed(results, capsys, tmp_path, monkeypatch):
    shutil.copytree(profiles.ASSETS / "tiny", tmp_path / "assets" / "tiny")
    monkeypatch.setattr(profiles, "ASSETS", tmp_path / "assets")
    file = tmp_path / "assets" / "tiny" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.bias"] += 0.01
    save_file(weights, file)
    status, said = again(results, capsys)
    assert status == 2 and "the weights of unet have changed" in said and said.count("\n") <= 3


def test_the_first_guess_that_distances_are_to_is_recorded(results, capsys):
    """Also that of the input's row, which no profile made."""
    given = ["again", "III", "input (LQ)", "IndRMSE", "--results", str(results)]
    assert main(given) == 0 and "10 of 10 are the same" in capsys.readouterr().out
    file = results / "table_III.json"
    told = json.loads(file.read_text())
    assert "f(y) of tiny-swinir" in (results / "table_III.md").read_text()
    first = told["guess"] | {"estimator": "srcnn"}
    file.write_text(json.dumps(told | {"guess": first}))
    assert main(given) == 2 and "the weights of swinir have changed since" in capsys.readouterr().err


def test_another_data_set_is_noticed(results, capsys):
    lq = next((results / "data").glob("*/lq/astronaut.png"))
    images.write(Image.open(lq).rotate(90), lq)
    status, said = again(results, capsys)
    assert status == 2 and "have changed: measure the table anew" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["again", "VI", "DifFace", "PSNR"], "has no table VI with its record"),
        (["again", "III", "PULSE", "PSNR"], "no row 'PULSE' whose pictures are made here; it has 'input (LQ)'"),
        (["again", "III", "DifFace", "LPIPS"], "the column 'LPIPS' has no scores"),
        (["again", "III", "DifFace", "PSNR", "--picture", "nobody"], "the picture 'nobody' is not in data/faces"),
    ],
)
def test_what_is_not_there_is_one_line(results, capsys, arguments, said):
    assert main([*arguments, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert said in error and len([line for line in error.splitlines() if line.startswith("error")]) == 1


@pytest.fixture
def records(results):
    """The table without a picture, as eval/results keeps its tables."""
    for file in [*(results / "restored").rglob("*.png"), *(results / "data").rglob("*.png")]:
        file.unlink()
    for folder in [*results.glob("data/*/?q"), *results.glob("data/*/mask")]:
        folder.rmdir()
    return results


def verified(results, capsys, *options) -> tuple[int, str]:
    status = main(["verify", "--results", str(results), *options])
    told = capsys.readouterr()
    return status, told.out + told.err


def test_without_pictures_the_faces_bring_numbers_back(records, capsys):
    status, said = verified(records, capsys, "--data", str(FACES), "--sample", "6")
    assert status == 0 and "DIFFERS" not in said and "note:" not in said
    assert "PSNR of picture" in said and re.search("not checked: .* FD-prior: it takes all pictures", said)
    status, said = again(records, capsys, "--data", str(FACES))
    assert status == 0 and "5 of 5 are the same" in said
    given = ["again", "III", "DifFace", "FD-prior", "--results", str(records), "--data", str(FACES)]
    assert main(given) == 0 and "2 of 2 are the same" in capsys.readouterr().out


def test_without_pictures_or_faces_it_is_said_what_to_give(records, capsys):
    status, said = verified(records, capsys)
    assert status == 2 and said.count("error") == 1
    assert "without pictures, whose faces are not part of it: give the folder of clean faces (--data DIR)" in said


def test_without_pictures_a_touched_score_is_noticed(records, capsys):
    _, scores = ours(records)
    table = pd.read_csv(scores / "PSNR.csv")
    table.assign(value=table["value"] + 0.1).to_csv(scores / "PSNR.csv", index=False)
    status, said = again(records, capsys, "--data", str(FACES))
    assert status == 1 and said.count("DIFFERS") == 5


def test_without_pictures_another_seed_is_noticed(records, capsys):
    file = ours(records)[0] / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"setting": config["setting"] | {"seed": 1}}))
    status, said = again(records, capsys, "--data", str(FACES))
    assert status == 1 and said.count("DIFFERS") >= 3


def test_without_pictures_other_faces_are_noticed(records, capsys, tmp_path):
    shutil.copytree(FACES, tmp_path / "faces")
    images.write(
        Image.open(FACES / "astronaut.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        tmp_path / "faces" / "astronaut.png",
    )
    status, said = again(records, capsys, "--data", str(tmp_path / "faces"))
    assert status == 1 and "has other bytes than the one that was measured" in said
    assert (
        re.search("DIFFERS: .* picture astronaut", said)
        and "same: table III, faces, DifFace, PSNR of picture sample_00" in said
    )


def test_a_reference_that_is_not_given_is_said(results, tmp_path):
    file = results / "table_III.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"reference": "0" * 64}))
    with Again() as scratch:
        (row,) = [row for row in rows(results) if row.label == "DifFace"]
        assert scratch.lacks(row, "PSNR", row.names) is None and "--reference DIR" in scratch.lacks(
            row, "FD-prior", row.names
        )
    with Again(results / "data") as scratch, pytest.raises(ValueError, match="no picture"):
        scratch.lacks(row, "FD-prior", row.names)


def test_the_kept_proof_holds():
    """Tables of samples and the astronaut that are kept with their pictures, made again by today's code and weights."""
    checks = [check for check in verify(PROOF, 6, 0, None) if not isinstance(check, str)]
    assert [str(check) for check in checks if not check.holds] == [] and len(checks) > 40


@pytest.mark.parametrize("number", sorted(file.stem.removeprefix("table_") for file in RESULTS.glob("table_*.json")))
def test_committed_numbers_follow_from_their_scores(number):
    """Every measured number of a committed table is that of the scores beside it (a mean over blocks has none)."""
    table, scratch, of_table = pd.read_csv(RESULTS / f"table_{number}.csv"), Again(), rows(RESULTS, number)
    checks = [scratch.cell(row, metric) for row in of_table for metric in row.told["scores"]]
    assert [str(check) for check in checks if not check.holds] == []
    of_blocks = table[table["data"].isin({row.block for row in of_table})]
    assert len(checks) == of_blocks[[name for name in METRICS if name in table]].notna().to_numpy().sum() > 0


@pytest.mark.usefixtures("onnx")
def test_committed_tables_come_again_from_their_faces(testdata, tmp_path, capsys):
    """Two pictures of them with all their scores, from the portraits on."""
    listed = pd.read_csv(testdata / "portraits" / "split.csv")
    (tmp_path / "photos").mkdir()
    for name in listed.loc[listed["split"] == "test", "file"]:
        shutil.copy(testdata / "portraits" / "jpg" / name, tmp_path / "photos")
    faces = tmp_path / "faces64" / "test"
    assert cli.main(["align", str(tmp_path / "photos"), "-o", str(faces), "--size", "64"]) == 0
    status, said = verified(RESULTS, capsys, "--data", str(faces), "--sample", "2")
    assert status == 0, [line for line in said.splitlines() if "DIFFERS" in line]
    assert said.count(" of picture ") >= 2
