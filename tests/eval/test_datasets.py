"""Test sets: the grid of CelebA-Test, fair samples, resumption, the manifest, and what is refused."""

import csv
import hashlib
import json
import logging
import math
import random
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from difface import files, images
from difface.degradation import Degradation, degrade, grid
from difface.weights import WeightMissing
from eval import datasets
from eval.datasets import build, build_known, build_real, make, name_seed, open_dataset, sampled, synthetic

MIDDLE = Degradation(4, 1, 2, 0.5, 5, 60)


@pytest.fixture
def portraits(tmp_path) -> Path:
    """Five coloured blobs of 64 x 64 pixels, one of them a JPEG."""
    folder = tmp_path / "portraits"
    folder.mkdir()
    for k in range(5):
        coarse = np.random.default_rng(k).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC))
        picture.save(folder / f"face{k}.{'jpg' if k == 3 else 'png'}")
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, but for the lock and temporary ones, with its SHA-256."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


def official_grid() -> list[tuple]:
    """(q, s, delta, sigma_x, theta, sigma_y) as the loops of DifFace's prepare_testing_restoration.py visit them."""
    picker, visited = random.Random(10000), []
    for quality in [30, 40, 50, 60, 70]:
        for scale in [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]:
            for noise in [1, 5, 10, 15, 20]:
                for sigma_x in [4, 8, 12, 16]:
                    for theta in [0, 0.25 * math.pi, 0.5 * math.pi, 0.75 * math.pi]:
                        visited.append((quality, scale, noise, sigma_x, theta, picker.choice([4, 8, 12, 16])))
    return visited


def cell(d: Degradation) -> tuple:
    return d.jpeg_quality, d.scale, d.noise, d.sigma_x, d.theta, d.sigma_y


@pytest.fixture
def planned(monkeypatch) -> list:
    """Lets `build` plan, but makes no picture: the plans that it made."""
    plans = []
    monkeypatch.setattr(synthetic, "make", lambda folder, description, plan, read: plans.append((description, plan)))
    return plans


@pytest.fixture
def celeba(tmp_path) -> Path:
    """4,003 empty files with CelebA-HQ's kind of names, and one that is no PNG."""
    folder = tmp_path / "celeba512"
    folder.mkdir()
    for k in range(4003):
        (folder / f"{k}.png").touch()
    (folder / "00.jpg").touch()
    return folder


def test_celeba_test_is_the_official_one(celeba, planned, tmp_path):
    build("celeba", tmp_path / "set", 512, data=celeba)
    description, plan = planned[0]
    assert [file.name for file, _ in plan] == sorted(f"{k}.png" for k in range(4003))[:4000]
    assert [cell(d) for _, d in plan] == official_grid()
    assert not any(d.grey for _, d in plan)
    assert description["label"] == "4,000 faces of CelebA-Test, Eq. 17 grid at 512 pixels"


def test_a_part_of_celeba_test_has_its_pairs(celeba, planned, tmp_path):
    pairs = dict(zip(sorted(f"{k}.png" for k in range(4003)), official_grid(), strict=False))
    build("celeba", tmp_path / "set", 512, data=celeba, limit=200)
    build("celeba", tmp_path / "set", 512, data=celeba, limit=50)
    many, few = ({file.name: cell(d) for file, d in plan} for _, plan in planned)
    assert len(many) == 200 and len(few) == 50
    assert few.items() <= many.items() <= pairs.items()
    assert {c[0] for c in few.values()} == {30, 40, 50, 60, 70}  # the first 50 have one quality only
    assert planned[0][0]["label"] == "200 faces of CelebA-Test, Eq. 17 grid at 512 pixels, seed 0"


def test_few_faces_get_a_permutation(portraits, tmp_path):
    sets = {seed: build(portraits, tmp_path / f"set{seed}", 64, seed=seed) for seed in (0, 1)}
    for made in sets.values():
        degradations = [item.degradation for item in made.items]
        assert set(degradations) <= set(grid(64)) and len(set(degradations)) == 5
        assert degradations != grid(64)[:5]
    assert [item.degradation for item in sets[0].items] != [item.degradation for item in sets[1].items]
    assert sets[0].name == "portraits"
    assert sets[0].label == "5 faces of portraits, Eq. 17 grid at 64 pixels, seed 0"


def test_pictures_are_the_faces_and_their_degradations(portraits, tmp_path):
    made = build(portraits, tmp_path / "set", 64, degradation=MIDDLE, limit=4)
    assert [item.name for item in made.items] == ["face0", "face1", "face2", "face3"]
    for item, file in zip(made.items, sorted(portraits.iterdir()), strict=False):
        truth = np.asarray(Image.open(file).convert("RGB"))
        assert np.array_equal(np.asarray(Image.open(item.hq)), truth)
        hq = torch.from_numpy(truth.copy()).permute(2, 0, 1) / 255
        noise = torch.Generator().manual_seed(zlib.crc32(f"{item.name}.png".encode()))
        assert np.array_equal(np.asarray(Image.open(item.lq)), images.to_uint8(degrade(hq, MIDDLE, noise)))
        assert item.degradation == MIDDLE
    assert "s = 4, sigma = (1, 2), theta = 0.50, delta = 5, q = 60" in made.label


def test_manifest_holds_every_parameter(portraits, tmp_path):
    made = build(portraits, tmp_path / "set", 64)
    rows = list(csv.DictReader((tmp_path / "set" / "manifest.csv").open()))
    for row, item in zip(rows, made.items, strict=True):
        assert (row["name"], row["hq"], row["lq"]) == (item.name, f"hq/{item.name}.png", f"lq/{item.name}.png")
        assert float(row["theta"]) == item.degradation.theta and int(row["seed"]) == name_seed(item.lq.name)
        for kind in ("hq", "lq"):
            file = tmp_path / "set" / row[kind]
            assert row[f"{kind}_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    description = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert (description["source"], description["limit"], description["seed"]) == ("folder", 5, 0)


@pytest.mark.parametrize("degradation", [None, Degradation(2.5, 0.3, 0, 1 / 3, 7.1, 33, grey=True)])
def test_round_trip_also_of_a_moved_set(portraits, tmp_path, degradation):
    made = build(portraits, tmp_path / "set", 64, degradation=degradation)
    assert open_dataset(tmp_path / "set") == made
    shutil.move(tmp_path / "set", tmp_path / "moved")
    moved = open_dataset(tmp_path / "moved")
    assert [item.degradation for item in moved.items] == [item.degradation for item in made.items]
    assert all(item.hq.is_file() and item.lq.parent == tmp_path / "moved" / "lq" for item in moved.items)


@pytest.mark.parametrize("calls", [0, 1, 2, 7, 11])
def test_an_interrupted_build_ends_in_the_same_files(portraits, tmp_path, monkeypatch, calls):
    """The power fails while the file after `calls` others is put into place, and leaves its temporary file behind."""
    build(portraits, tmp_path / "whole", 64)
    left, enter = [calls], files.whole_file.__enter__

    def fail(self):
        temporary = enter(self)
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return temporary

    with monkeypatch.context() as patch:
        patch.setattr(files.whole_file, "__enter__", fail)
        with pytest.raises(KeyboardInterrupt):
            build(portraits, tmp_path / "set", 64)
    assert list((tmp_path / "set").rglob(".*.part"))
    with pytest.raises(ValueError, match="no finished dataset"):
        open_dataset(tmp_path / "set")
    if calls:  # before the first file nothing says whose the folder is
        with pytest.raises(ValueError, match="another dataset"):
            build(portraits, tmp_path / "set", 64, seed=1)
    build(portraits, tmp_path / "set", 64)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_missing_files_are_made_again_and_others_left(portraits, tmp_path):
    folder = tmp_path / "set"
    build(portraits, folder, 64)
    before, times = contents(folder), {file: file.stat().st_mtime_ns for file in folder.rglob("*.png")}
    lost = [folder / "hq/face1.png", folder / "lq/face1.png", folder / "hq/face2.png", folder / "lq/face4.png"]
    for file in lost:
        file.unlink()
    with pytest.raises(ValueError, match=r"face1\.png is in the manifest but not there"):
        open_dataset(folder)
    build(portraits, folder, 64)
    assert contents(folder) == before
    assert all(file.stat().st_mtime_ns == time for file, time in times.items() if file not in lost)


def test_a_finished_set_is_not_made_again(portraits, tmp_path, monkeypatch):
    made = build(portraits, tmp_path / "set", 64)
    monkeypatch.setattr(make, "_write", lambda *arguments: 1 / 0)
    monkeypatch.setattr(make, "write_manifest", lambda *arguments: 1 / 0)
    assert build(portraits, tmp_path / "set", 64) == made


@pytest.mark.parametrize(
    ("changes", "key"), [({"seed": 1}, "seed"), ({"limit": 3}, "limit"), ({"degradation": MIDDLE}, "degradation")]
)
def test_another_set_in_the_folder_is_refused(portraits, tmp_path, changes, key):
    build(portraits, tmp_path / "set", 64)
    before = contents(tmp_path / "set")
    with pytest.raises(ValueError, match="holds another dataset .*use another folder"):
        build(portraits, tmp_path / "set", 64, **changes)
    assert contents(tmp_path / "set") == before


def test_unfit_input_is_refused_in_one_line(portraits, celeba, tmp_path):
    (tmp_path / "foreign" / "lq").mkdir(parents=True)
    for message, arguments, options in [
        ("the source 'nowhere' is unknown; sampled, celeba or a folder", ("nowhere", tmp_path / "a", 64), {}),
        ("`limit` must be a number of pictures from 1; got 0", (portraits, tmp_path / "a", 64), {"limit": 0}),
        ("sizes 512, 256, 128, 64; got 32", (portraits, tmp_path / "a", 32), {}),
        ("CelebA-Test has 512 pixels; got 64", ("celeba", tmp_path / "a", 64), {"data": celeba}),
        ("pass `data`", ("celeba", tmp_path / "a", 512), {}),
        ("holds 4 PNG files; .* first 4,000", ("celeba", tmp_path / "a", 512), {"data": portraits}),
        ("draws faces of 64 pixels; got 512", ("sampled", tmp_path / "a", 512), {}),
        ("lq that no dataset made", (portraits, tmp_path / "foreign", 64), {}),
        (r"64x64 pixels; aligned faces of 256x256 .*`.* align .* --size 256`", (portraits, tmp_path / "b", 256), {}),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message) as caught:
            build(*arguments, **options)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()
    shutil.copy(portraits / "face0.png", portraits / "face3.png")
    with pytest.raises(ValueError, match=r"face3.jpg and .*face3.png would both become"):
        build(portraits, tmp_path / "a", 64)


def test_sampled_faces_come_from_the_cache_and_are_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    drawn = []

    def draw(first: int) -> list[Image.Image]:
        drawn.append(first)
        return [Image.new("RGB", (64, 64), (k, 128, 0)) for k in range(first, first + sampled.BLOCK)]

    monkeypatch.setattr(sampled, "_draw", draw)
    made = build("sampled", tmp_path / "set", 64, limit=10)
    assert drawn == [0, 8]
    assert [Image.open(item.hq).getpixel((0, 0))[0] for item in made.items] == list(range(10))
    assert made.label == "10 faces sampled from the embedded prior, Eq. 17 grid at 64 pixels, seed 0"
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["weights"] == sampled.version()
    assert len(build("sampled", tmp_path / "other", 64, degradation=MIDDLE, limit=16).items) == 16
    assert drawn == [0, 8]
    (tmp_path / "set" / "hq" / "sample_0009.png").unlink()
    (tmp_path / "cache" / "sampled" / sampled.version() / "sample_0009.png").unlink()
    build("sampled", tmp_path / "set", 64, limit=10)
    assert drawn == [0, 8, 8]


def test_a_face_is_that_of_its_seed(tiny, monkeypatch):
    monkeypatch.setattr(sampled, "STEPS", 2)
    monkeypatch.setattr(sampled, "BLOCK", 2)
    alone = tiny.sample(1, 2, eta=1, generator=torch.Generator().manual_seed(3)).images[0]
    assert abs(np.asarray(sampled._draw(2)[1], int) - np.asarray(alone, int)).max() <= 1


def test_the_digest_is_of_the_pictures(portraits, tmp_path):
    made = build(portraits, tmp_path / "set", 64)
    assert build(portraits, tmp_path / "same", 64).digest == made.digest
    assert build(portraits, tmp_path / "other", 64, seed=1).digest != made.digest
    for kind in ("lq", "hq"):
        images.write(Image.new("RGB", (64, 64)), tmp_path / "same" / kind / "face0.png")
        assert open_dataset(tmp_path / "same").digest != made.digest


def test_generators_are_those_of_the_names():
    values = {name: torch.rand(4, generator=datasets.generator_of(name)).tolist() for name in ("a", "b", "a.png")}
    assert len(set(map(tuple, values.values()))) == 3
    assert torch.rand(4, generator=torch.Generator().manual_seed(zlib.crc32(b"a"))).tolist() == values["a"]


def test_real_photos(portraits, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        made = build_real(portraits, tmp_path / "set", 64)
    assert not caplog.records
    assert made.name == "portraits" and made.label == "5 real photos of portraits"
    assert all(item.hq is None and item.degradation is None for item in made.items)
    for item, file in zip(made.items, sorted(portraits.iterdir()), strict=True):
        assert np.array_equal(np.asarray(Image.open(item.lq)), np.asarray(Image.open(file).convert("RGB")))
    assert open_dataset(tmp_path / "set") == made
    assert not (tmp_path / "set" / "hq").exists()
    with pytest.raises(ValueError, match="another dataset"):
        build(portraits, tmp_path / "set", 64)


@pytest.mark.parametrize(("name", "count"), [("lfw", 1711), ("webphoto", 407), ("wider", 970)])
def test_other_counts_than_the_papers_are_told(portraits, tmp_path, caplog, name, count):
    made = build_real(portraits, tmp_path / "set", 64, name=name, limit=2)
    assert len(made.items) == 2 and made.name == name
    assert (
        len(caplog.records) == 1 and f"holds 5 pictures; {datasets.REAL_WORLD[name].title} has {count}" in caplog.text
    )


def test_unknown_real_world_sets_are_refused(portraits, tmp_path):
    with pytest.raises(ValueError, match="'celebchild' is unknown; lfw, webphoto, wider"):
        build_real(portraits, tmp_path / "set", 64, name="celebchild")


def test_ffhq_statistics_are_looked_for_among_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightMissing, match="inception_FFHQ_512-f7b384ab.pth .*Google Drive"):
        datasets.ffhq_statistics(512)
    file = tmp_path / "inception_FFHQ_256-0948f50d.pth"
    torch.save({"mean": torch.zeros(2048)}, file)
    assert datasets.ffhq_statistics(256) == file
    with pytest.raises(ValueError, match="sizes 512, 256; got 64"):
        datasets.ffhq_statistics(64)


def test_other_faces_of_the_same_names_are_another_set(portraits, tmp_path):
    for make_it in (build, build_real, lambda *given: build_known(*given, "grey")):
        folder = tmp_path / f"set{len(list(tmp_path.iterdir()))}"
        made = make_it(portraits, folder, 64)
        assert make_it(portraits, folder, 64).digest == made.digest
        with Image.open(portraits / "face0.png") as face:
            before = face.copy()
        ImageOps.invert(before).save(portraits / "face0.png")
        with pytest.raises(ValueError, match="another dataset"):
            make_it(portraits, folder, 64)
        before.save(portraits / "face0.png")
