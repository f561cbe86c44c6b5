"""The page's server, as `python app.py` starts it, spoken to over its API."""

import json
import re
import struct
import sys
import time
import urllib.request
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from difface import DifFacePipeline, build_scheduler, images, metadata
from difface.certainty import spread

gradio_client = pytest.importorskip("gradio_client")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def client(server):
    return gradio_client.Client(server[0], verbose=False, analytics_enabled=False)


@pytest.fixture(scope="module")
def upload(astronaut_face, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("uploads") / "someone.png"
    astronaut_face.resize((90, 110)).save(path)
    return path


BEFORE_AND_AFTER, SEEN, ESTIMATE, SUMMARY, FILE, FILES = range(6)
"""What /restore returns."""


def call(client, name: str, **fields):
    """An endpoint's answer; paths are uploaded."""
    sent = {
        key: gradio_client.handle_file(value) if isinstance(value, Path) else value for key, value in fields.items()
    }
    return client.predict(api_name=name, **sent)


def restore(client, path: Path | None, **settings) -> tuple:
    return call(client, "/restore", face=path, **{"aligned": True} | settings)


def refusal(client, name: str, **fields) -> str:
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        call(client, name, **fields)
    return str(caught.value)


@pytest.fixture(scope="module")
def first(client, upload) -> tuple:
    return restore(client, upload, seed=7, start=300)


def test_result_has_the_size_of_the_upload_and_says_what_made_it(first):
    result = Image.open(first[FILE])
    assert Path(first[FILE]).name == "someone_restored.png"
    assert result.size == (90, 110)
    assert {Image.open(picture).size for picture in (*first[BEFORE_AND_AFTER], first[ESTIMATE])} == {(512, 512)}
    assert Image.open(first[SEEN]).crop((0, 0, 8, 8)).getextrema() == tuple(
        (value, value) for value in Image.open(first[SEEN]).getpixel((0, 0))
    )  # one pixel of the model's
    assert "AI-restored" in result.text["Comment"]
    settings = json.loads(result.text["difface"])
    assert (settings["profile"], settings["seed"], settings["begin_index"], settings["calls"]) == ("tiny", 7, 300, 5)
    assert "5 network calls from N = 300" in first[SUMMARY]
    assert "64 × 64 pixels" in first[SUMMARY]


def test_other_files_of_a_result_say_what_it_is_too(first):
    paths = [Path(file) for file in first[FILES]]
    endings = ("_512.png", "_512.jpg", "_side_by_side.jpg", "_steps.gif")
    assert [path.name for path in paths] == [f"someone_restored{end}" for end in endings]
    png, jpeg, pair, moving = (Image.open(path) for path in paths)
    assert png.size == jpeg.size == (512, 512) and pair.size == (1032, 512) and moving.size == (256, 256)
    assert moving.n_frames == 6  # before, four steps, after
    for picture in (png, jpeg, pair):
        assert "AI-restored" in metadata.text_of(picture)["Comment"]
    assert json.loads(json.loads(moving.info["comment"])["difface"])["seed"] == 7
    left = np.asarray(pair.convert("RGB").crop((0, 0, 512, 512))).astype(int)
    assert np.abs(left - np.asarray(Image.open(first[BEFORE_AND_AFTER][0]).convert("RGB"))).mean() < 3


def test_same_seed_same_bytes_other_seed_other_bytes(client, upload, first):
    again = restore(client, upload, seed=7, start=300)
    assert Path(again[FILE]).read_bytes() == Path(first[FILE]).read_bytes()
    other = restore(client, upload, seed=8, start=300)
    assert Image.open(other[FILE]).tobytes() != Image.open(first[FILE]).tobytes()


def test_result_is_the_pipelines(first, upload, tiny):
    pipeline = DifFacePipeline(**tiny.components | {"scheduler": build_scheduler("dpm++")}, begin_index=300)
    wanted = pipeline(images.read(upload), generator=torch.Generator().manual_seed(7)).images[0]
    pairs = zip(Image.open(first[FILE]).tobytes(), wanted.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 1


@pytest.mark.parametrize(
    "settings", [{"scheduler": "ddim", "steps": 20, "eta": 1.0}, {"scheduler": "unipc"}, {"estimator": "srcnn"}]
)
def test_other_settings(client, upload, settings):
    text = json.loads(Image.open(restore(client, upload, **settings)[FILE]).text["difface"])
    assert text["eta"] == settings.get("eta")
    assert text["sampler"] == settings.get("scheduler", "dpm++")
    assert text["estimator"] == settings.get("estimator", "swinir")


def test_eta_is_for_ddim_only(client, upload):
    assert "`eta` needs DDIM" in refusal(client, "/restore", face=upload, eta=0.9)


def test_ddim_takes_divisors_of_1000_only(client, upload):
    assert "DDIM steps is 30; one of 20, 50, 100" in refusal(
        client, "/restore", face=upload, scheduler="ddim", steps=30
    )


def test_a_run_can_be_followed_and_cancelled_and_the_next_is_served(client, upload, first):
    face = gradio_client.handle_file(upload)
    job = client.submit(face=face, aligned=True, scheduler="ddim", steps=1000, start=1000, api_name="/restore")
    for _ in range(200):
        time.sleep(0.1)
        if len(job.outputs()) > 2:  # networks loading, then pictures
            break
    assert re.search(r"\d+ of 1000, about \d+ s left", str(job.outputs()[-1]))
    job.cancel()
    began = time.monotonic()
    assert Path(restore(client, upload, seed=7, start=300)[FILE]).read_bytes() == Path(first[FILE]).read_bytes()
    assert time.monotonic() - began < 15


def test_the_faces_of_a_photo_are_found_and_restored_but_for_those_left_out(client, photos):
    photo = photos / "wall.png"
    boxes, faces, message, _ = call(client, "/find_faces", photo=photo)
    numbers, count = faces["value"], len(faces["choices"])
    assert Image.open(boxes).size > Image.open(photo).size  # enlarged, for the numbers
    assert 3 <= len(numbers) <= count
    assert f"{count} faces were found" in message
    pair, summary, file = call(client, "/restore_photo", photo=photo, numbers=numbers[:1], scale=2)
    assert "1 face was restored" in summary
    assert Image.open(file).size == tuple(2 * side for side in Image.open(photo).size)
    assert "AI-restored" in Image.open(file).text["Comment"]
    assert "no face is ticked" in refusal(client, "/restore_photo", photo=photo, numbers=[], only=True)


def test_one_call_restores_the_faces_of_a_photo_whoever_calls(server, client, photos):
    photo = photos / "wall.png"
    stranger = gradio_client.Client(server[0], verbose=False, analytics_enabled=False)
    _, summary, file = call(stranger, "/restore_photo", photo=photo)
    assert re.search(r"[3-9] faces were restored", summary)
    assert Image.open(file).size == Image.open(photo).size
    _, summary, _ = call(stranger, "/restore_photo", photo=photo, numbers=[2])
    assert "1 face was restored" in summary
    assert "face 99 is chosen of" in refusal(stranger, "/restore_photo", photo=photo, numbers=[99])
    call(client, "/find_faces", photo=photo)  # who has looked before gets the same
    assert Image.open(call(client, "/restore_photo", photo=photo)[2]).tobytes() == Image.open(file).tobytes()


def test_a_photo_without_faces_is_told_so(client, tmp_path):
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "wall.png")
    _, faces, message, _ = call(client, "/find_faces", photo=tmp_path / "wall.png")
    assert "No face was found by" in message and "show where the face is" in message
    assert faces["value"] == []
    assert "no face was found" in refusal(client, "/restore_photo", photo=tmp_path / "wall.png")


def test_several_answers_and_their_map(client, upload):
    (first, overlay), text, gallery, archive, one = call(client, "/answers", face=upload, aligned=True, count=3, seed=7)
    assert Path(one).read_bytes() == Path(gallery[0]["image"]).read_bytes()
    assert [entry["caption"] for entry in gallery] == ["Seed 7", "Seed 8", "Seed 9"]
    pictures = [images.to_tensors(images.read(entry["image"]))[0] for entry in gallery]
    alone = images.read(restore(client, upload, seed=9)[BEFORE_AND_AFTER][1])
    assert (pictures[2] - images.to_tensors(alone)[0]).abs().max() <= 1.5 / 255
    said = float(re.search(r"±([\d.]+) of 255 grey levels", text).group(1))
    assert said == pytest.approx(255 * spread(torch.stack(pictures)).mean().item(), rel=0.3)  # of enlarged pictures
    assert Image.open(overlay).size == Image.open(first).size
    assert zipfile.ZipFile(archive).namelist() == ["seed_7_restored.png", "seed_8_restored.png", "seed_9_restored.png"]
    for entry in gallery:
        assert "AI-restored" in Image.open(entry["image"]).text["Comment"]


def test_several_pictures_come_as_a_zip_and_a_table_of_what_happened(client, photos, upload, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "wall.png")
    astronaut = photos / "astronaut.png"
    files = [gradio_client.handle_file(path) for path in (astronaut, tmp_path / "broken.png", tmp_path / "wall.png")]
    table, text, archive = client.predict(api_name="/batch", files=[*files, files[0]], seed=7)
    names, told = zip(*table["data"], strict=True)
    assert names == ("astronaut.png", "broken.png", "wall.png", "astronaut.png")
    assert told[0].startswith("Restored.") and "is not a picture" in told[1] and "no face was found" in told[2]
    assert "2 pictures were restored of 4" in text
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["astronaut_restored.png", "astronaut_restored_2.png"]
        one, other = (Image.open(opened.open(name)) for name in opened.namelist())
        assert one.tobytes() == other.tobytes() and "AI-restored" in one.text["Comment"]
    alone = Image.open(call(client, "/restore", face=astronaut, seed=7)[FILE])
    assert np.abs(np.asarray(alone).astype(int) - np.asarray(one)).max() <= 1
    assert "no picture is chosen" in refusal(client, "/batch", files=None)


def test_a_clean_face_is_made_worse_and_scored(client):
    clean = Path(call(client, "/astronaut"))
    settings = dict(scale=4, sigma_1=1, sigma_2=1, angle=0, noise=5, quality=60, seed=0)
    worse = call(client, "/worsen", face=clean, aligned=True, **settings)
    gallery, scores, text, archive = call(client, "/restore_worse", face=clean, aligned=True, **settings)
    assert zipfile.ZipFile(archive).namelist() == ["truth.png", "input.png", "estimate.png", "restored.png"]
    assert [entry["caption"] for entry in gallery] == ["Truth", "Input y", "Estimate f(y)", "DifFace"]
    assert Image.open(worse).tobytes() == Image.open(gallery[1]["image"]).tobytes()
    lq, estimate, answer = ([float(row[k]) for k in (1, 2, 4)] for row in scores["data"])
    assert max(lq[2], estimate[2]) < answer[2]  # both are blurred
    assert estimate[0] > lq[0] > 15 and estimate[1] > lq[1]
    assert answer[0] > 12
    before, after = map(float, re.search(r"‖e‖ = ([\d.]+) .* = ([\d.]+);", text).groups())
    assert after < before


def test_nothing_made_worse_is_nothing_lost(client):
    clean = Path(call(client, "/astronaut"))
    settings = dict(scale=1, sigma_1=0, sigma_2=0, angle=0, noise=0, quality=100)
    lq = call(client, "/restore_worse", face=clean, aligned=True, **settings)[1]["data"][0]
    assert float(lq[1]) > 35 and float(lq[2]) > 0.97


def test_an_invented_face_follows_its_seed(client):
    one, again, other = (images.read(call(client, "/invent", seed=seed)) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes() != other.tobytes()
    assert np.asarray(one).std() > 20


@pytest.mark.parametrize("number", ["3", "4", "5", "6", "7a", "7b", "8"])
def test_figures_are_drawn(client, number):
    shown, files, text = call(client, "/figure", number=number, face=None)
    assert "Drawn" in text
    assert min(Image.open(shown).size) > 200
    assert [Path(file).suffix for file in files] == [".pdf", ".png", ".csv"]


def test_tables_say_whose_numbers_they_are(client):
    assert "embedded 64-pixel models" in call(client, "/table", number="I")
    assert "Not measured here: " in call(client, "/table", number="V")


def test_tables_hold_what_the_paper_prints(client):
    assert "23.44" in call(client, "/table", number="I")  # DifFace(SwinIR), PSNR
    for number in ("VI", "XI"):
        assert f"Table {number}:" in call(client, "/table", number=number)


def test_measured_tables_stand_beside_the_printed_ones(tmp_path, monkeypatch):
    paper = pytest.importorskip("space.paper")
    (tmp_path / "table_II.csv").write_text(
        "data,method,PSNR,PSNR low,paper PSNR\n100 faces,DifFace(eta=0),22.516,22.1,23.49\n"
    )
    monkeypatch.setattr(paper, "RESULTS", tmp_path)
    shown = paper.table_html("II")
    assert "Measured here" in shown and "100 faces" in shown and "22.516" in shown
    assert "Printed in the paper" in shown and "23.49" in shown


def test_the_contraction_is_that_of_the_schedule(client):
    betas = np.linspace(1e-4, 0.02, 1000)
    wanted = np.sqrt(np.cumprod(1 - betas)[399])
    assert f"is {wanted:.2f}:" in call(client, "/contraction", start=400)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels to speak of."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    )


def bad_files(folder: Path, good: Path) -> list[tuple[Path, str]]:
    contents = {
        "text.png": (b"this is not a picture", "is not a picture"),
        "empty.png": (b"", "is empty"),
        "truncated.png": (good.read_bytes()[:3000], "is damaged or truncated"),
        "large.png": (png_header(9000, 9000), "up to 64 megapixels"),
        "bomb.png": (png_header(60000, 60000), "is too large"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    return [(folder / name, text) for name, (_, text) in contents.items()] + [(folder / "dot.png", "is 1x1 pixels")]


TAKE_A_FACE = {
    "/restore": {},
    "/look": {},
    "/mask": {"kind": "auto"},
    "/inpaint": {"painted": None},
    "/answers": {},
    "/worsen": {},
    "/restore_worse": {},
    "/figure": {},
}
TAKE_A_PHOTO = {"/find_faces": {}, "/restore_photo": {}}
"""Endpoint -> what else it must be told."""


def test_a_bad_file_is_answered_with_one_line(server, client, upload, tmp_path):
    before = (server[1] / "log").read_text()
    for path, expected in bad_files(tmp_path, upload):
        for name, others in (TAKE_A_FACE | TAKE_A_PHOTO).items():
            message = refusal(client, name, **{"face" if name in TAKE_A_FACE else "photo": path}, **others)
            assert message.startswith(path.name), message
            assert expected in message
            assert "\n" not in message
    assert "Traceback" not in (server[1] / "log").read_text().removeprefix(before)


def odd_files(folder: Path, face: Image.Image) -> list[Path]:
    """Pictures that are unusual, and fine."""
    face.convert("CMYK").save(folder / "cmyk.jpg")
    face.putalpha(200)
    face.save(folder / "alpha.png")
    grey = np.asarray(face.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(folder / "sixteen.png")
    frames = [face.convert("P"), face.rotate(5).convert("P")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    turned = face.convert("RGB").resize((110, 90))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "portrait.jpg", exif=exif)
    return [folder / name for name in ("cmyk.jpg", "alpha.png", "sixteen.png", "moving.gif", "portrait.jpg")]


def test_unusual_pictures_are_restored(client, upload, tmp_path):
    for path in odd_files(tmp_path, Image.open(upload).copy()):
        result = Image.open(restore(client, path)[FILE])
        assert result.size == (90, 110), path.name


def test_no_picture_and_no_seed(client, upload):
    for name in ("/restore", "/mask", "/inpaint", "/answers", "/restore_worse"):
        assert "no picture is chosen" in refusal(client, name, face=None, **TAKE_A_FACE[name])
    assert "no picture is chosen" in refusal(client, "/restore_photo", photo=None)
    assert "the seed is empty" in refusal(client, "/restore", face=upload, seed=None)


def test_an_emptied_number_is_refused_in_one_line(client, upload):
    for field, label in (("start", "N: "), ("calls", "Network calls"), ("eta", "η")):
        message = refusal(client, "/restore", face=upload, **{field: None})
        assert message.startswith(label) and "is empty" in message and "\n" not in message
    assert "is empty" in refusal(client, "/answers", face=upload, count=None)
    assert len(call(client, "/answers", face=upload, aligned=True, count=2.2)[2]) == 2


def test_a_grey_face_stays_grey(client, upload, tmp_path):
    Image.open(upload).convert("L").save(tmp_path / "grey.png")
    pixels = np.asarray(Image.open(restore(client, tmp_path / "grey.png")[FILE])).astype(int)
    assert np.ptp(pixels, axis=2).max() <= 1
    pixels = np.asarray(Image.open(restore(client, upload)[FILE])).astype(int)
    assert np.ptp(pixels, axis=2).max() > 20


def test_every_event_has_a_name(client):
    dependencies = client.config["dependencies"]
    assert dependencies
    assert all(event["api_name"] and event["api_name"] != "lambda" for event in dependencies)
    public = {event["api_name"] for event in dependencies if event["api_visibility"] == "public"}
    assert public == {
        "restore", "batch", "look", "find_faces", "restore_photo", "mask", "inpaint", "answers", "worsen",
        "restore_worse", "astronaut", "invent", "figure", "table", "contraction",
    }  # fmt: skip


def test_every_parameter_is_described_and_every_result_is_named(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert len(endpoints) == 15
    for name, endpoint in endpoints.items():
        assert len(endpoint["description"]) > 15, name
        for parameter in endpoint["parameters"]:
            assert parameter["python_type"]["description"].count(".") > 1, (name, parameter)
        names = [result["label"] for result in endpoint["returns"]]
        assert names and not any(re.match(r"value_\d", one) for one in names) and len({*names}) == len(names), name
    said = {one["parameter_name"]: one["python_type"]["description"] for one in endpoints["/restore"]["parameters"]}
    assert "A number in 60..1000." in said["start"] and "dpm++sde (DPM-Solver++ SDE)" in said["scheduler"]
    assert "Fresh noise per step" in said["eta"]


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("/restore", {"start": 1001}, "N: how much is drawn anew is 1001; a number in 60..1000 is accepted"),
        ("/restore", {"calls": 0}, "Network calls is 0; a number in 1..50 is accepted"),
        ("/restore", {"eta": -0.1}, "η is -0.1; a number in 0..1 is accepted"),
        ("/answers", {"count": 9}, "Answers is 9; a number in 2..8 is accepted"),
        ("/restore_worse", {"quality": 101}, "q: JPEG quality is 101; a number in 5..100 is accepted"),
        ("/mask", {"kind": "star"}, "Or a mask at a click is 'star'; one of box, irregular"),
        ("/mask", {"kind": None}, "no kind of mask is chosen; one of box, irregular"),
    ],
)
def test_what_is_out_of_range_is_refused_in_one_line(client, upload, name, fields, said):
    message = refusal(client, name, face=upload, **fields)
    assert said in message and "\n" not in message


def test_nothing_on_the_page_comes_from_elsewhere(server):
    page = urllib.request.urlopen(server[0]).read().decode()
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"https?://(?!127\.0\.0\.1)[^\"]+", page)


def test_unknown_profile_is_refused(monkeypatch, capsys):
    app = pytest.importorskip("app")
    monkeypatch.setattr(sys, "argv", ["app.py", "--profile", "nonesuch"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 2
    assert "--profile: the profile 'nonesuch' is unknown; small, tiny, ffhq512" in capsys.readouterr().err


def test_unknown_profile_of_the_environment_is_refused(monkeypatch, capsys):
    app = pytest.importorskip("app")
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setenv("DIFFACE_PROFILE", "nonesuch")
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 2
    assert "DIFFACE_PROFILE: the profile 'nonesuch' is unknown; small, tiny, ffhq512" in capsys.readouterr().err
