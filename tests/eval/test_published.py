"""What others printed: the file is whole, and a protocol adds its columns and numbers to a table."""

import pandas as pd
import pytest

from eval import paper, published
from eval.cli import main
from eval.metrics import METRICS
from eval.tables import definitions, ntire
from eval.tables.build import Cell, _below, _of_parts


@pytest.mark.parametrize("name", published.protocols())
def test_a_protocol_is_whole(name):
    told = published.protocol(name)
    assert told["title"] and told["source"] and told["differs"].strip().endswith(".")
    assert set(told["measured"]) <= {*METRICS, ntire.SCORE, ntire.BELOW} and len(told["measured"]) == len(
        set(told["measured"])
    )
    for table in told["tables"].values():
        assert all(len(values) == len(table["columns"]) for values in table["rows"].values())
        assert any(method.startswith("DifFace") for method in table["rows"])
    text = published.markdown(name)
    assert all(f"| {method} |" in text for table in told["tables"].values() for method in table["rows"])


def test_difface_is_printed_with_three_fids():
    """48.98 in the paper's Table III, 38.43 by PMRF, 49.81 by OSDFace."""
    found = {paper.value("III", "DifFace", "FID-F", None)}
    for name, column in (("pmrf", "FID (torch-fidelity)"), ("osdface", "FID-F")):
        table = published.protocol(name)["tables"]["CelebA-Test"]
        (row,) = [row for method, row in table["rows"].items() if method.startswith("DifFace")]
        found.add(row[table["columns"].index(column)])
    assert found == {48.98, 38.43, 49.81}


def test_a_column_of_another_definition_has_another_name():
    """What a protocol defines as the paper does keeps the paper's name; VQFR scores the first 3,000 by default."""
    assert "FID-F" not in published.columns("vqfr") and "FID-F (first 3,000)" in published.columns("vqfr")
    for name, plain in (("vqfr", {"PSNR", "SSIM", "FID-F"}), ("pmrf", {"SSIM"})):
        assert not plain & set(published.columns(name))
    printed = published.protocol("pmrf")["tables"]["CelebA-Test"]["columns"]
    assert not {"FID", "KID", "NIQE", "precision", "SSIM"} & set(printed) and {"PSNR", "LPIPS", "Deg", "LMD"} < set(
        printed
    )


def test_a_protocol_adds_columns_by_their_names(tmp_path, face, capsys):
    given = ["--data", str(face.parent), "--methods", "none", "--steps", "20", "--device", "cpu", "-o", str(tmp_path)]
    assert main(["table", "III", *given, "--protocol", "vqfr"]) == 0
    text = (tmp_path / "table_III.md").read_text()
    assert "PSNR (colours matched) ↑" in text and "SSIM (RGB) ↑" in text and "protocol of VQFR" in text
    assert "- FID-F (first 3,000): " in text  # no statistics here, and no other FID in its place
    named = set(pd.read_csv(tmp_path / "table_III.csv").columns)
    assert {"PSNR", "PSNR (colours matched)", "SSIM (RGB)", "FID-F", "FID-F (first 3,000)"} <= named
    assert published.markdown("paper") == "" and definitions.Options().columns == ()
    assert main(["table", "III", *given, "--protocol", "mine"]) == 2
    assert "the protocol 'mine' is unknown; paper, vqfr, pmrf, osdface, ntire are accepted" in capsys.readouterr().err


def test_the_score_of_ntire_is_made_of_the_other_columns(tmp_path, face):
    """CodeFormer's row of the challenge's own baseline would be such a sum; here numbers that add up by hand."""
    values = {"CLIP-IQA": 0.5, "MANIQA": 0.25, "MUSIQ": 50.0, "NIQE": 5.0, "Q-Align": 2.5, "FID-F": 75.0}
    assert _of_parts([Cell(values[name]) for name in ntire.PARTS]).value == pytest.approx(
        0.5 + 0.25 + 0.5 + 0.5 + 0.5 + 0.25
    )
    worse = values | {"NIQE": 25.0, "FID-F": 300.0}  # what is worse than the scale counts as nothing, not as a loss
    assert _of_parts([Cell(worse[name]) for name in ntire.PARTS]).value == pytest.approx(0.5 + 0.25 + 0.5 + 0.5)
    lacking = [Cell(values[name]) if name != "Q-Align" else Cell(reason="Q-Align: not here") for name in ntire.PARTS]
    assert _of_parts(lacking).value is None and "Q-Align: not here" in _of_parts(lacking).reason

    given = ["--data", str(face.parent), "--methods", "none", "--steps", "20", "--device", "cpu", "-o", str(tmp_path)]
    assert main(["table", "III", *given, "--protocol", "ntire"]) == 0
    text = (tmp_path / "table_III.md").read_text()
    assert "- NTIRE score: is made of CLIP-IQA" in text and "protocol of the NTIRE 2025" in text
    assert "adaface_ir50_ms1mv2.ckpt" in text  # what the filter lacks


def test_the_filter_of_ntire_counts_by_the_limit_of_the_set():
    """Three of five below 0.6, one below 0.3; a cosine that is the limit is not below it."""
    cosines = [0.6, 0.59, 0.31, 0.29, 0.9]
    assert [_below(Cell(0.5), cosines, name).value for name in ("lfw", "CelebChild-Test", "wider")] == [3, 3, 1]
    assert "the challenge has one for celeba" in _below(Cell(0.5), cosines, "sampled").reason
    assert _below(Cell(reason="AdaFace cosine: needs a file"), (), "lfw").reason == "AdaFace cosine: needs a file"
