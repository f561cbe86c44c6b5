"""What comes in, kind by kind, and its right value: by command, in Python and, where it differs, on the page."""

import io
import json
import os
import struct

import numpy as np
import pytest
import torch
from conftest import generators
from PIL import Image, ImageCms
from scipy.ndimage import zoom

from difface import cli, images, metadata, profiles
from difface.constraints import Downsampled, Grey, Masked
from difface.degradation import Degradation, degrade, to_grey
from difface.folders import search
from difface.metrics.psnr import PSNR
from difface.tone import tone_of

FAST = ("--fast", "--device", "cpu", "--dtype", "float32")


@pytest.fixture
def run(capsys):
    """Run a command; its exit status and its lines on stderr."""

    def call(*arguments) -> tuple[int, list[str]]:
        status = cli.main([str(argument) for argument in arguments])
        lines = capsys.readouterr().err.splitlines()
        return status, [line for line in lines if line.startswith(("error:", "note:"))]

    return call


def changed(face: Image.Image, gain: float, lift: float) -> Image.Image:
    """As a camera in a dark room or a faded print has it, in whole levels."""
    return Image.fromarray(np.rint(np.asarray(face, float) * gain + lift).astype(np.uint8))


def psnr(result: Image.Image, truth: Image.Image, gain: float = 1, lift: float = 0) -> float:
    """dB after the change is undone."""
    undone = ((np.asarray(result, float) - lift) / gain).clip(0, 255) / 255
    restored = torch.from_numpy(undone).permute(2, 0, 1)[None].float()
    return PSNR().score(restored, images.to_tensors(truth)[0][None]).item()


def grey_in(face: Image.Image, dark: tuple, light: tuple) -> Image.Image:
    """The face in one tone, from one colour to another."""
    grey = np.asarray(face.convert("L"), float)[..., None] / 255
    return Image.fromarray(np.rint(np.array(dark) + grey * (np.array(light) - dark)).astype(np.uint8))


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path), float)


# 1. Dynamic range


@pytest.mark.parametrize(("gain", "lift"), [(0.5, 0), (0.2, 0), (0.08, 0), (0.3, 90), (0.22, 170), (0.4, 60)])
def test_dark_and_faded_faces_come_back_so(tiny, astronaut_face, gain, lift):
    """Within 1 dB of what the normal face gives, in their own range, and it is said."""
    given = changed(astronaut_face, gain, lift)
    normal = psnr(tiny(astronaut_face, 50, generator=generators(1)).images[0], astronaut_face)
    result = tiny(given, 50, generator=generators(1))
    assert psnr(result.images[0], astronaut_face, gain, lift) > normal - 1
    assert psnr(result.estimates[0], astronaut_face, gain, lift) > normal - 1
    (notes,) = result.info["notes"]
    assert len(notes) == 1 and ("dark" if lift == 0 else "faded") in notes[0]


@pytest.mark.parametrize("gain", [1, 0.85])
def test_a_normal_face_is_left_alone(astronaut_face, gain):
    y = images.to_tensors(changed(astronaut_face, gain, 0))[0]
    tone = tone_of(y)
    assert tone.given is y and tone.notes == [] and tone.back(y) is y


@pytest.mark.parametrize(("scale", "sigma", "noise"), [(2, 1, 5), (8, 2, 1), (8, 2, 20), (1, 2, 20), (1, 0.5, 1)])
def test_blur_is_no_fading(astronaut_face, scale, sigma, noise):
    degradation = Degradation(scale, sigma, sigma, 0.0, noise, 30)
    y = degrade(images.to_tensors(astronaut_face)[0], degradation, generators(0)[0])
    assert tone_of(y).notes == []


def test_portraits_in_any_light(testdata, tiny):
    """Portraits to test on, gain 0.1 to 1 and contrast 0.2 to 1: the mean is within 1 dB of the unchanged faces'."""
    files = sorted((testdata / "portraits" / "jpg").iterdir())[100:112]
    faces = [images.read(file).crop((8, 20, 112, 124)).resize((64, 64), Image.Resampling.LANCZOS) for file in files]
    rng = np.random.default_rng(1)
    pipeline = profiles.load("tiny", scheduler="dpm++", device="cpu")
    pipeline.set_progress_bar_config(disable=True)
    changes = [(gain * c, 127.5 * gain * (1 - c)) for gain, c in rng.uniform([0.1, 0.2], 1, (len(faces), 2))]
    dark = [changed(face, *change) for face, change in zip(faces, changes, strict=True)]
    normal, others = (pipeline(given, generator=generators(*range(len(faces)))).images for given in (faces, dark))
    before = [psnr(result, face) for result, face in zip(normal, faces, strict=True)]
    after = [psnr(result, face, *change) for result, face, change in zip(others, faces, changes, strict=True)]
    assert np.mean(after) > np.mean(before) - 1


def test_what_is_known_of_a_dark_face_still_holds(tiny, astronaut_face):
    """Known pixels, a known small picture and a known luminance, each of a face that is stretched on the way."""
    y = images.to_tensors(changed(astronaut_face, 0.2, 12))[0]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    settings = dict(num_inference_steps=20, eta=1.0, generator=generators(0), output_type="pt")
    masked = tiny(y, constraint=Masked(mask), **settings)
    assert "faded" in masked.info["notes"][0][0] or "dark" in masked.info["notes"][0][0]
    assert ((masked.images[0] - y) * (1 - mask[0])).abs().max() < 1e-3
    assert masked.images[0].max() < y.max() + 0.1
    grey = tiny(y, constraint=Grey(), **settings)
    assert (to_grey(grey.images[0]) - to_grey(y)).abs().max() < 1e-3
    small = torch.nn.functional.avg_pool2d(y, 4)
    large = tiny(small, constraint=Downsampled(4), **settings)
    assert large.info["notes"][0] and (torch.nn.functional.avg_pool2d(large.images[0], 4) - small).abs().max() < 5e-3


def test_the_command_says_what_it_did_of_each_picture(run, tmp_path, astronaut_face):
    (tmp_path / "in").mkdir()
    changed(astronaut_face, 0.15, 0).save(tmp_path / "in" / "a.png")
    astronaut_face.save(tmp_path / "in" / "b.png")
    status, lines = run("restore", tmp_path / "in", "-o", tmp_path / "out", "--samples", 2, *FAST)
    (line,) = [line for line in lines if "note:" in line]
    assert status == 0 and "a.png: the picture is dark" in line
    notes = {p.name: json.loads(Image.open(p).text["difface"])["notes"] for p in (tmp_path / "out").iterdir()}
    assert "dark" in notes["a_s1.png"][0] and "dark" in notes["a_s2.png"][0] and notes["b_s1.png"] == []
    assert abs(read(tmp_path / "out" / "a_s1.png").mean() - 0.15 * np.asarray(astronaut_face).mean()) < 2


# 2. One tone


@pytest.mark.parametrize(
    ("dark", "light"), [((0, 0, 0), (255, 255, 255)), ((0, 0, 0), (255, 235, 205)), ((30, 20, 50), (210, 240, 255))]
)
def test_one_tone_in_the_same_tone_out(tiny, astronaut_face, dark, light):
    result = tiny(grey_in(astronaut_face, dark, light), 20, generator=generators(0))
    level = (np.asarray(result.images[0], float) - dark) / (np.array(light) - dark)
    within = (np.asarray(result.images[0]) > 0).all(2) & (np.asarray(result.images[0]) < 255).all(2)
    assert np.ptp(level, axis=2)[within].max() < 0.025 and within.mean() > 0.5
    assert "one tone" in result.info["notes"][0][-1]


@pytest.mark.parametrize("side", [64, 170])
@pytest.mark.parametrize(
    ("dark", "light"),
    [((25, 20, 30), (245, 240, 225)), ((5, 20, 60), (230, 245, 255)), ((30, 15, 5), (240, 215, 170))],
)
def test_a_tone_is_seen_through_jpeg(tiny, astronaut_photo, dark, light, side):
    """JPEG halves the resolution of colours and rounds them in blocks: a scanned print is toned nevertheless."""
    face = astronaut_photo.crop((143, 30, 315, 202)).resize((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    grey_in(face, dark, light).save(file, "JPEG", quality=80)
    result = tiny(Image.open(file), 20, generator=generators(0))
    assert "one tone" in result.info["notes"][0][-1]
    colours, line = np.asarray(result.images[0], float) - dark, np.subtract(light, dark)
    off = colours - (colours @ line / (line @ line))[..., None] * line
    assert np.percentile(np.abs(off), 99) < 2


@pytest.mark.parametrize("quality", [80, 95])
@pytest.mark.parametrize(("light", "share"), [((255, 255, 255), 0.09), ((255, 228, 190), 0.2), ((255, 228, 190), 0.5)])
def test_few_colours_are_no_tone(astronaut_face, light, share, quality):
    """A print that was coloured by hand: a tone, and a share of the face's own colours on it."""
    toned = np.asarray(grey_in(astronaut_face, (0, 0, 0), light), float)
    colours = np.asarray(astronaut_face, float) - np.asarray(astronaut_face.convert("L"), float)[..., None]
    file = io.BytesIO()
    painted = Image.fromarray((toned + share * colours).clip(0, 255).round().astype(np.uint8))
    painted.save(file, "JPEG", quality=quality, subsampling=0)
    assert tone_of(images.to_tensors(Image.open(file))[0]).curve is None


def test_a_grey_face_comes_back_grey_by_command(run, tmp_path, astronaut_face):
    astronaut_face.convert("L").save(tmp_path / "grey.png")
    changed(astronaut_face.convert("L").convert("RGB"), 0.15, 0).save(tmp_path / "dark.png")
    assert run("restore", tmp_path / "grey.png", tmp_path / "dark.png", "-o", tmp_path / "out", *FAST)[0] == 0
    for name in ("grey", "dark"):
        assert np.ptp(read(tmp_path / "out" / f"{name}.png"), axis=2).max() == 0


def test_a_grey_face_that_shall_have_colours_gets_them(tiny, astronaut_face):
    result = tiny(astronaut_face.convert("L"), 20, 1.0, generators(0), constraint=Grey())
    assert np.ptp(np.asarray(result.images[0], int), axis=2).mean() > 5 and result.info["notes"] == [[]]


# 3. Colours, date and resolution


def matrix_profile(name: str, primaries: list, gamma: float) -> bytes:
    """A minimal ICC profile of a display."""

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name.encode() + b"\0" * 79
    tags = [(b"desc", text), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", xyz((0.9642, 1, 0.8249)))]
    tags += list(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, primaries), strict=True))
    tags += [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    body, table, start = b"", b"", 132 + 12 * len(tags)
    for tag, data in tags:
        data += b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">iii", 63190, 65536, 54061) + b"\0" * 48
    return head + struct.pack(">I", len(tags)) + table + body


WIDE = matrix_profile("A wide one", [(0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)], 1.8)


def in_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    """The same colours in the numbers of a profile."""
    return ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile))
    )


@pytest.mark.parametrize("kind", ["png", "jpg", "tiff", "webp"])
def test_a_profile_is_converted_at_the_door(tmp_path, astronaut_face, kind):
    wide = in_profile(astronaut_face, WIDE)
    options = {"png": {}, "tiff": {}, "jpg": {"quality": 98, "subsampling": 0}, "webp": {"lossless": True}}[kind]
    wide.save(tmp_path / f"face.{kind}", icc_profile=WIDE, **options)
    before = np.abs(np.asarray(wide, float) - np.asarray(astronaut_face)).mean()
    for taken in (images.read(tmp_path / f"face.{kind}"), Image.open(tmp_path / f"face.{kind}")):
        (tensor,) = images.to_tensors(taken)
        assert np.abs(images.to_uint8(tensor).astype(float) - np.asarray(astronaut_face)).mean() < 2.5 < before
    ((_, notes),) = images.with_notes(Image.open(tmp_path / f"face.{kind}"))
    assert notes == ["in the colours of A wide one: converted to sRGB"]


def test_alpha_grey_and_cmyk_have_profiles_too(astronaut_face):
    clear = in_profile(astronaut_face, WIDE)
    clear.putalpha(Image.new("L", clear.size, 0))
    clear.info["icc_profile"] = WIDE
    assert np.asarray(images.to_rgb(clear)).min() == 255
    grey = Image.new("L", (16, 16), 100)
    grey.info["icc_profile"] = WIDE  # 100 at gamma 1.8 is lighter in sRGB
    assert 110 < np.asarray(images.to_rgb(grey)).mean() < 130


def test_a_profile_that_is_srgb_changes_no_bit(astronaut_face):
    srgb = astronaut_face.copy()
    srgb.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert images.to_rgb(srgb).tobytes() == astronaut_face.tobytes()
    ((_, notes),) = images.with_notes(srgb)
    assert notes == []


@pytest.mark.parametrize("data", [b"no profile", WIDE[:200], WIDE[:128] + b"\xff" * 100])
def test_a_broken_profile_is_ignored_and_said(run, tmp_path, astronaut_face, data):
    astronaut_face.save(tmp_path / "face.png", icc_profile=data)
    assert images.read(tmp_path / "face.png").tobytes() == astronaut_face.tobytes()
    status, lines = run("restore", tmp_path / "face.png", "-o", tmp_path / "out", *FAST)
    assert status == 0 and [line for line in lines if "a colour profile that is broken" in line]


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_date_and_resolution_are_kept_and_the_place_is_not(run, tmp_path, astronaut_face, kind):
    exif = Image.Exif()
    exif[0x0132], exif[0x0110] = "2001:02:03 04:05:06", "A camera"
    exif.get_ifd(0x8769)[0x9003] = "2000:01:02 03:04:05"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    astronaut_face.save(tmp_path / "face.jpg", quality=95, exif=exif, dpi=(240, 240))
    assert run("restore", tmp_path / "face.jpg", "-o", tmp_path / "out", "--format", kind, *FAST)[0] == 0
    (path,) = (tmp_path / "out").iterdir()
    result = Image.open(path)
    assert path.name == f"face.{kind}" and result.format == {"png": "PNG", "jpg": "JPEG"}[kind]
    kept = result.getexif()
    assert (kept[0x0132], kept[0x0110]) == ("2001:02:03 04:05:06", "A camera")
    assert kept.get_ifd(0x8769)[0x9003] == "2000:01:02 03:04:05" and not kept.get_ifd(0x8825)
    assert [round(side) for side in result.info["dpi"]] == [240, 240]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(result.info["icc_profile"]))
    assert "sRGB" in profile.profile.profile_description
    said = metadata.text_of(result)
    assert "AI-restored" in said["Comment"] and json.loads(said["difface"])["calls"] == 5


def test_an_unknown_format_is_refused(run, tmp_path, astronaut_face):
    astronaut_face.save(tmp_path / "face.png")
    status, lines = run("restore", tmp_path / "face.png", "-o", tmp_path / "out", "--format", "gif")
    assert status == 2 and len(lines) == 1 and "png and jpg" in lines[0]


@pytest.mark.parametrize("kind", ["I;16", "I;16B", "pgm"])
def test_dark_grey_of_16_bits_stays_dark(tmp_path, kind):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint16), (16, 1))
    if kind == "pgm":
        (tmp_path / "a.pgm").write_bytes(b"P5 64 16 65535\n" + ramp.astype(">u2").tobytes())
        picture = images.read(tmp_path / "a.pgm")
    else:
        data = ramp.astype(">u2" if kind == "I;16B" else "<u2").tobytes()
        picture = images.to_rgb(Image.frombytes(kind, (64, 16), data))
    assert np.asarray(picture).max() <= 1


# 4. Names and folders


def test_all_pictures_of_a_folder_are_taken_and_what_is_left_out_is_said(run, tmp_path, astronaut_face):
    folder = tmp_path / "in"
    (folder / "album" / "old").mkdir(parents=True)
    kinds = {"a.JFIF": "JPEG", "b.avif": "AVIF", "c.gif": "GIF", "d.jp2": "JPEG2000", "e.ppm": "PPM", "plain": "PNG"}
    for name, kind in kinds.items():
        astronaut_face.save(folder / name, format=kind)
    astronaut_face.save(folder / ("w" * 250 + ".png"))
    astronaut_face.save(folder / "写真 二.png")
    astronaut_face.save(folder / "album" / "old" / "x.png")
    (folder / ".hidden.png").write_bytes(b"\0\5\x16\7")
    (folder / "notes.txt").write_text("P6 is not what this is")
    (folder / "loop.png").symlink_to("loop.png")
    status, lines = run("restore", folder, "-o", tmp_path / "out", *FAST)
    assert status == 1
    errors = [line for line in lines if line.startswith("error")]
    assert len(errors) == 2 and "loop.png leads nowhere" in errors[0] and "1 of 9" in errors[1]
    assert any("1 of the files" in line and "is no picture" in line for line in lines)
    assert any("(album)" in line and "--recursive" in line for line in lines)
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert names == {"a", "b", "c", "d", "e", "plain", "w" * 250, "写真 二"}


def test_names_at_the_limit_have_room_for_what_is_added(run, tmp_path, astronaut_face):
    astronaut_face.save(tmp_path / ("é" * 125 + ".png"))
    options = ("--samples", 2, "--save-estimates", *FAST)
    assert run("restore", tmp_path / ("é" * 125 + ".png"), "-o", tmp_path / "out", *options)[0] == 0
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert len(names) == 3 and all(len(os.fsencode(name)) <= 255 for name in names)


def test_recursion_keeps_the_folders(run, tmp_path, astronaut_face):
    (tmp_path / "in" / "deep" / "er").mkdir(parents=True)
    for name in ("one.png", "er/one.png"):
        astronaut_face.save(tmp_path / "in" / "deep" / name)
    status, lines = run("restore", tmp_path / "in", "-o", tmp_path / "in" / "out", *FAST)
    assert status == 2 and len(lines) == 1 and "(deep)" in lines[0] and "--recursive" in lines[0]
    for _ in range(2):  # the results of the first time are no pictures of the second
        assert run("restore", tmp_path / "in", "-o", tmp_path / "in" / "out", "--recursive", *FAST) == (0, [])
    made = {str(path.relative_to(tmp_path / "in" / "out")) for path in (tmp_path / "in" / "out").rglob("*.png")}
    assert made == {"deep/one.png", "deep/er/one.png"}


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_is_called_what_it_is(run, tmp_path, monkeypatch, brand):
    (tmp_path / "phone.heic").write_bytes(struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0mif1heic" + b"\0" * 40)
    status, lines = run("restore", tmp_path / "phone.heic", "-o", tmp_path / "out", *FAST)
    assert status == 1 and "phone.heic is" in lines[0] and "damaged" in lines[0]
    monkeypatch.setattr(images, "register_heif", lambda: False)
    monkeypatch.setattr(Image, "open", lambda *_: (_ for _ in ()).throw(images.UnidentifiedImageError))
    with pytest.raises(images.ImageError, match="a HEIC picture, which needs the package pi-heif"):
        images.read(tmp_path / "phone.heic")


def test_an_output_that_cannot_be_is_noticed_first(run, tmp_path, astronaut_face, monkeypatch):
    monkeypatch.setattr(profiles, "load", lambda *_, **__: pytest.fail("loaded"))
    astronaut_face.save(tmp_path / "face.png")
    (tmp_path / "file").write_text("in the way")
    for output in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300), "/proc/none"):
        status, lines = run("restore", tmp_path / "face.png", "-o", output, *FAST)
        assert status == 2 and len(lines) == 1 and "change -o" in lines[0]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path, astronaut_face):
    astronaut_face.save(tmp_path / "face.png")
    os.mkfifo(tmp_path / "pipe")
    assert [file.name for file in search([tmp_path]).files] == ["face.png"]


# 5. Masks


@pytest.mark.parametrize(("side", "width"), [(512, 3), (300, 2), (90, 1)])
def test_a_thin_scratch_is_filled(run, tmp_path, astronaut_photo, side, width):
    face = astronaut_photo.crop((143, 30, 315, 202)).resize((side, side), Image.Resampling.LANCZOS)
    hole = np.zeros((side, side), bool)
    first = side * 21 // 40
    hole[:, first : first + width] = True
    scratched = np.asarray(face).copy()
    scratched[hole] = 255
    Image.fromarray(scratched).save(tmp_path / "face.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    options = ("--mask", tmp_path / "mask.png", "--steps", 20, "--device", "cpu")
    assert run("inpaint", tmp_path / "face.png", "-o", tmp_path / "out", *options)[0] == 0
    filled = read(tmp_path / "out" / "face.png")
    assert np.array_equal(filled[~hole], scratched[~hole])
    assert (
        np.abs(filled - np.asarray(face))[hole].mean() < 25 < np.abs(scratched - np.asarray(face, float))[hole].mean()
    )


def test_a_mask_that_leaves_nothing_known_is_refused(run, tmp_path, astronaut_face):
    large = astronaut_face.resize((256, 256))
    large.save(tmp_path / "face.png")
    dots = np.zeros((256, 256), bool)
    dots[::3, ::3] = True
    Image.fromarray(dots).save(tmp_path / "mask.png")
    status, lines = run(
        "inpaint", tmp_path / "face.png", "-o", tmp_path / "out", "--mask", tmp_path / "mask.png", "--dtype", "float32"
    )
    assert status == 1 and "none that is wholly known" in lines[0]


@pytest.mark.parametrize("side", [64, 100, 511, 700])
def test_what_the_page_paints_is_what_it_reads(side):
    """From the mask to the canvas and back: the same pixels, also at sizes that do not divide; shrinking loses none."""
    sheet = pytest.importorskip("space.inpaint", reason="gradio is not installed")
    hole = torch.zeros(1, 1, side, side)
    hole[..., side // 3, :] = hole[..., 5:9, 5] = 1
    canvas = sheet._fitted(hole, 512, 512)[0, 0].numpy() == 1
    back = sheet._of_the_face(canvas, side, side)
    if side <= 512:
        assert np.array_equal(back, hole[0, 0].numpy() == 1)
    assert back[hole[0, 0].numpy() == 1].all() and back.mean() < 4 / side
    stroke = zoom(np.eye(64), 8, order=0) > 0
    assert sheet._of_the_face(stroke, 40, 40).sum() >= 40


# The page


def test_the_page_says_it_too(tmp_path, astronaut_face):
    tab = pytest.importorskip("space.restore", reason="gradio is not installed")
    dark = grey_in(astronaut_face, (0, 0, 0), (40, 38, 30))
    dark.save(tmp_path / "face.png", dpi=(150, 150))
    *_, last = tab.restorer("tiny")(str(tmp_path / "face.png"), True, 400, "dpm++", 5, 250, 0.5, "swinir", 3)
    (_, shown), seen, _, summary, file, _ = last
    assert "The picture is dark" in summary and "one tone" in summary
    assert read(file).mean() == pytest.approx(np.asarray(dark).mean(), abs=3)
    assert np.asarray(seen).mean() > 3 * np.asarray(shown).mean()  # what the networks saw is stretched
    notes = json.loads(Image.open(file).text["difface"])["notes"]
    assert len(notes) == 2 and round(Image.open(file).info["dpi"][0]) == 150
