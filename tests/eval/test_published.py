"""What others printed: the file is whole, and a protocol adds its columns and numbers to a table."""

import pytest

from eval import paper, published
from eval.cli import main
from eval.metrics import METRICS
from eval.tables import definitions


@pytest.mark.parametrize("name", published.protocols())
def test_a_protocol_is_whole(name):
    told = published.protocol(name)
    assert told["title"] and told["source"] and told["differs"].strip().endswith(".")
    assert set(told["measured"]) <= set(METRICS) and len(told["measured"]) == len(set(told["measured"]))
    for table in told["tables"].values():
        assert all(len(values) == len(table["columns"]) for values in table["rows"].values())
        assert any(method.startswith("DifFace") for method in table["rows"])
    text = published.markdown(name)
    assert all(f"| {method} |" in text for table in told["tables"].values() for method in table["rows"])


def test_difface_is_printed_with_three_fids():
    """48.98 in the paper's Table III, 38.43 by PMRF, 49.81 by OSDFace."""
    found = {paper.value("III", "DifFace", "FID-F", None)}
    for name, column in (("pmrf", "FID"), ("osdface", "FID-F")):
        table = published.protocol(name)["tables"]["CelebA-Test"]
        (row,) = [row for method, row in table["rows"].items() if method.startswith("DifFace")]
        found.add(row[table["columns"].index(column)])
    assert found == {48.98, 38.43, 49.81}


def test_a_protocol_adds_columns_by_their_names(tmp_path, face, capsys):
    given = ["--data", str(face.parent), "--methods", "none", "--steps", "20", "--device", "cpu", "-o", str(tmp_path)]
    assert main(["table", "III", *given, "--protocol", "vqfr"]) == 0
    text = (tmp_path / "table_III.md").read_text()
    assert "PSNR (colours matched) ↑" in text and "SSIM (RGB) ↑" in text and "protocol of VQFR" in text
    assert published.markdown("paper") == "" and definitions.Options().columns == ()
    assert main(["table", "III", *given, "--protocol", "mine"]) == 2
    assert "the protocol 'mine' is unknown; paper, vqfr, pmrf, osdface are accepted" in capsys.readouterr().err
