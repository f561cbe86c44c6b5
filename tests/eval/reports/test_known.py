"""Known degradations in the evaluation: sets, agreement with the input, Tables VI, VII, X and XI, their measures."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch.nn import functional

from difface import FaceEstimator, images, masks, profiles
from difface.models.estimator import LAMA_256
from eval import paper
from eval.cli import main
from eval.datasets import KINDS, BlockMeans, Grey, build, build_known, generator_of, open_dataset
from eval.metrics import HolePSNR
from eval.reports.known import Finding, markdown, report
from eval.reports.study import Study
from eval.run import Runner
from eval.seams import across_border, inside_hole
from eval.settings import Agreement, FolderMethod, Setting
from eval.tables import definitions
from eval.tables.data import datasets

QUICK = dict(estimator="srcnn", begin_index=250, steps=20)


@pytest.fixture
def faces(tmp_path, astronaut_face) -> Path:
    """Three aligned faces."""
    folder = tmp_path / "faces"
    dark = ImageEnhance.Brightness(astronaut_face).enhance(0.7)
    for k, face in enumerate([astronaut_face, ImageOps.mirror(astronaut_face), dark]):
        images.write(face, folder / f"face_{k}.png")
    return folder


@pytest.fixture
def lama(tmp_path, monkeypatch) -> None:
    """An untrained inpainting estimator in the embedded profile."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = FaceEstimator("lama", LAMA_256 | {"ngf": 4, "n_downsampling": 2, "n_blocks": 1})
    net.save_pretrained(tmp_path / "lama", safe_serialization=True)
    able = replace(profiles.PROFILES["tiny"], inpainting={"lama": lambda: tmp_path / "lama"})
    monkeypatch.setitem(profiles.PROFILES, "tiny", able)


def levels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"), int)


def inpainting(**agreement) -> Setting:
    return Setting("tiny", "lama", 480, steps=10, eta=1.0, agreement=Agreement(**agreement))


@pytest.mark.parametrize("kind", masks.MASKS)
def test_a_set_of_masks_is_whole_and_reads_back(tmp_path, faces, kind) -> None:
    made = build_known(faces, tmp_path / "set", 64, kind)
    assert made == open_dataset(tmp_path / "set") and len(made.items) == 3
    for item in made.items:
        hole = levels(item.mask)[..., 0]
        assert set(np.unique(hole)) == {0, 255}
        assert np.array_equal(levels(item.lq), np.where(hole[..., None] == 255, 0, levels(item.hq)))
        assert item.degradation == masks.MASKS[kind](generator_of(f"{item.name} {kind}"))
    with (tmp_path / "set" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(row["known"])["kind"] for row in rows] == [kind] * 3 and len(rows[0]["mask_sha256"]) == 64
    made.items[0].mask.unlink()
    with pytest.raises(ValueError, match="is in the manifest but not there"):
        open_dataset(tmp_path / "set")
    assert build_known(faces, tmp_path / "set", 64, kind) == made


def test_a_set_of_small_pictures_and_a_grey_one(tmp_path, faces) -> None:
    small = build_known(faces, tmp_path / "small", 64, "x8")
    for item in small.items:
        means = levels(item.hq).reshape(8, 8, 8, 8, 3).mean((1, 3))
        assert np.abs(levels(item.lq) - means.repeat(8, 0).repeat(8, 1)).max() <= 0.501
        assert item.degradation == BlockMeans(8) and item.mask is None
    grey = build_known(faces, tmp_path / "grey", 64, "grey")
    for item in grey.items:
        luminance = levels(item.hq) @ (0.299, 0.587, 0.114)
        assert np.abs(levels(item.lq) - luminance[..., None]).max() <= 0.501
        assert item.degradation == Grey()
    with pytest.raises(ValueError, match="the kind 'x3' is unknown"):
        build_known(faces, tmp_path / "x3", 64, "x3")
    with pytest.raises(ValueError, match="holds another dataset"):
        build_known(faces, tmp_path / "small", 64, "x16")


def test_another_mask_is_another_set(tmp_path, faces) -> None:
    """Even where the input is the same: a hole in a black part of a picture."""
    for face in faces.iterdir():
        Image.new("RGB", (64, 64)).save(face)
    one, two = (build_known(faces, tmp_path / kind, 64, kind) for kind in ("box", "expand"))
    assert one.items[0].lq.read_bytes() == two.items[0].lq.read_bytes() and one.digest != two.digest


def test_the_official_set_has_500_of_each_kind(tmp_path) -> None:
    source = tmp_path / "celeba"
    source.mkdir()
    content = b"".join(
        (tmp_path / "face.png").read_bytes() for _ in [Image.new("RGB", (8, 8)).save(tmp_path / "face.png")]
    )
    for k in range(2000):
        (source / f"{k:04d}.png").write_bytes(content)
    made = build_known("celeba", tmp_path / "half", 8, "half", data=source, limit=4)
    planned = masks.plan(sorted(source.iterdir()))[1500:1504]
    assert [(item.name, item.degradation) for item in made.items] == [(file.stem, mask) for file, mask in planned]


def test_the_record_of_a_blind_setting_is_as_it_was() -> None:
    """What was measured before settings could agree with their input is found again."""
    record = Setting(**QUICK).record()
    assert list(record) == [
        *("profile", "estimator", "begin_index", "scheduler", "steps", "eta", "official_start", "weights")
    ]
    assert Setting(**QUICK).name == "tiny-difface-srcnn-N250-ddim20-eta0.5"
    knowing = replace(Setting(**QUICK), agreement=Agreement(0.2, composite=False))
    assert knowing.record()["agreement"] == {"gamma": 0.2, "composite": False}
    assert knowing.name.endswith("-known0.2-unpasted")


def test_known_pixels_are_the_inputs_own(tmp_path, faces, lama) -> None:
    dataset = build_known(faces, tmp_path / "set", 64, "irregular")
    runner = Runner(tmp_path / "out", "cpu", batch=2)
    settings = {
        "f(y)": replace(inpainting(), begin_index=None),
        "default": inpainting(),
        "gamma 0": inpainting(gamma=0),
    }
    bare = inpainting(composite=False), inpainting(gamma=0, composite=False)
    runner.evaluate(dataset, [*settings.values(), *bare], ["PSNR in hole", "PSNR"])
    for item in dataset.items:
        known = levels(item.mask)[..., 0] == 0
        found = {name: levels(runner.pictures(dataset, each) / f"{item.name}.png") for name, each in settings.items()}
        for answer in found.values():
            assert np.array_equal(answer[known], levels(item.hq)[known])
        assert not np.array_equal(found["default"], found["gamma 0"])
        exact, free = (levels(runner.pictures(dataset, each) / f"{item.name}.png") for each in bare)
        assert np.array_equal(exact[known], levels(item.hq)[known])
        assert np.abs(free - levels(item.hq))[known].mean() > 3
        error = (((found["default"] - levels(item.hq)) / 255)[~known] ** 2).mean()
        measured = runner.scores(dataset, settings["default"], "PSNR in hole").values[item.name]
        assert measured == pytest.approx(-10 * np.log10(error), abs=1e-6)


def test_block_means_and_luminance_are_kept(tmp_path, faces) -> None:
    runner = Runner(tmp_path / "out", "cpu", batch=2)
    setting = Setting(**QUICK, agreement=Agreement())
    small = build_known(faces, tmp_path / "small", 64, "x4")
    grey = build_known(faces, tmp_path / "grey", 64, "grey")
    for dataset in (small, grey):
        runner.evaluate(dataset, [setting, Setting(**QUICK)], [])
        for item in dataset.items:
            agreeing, blind = (
                levels(runner.pictures(dataset, each) / f"{item.name}.png") for each in (setting, Setting(**QUICK))
            )
            if dataset is small:
                agreed, other, wanted = (
                    x.reshape(16, 4, 16, 4, 3).mean((1, 3)) for x in (agreeing, blind, levels(item.lq))
                )
            else:
                agreed, other, wanted = (x @ (0.299, 0.587, 0.114) for x in (agreeing, blind, levels(item.lq)))
            # of 255 levels: rounding alone leaves 0.3 at most, and clipping a little more in a nearly black block
            assert np.sqrt(np.mean((agreed - wanted) ** 2)) < 0.5 < np.sqrt(np.mean((other - wanted) ** 2))


def test_a_setting_that_agrees_needs_a_known_degradation(tmp_path, faces) -> None:
    dataset = build(faces, tmp_path / "set", 64)
    with pytest.raises(ValueError, match="inputs of a known degradation"):
        Runner(tmp_path / "out", "cpu").evaluate(dataset, [Setting(**QUICK, agreement=Agreement())], [])


def test_psnr_in_the_hole_has_no_meaning_without_one(tmp_path, faces) -> None:
    dataset, runner = build(faces, tmp_path / "set", 64), Runner(tmp_path / "out", "cpu")
    runner.evaluate(dataset, [Setting()], ["PSNR in hole"])
    assert "has no masks" in runner.scores(dataset, Setting(), "PSNR in hole").reason
    with pytest.raises(ValueError, match="a missing pixel in every mask"):
        HolePSNR().update(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))


def test_seams_of_known_pictures() -> None:
    """A step of 0.5 at the border of a hole whose pixels rise by 0.1 to the right, in a flat picture."""
    picture, mask = torch.full((1, 3, 10, 10), 0.2), torch.zeros(1, 1, 10, 10)
    mask[..., 5:] = 1
    picture[..., 5:] = 0.7 + 0.05 * torch.arange(5)
    assert across_border(picture, mask) == pytest.approx(0.5, abs=1e-6)
    assert inside_hole(picture, mask) == pytest.approx(0.05 * 40 / (40 + 45), abs=1e-6)  # pairs beside, and below


@pytest.mark.parametrize("number", definitions.KINDS)
def test_a_table_runs_and_is_repeated_from_what_is_there(number, tmp_path, faces, lama, monkeypatch, capsys) -> None:
    folder = ["--data", str(faces), "--steps", "10", "--limit", "2", "--device", "cpu", "-o", str(tmp_path / "out")]
    blocks = list(definitions.KINDS[number].values())
    for kind in blocks:
        for k in range(2):
            inverted = ImageOps.invert(images.read(faces / f"face_{k}.png"))
            images.write(inverted, tmp_path / "peer" / kind / f"face_{k}.png")
    given = ["--methods", "none"] if number in ("VII", "XI") else ["--methods", f"peer={tmp_path / 'peer'}"]
    assert main(["table", number, *folder, *given]) == 0, capsys.readouterr().err
    table = pd.read_csv(tmp_path / "out" / f"table_{number}.csv")
    ours = table[table.method == "DifFace"]
    offline = {"VI": "PSNR in hole", "VII": "Runtime"}.get(number, "PSNR")
    assert ours[offline].notna().all() and len(ours) == len(blocks) + (number in definitions.AVERAGE)
    if number in ("VI", "X"):
        assert (table[table.method == "peer"][offline] < ours[offline].values).all()
    if number == "VI":
        parts, mean = ours["PSNR in hole"].iloc[:4], ours["PSNR in hole"].iloc[4]
        assert mean == pytest.approx(parts.mean()) and list(ours["data"]) == [b.name for b in paper.table("VI").blocks]
        assert ours["paper LPIPS"].iloc[4] == paper.value("VI", "DifFace", "LPIPS", "Average")
    if number == "XI":
        assert "ImageNet" not in (tmp_path / "out" / "table_XI.md").read_text().partition("**Printed")[0]
    monkeypatch.setattr(Setting, "method", lambda *_: pytest.fail("restored again"))
    before = (tmp_path / "out" / f"table_{number}.csv").read_bytes()
    assert main(["table", number, *folder, *given]) == 0
    assert (tmp_path / "out" / f"table_{number}.csv").read_bytes() == before


def test_without_an_inpainting_estimator_the_row_says_so(monkeypatch) -> None:
    monkeypatch.setitem(profiles.PROFILES, "tiny", replace(profiles.PROFILES["tiny"], inpainting={}))
    row = definitions.rows("VI", definitions.Options())[-1]
    assert row.label == "DifFace" and row.method is None and "--task inpaint" in row.reason


@pytest.mark.parametrize("number", ["VI", "VII"])
def test_inpainting_is_that_of_the_released_configuration(number) -> None:
    """eta 1, from t = 480, the rule "step" with gamma 0.5 (as the paper's printed rows)."""
    chains = [row.method for row in definitions.rows(number, definitions.Options()) if row.label == "DifFace"]
    printed = paper.table(number).setting
    assert [(one.eta, one.begin_index, one.steps) for one in chains] == [(1, 480, 250)]
    assert (printed.eta, printed.begin_index, printed.steps) == (1, 480, 250)
    assert chains[0].agreement == Agreement(gamma=0.5, composite=True)


def test_folders_of_kinds(tmp_path) -> None:
    (tmp_path / "box").mkdir()
    assert FolderMethod("RePaint", tmp_path).within("Box").folder == tmp_path / "box"
    assert FolderMethod("RePaint", tmp_path).within("Half").folder == tmp_path
    assert FolderMethod("RePaint", tmp_path).within(None).folder == tmp_path


def test_data_that_cannot_be(tmp_path, faces) -> None:
    for specs, scale, said in (
        ([f"lfw={faces}"], None, "--data must be"),
        ([str(faces), "sampled"], None, "one --data"),
        (["sampled"], 4.0, "no --scale"),
    ):
        with pytest.raises(ValueError, match=said):
            datasets("X", specs, tmp_path, "tiny", None, scale)


def test_the_report_finds_what_holds_by_construction(tmp_path, faces, lama) -> None:
    given = {"study": Study(faces, faces, tmp_path / "out", limit=2), "output": tmp_path / "told", "steps": 10}
    table = report(**given)
    assert set(table.task) == {*masks.MASKS, "grey", "x4"} <= set(KINDS)
    for what in ("two seeds: largest difference elsewhere", "two seeds: mean difference in the hole"):
        assert table[table.what == what].met.all()
    assert table[table.what.str.startswith("largest error of luminance")].met.all()
    least = table[(table.task == "x4") & table.what.str.contains("least")]
    assert least.met.all()
    again = report(**given)
    pd.testing.assert_frame_equal(table, again)
    item = open_dataset(tmp_path / "out" / "data" / "faces-64-2-x4").items[0]
    folder = next((tmp_path / "out" / "restored").glob("faces-x4/*known*"))
    result, wanted = (
        functional.avg_pool2d(images.to_tensors(images.read(file))[0].double(), 4)
        for file in (folder / f"{item.name}.png", item.lq)
    )
    assert -10 * (result - wanted).square().mean().log10() >= least.value.item() - 0.01


def test_findings_are_judged() -> None:
    given = [Finding("box", "a", 1.2, most=1.15), Finding("box", "b", 0.9, least=0.8), Finding("box", "c", 3.0)]
    lacking = Finding("box", "d", None, least=1, reason="no weights")
    assert [finding.met for finding in (*given, lacking)] == [False, True, None, None]
    text = markdown(pd.DataFrame([vars(one) | {"met": one.met} for one in (*given, lacking)]))
    assert "| box | a | 1.2 | ≤ 1.15 | no |" in text and "| box | b | 0.9 | ≥ 0.8 | yes |" in text
    assert "n/a: no weights" in text
