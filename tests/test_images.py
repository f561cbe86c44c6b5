"""Pictures in any mode come in right, bad files are refused in one line, files are written whole or not at all."""

import errno

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from difface import images


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.fromarray(astronaut()[:96, 160:300])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16"])
def test_every_mode_keeps_the_picture(photo, mode):
    if mode == "I;16":
        given = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    elif mode == "I":
        given = Image.fromarray(np.asarray(photo.convert("L")).astype(np.int32) * 257)
    elif mode == "PA":
        given = photo.convert("P").convert("PA")
    else:
        given = photo.convert(mode)
    rgb = images.to_rgb(given)
    assert rgb.mode == "RGB" and rgb.size == photo.size
    expected = photo if mode in ("RGB", "RGBA", "CMYK", "YCbCr", "P", "PA") else photo.convert("L").convert("RGB")
    if mode == "1":  # dithered: right on average only
        assert abs(np.asarray(rgb, float).mean() - np.asarray(expected, float).mean()) < 5
        return
    limit = {"P": 20, "PA": 20, "YCbCr": 2, "CMYK": 2}.get(mode, 1)
    assert np.abs(np.asarray(rgb, float) - np.asarray(expected, float)).mean() <= limit


def test_float_of_0_to_1_and_grey_of_16_bit_span_the_range():
    ramp = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (8, 1))
    assert np.asarray(images.to_rgb(Image.fromarray(ramp))).max() == 255
    assert np.asarray(images.to_rgb(Image.fromarray((ramp * 65535).astype(np.uint16)))).max() == 255


def test_transparent_becomes_white(photo):
    rgba = photo.convert("RGBA")
    rgba.putalpha(0)
    assert np.asarray(images.to_rgb(rgba)).min() == 255


def test_exif_orientation_is_applied(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    photo.save(tmp_path / "turned.png", exif=exif)
    read = images.read(tmp_path / "turned.png")
    assert np.array_equal(np.asarray(read), np.asarray(photo.transpose(Image.Transpose.ROTATE_270)))


def test_what_callers_hand_over(photo):
    array = np.asarray(photo)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255
    for given in (photo, array, array[None], tensor, tensor[0], [photo], [array, tensor][:1]):
        assert torch.equal(images.to_tensors(given)[0], tensor[0])
    assert len(images.to_tensors([photo, array, torch.cat([tensor, tensor])])) == 4
    assert np.array_equal(images.to_uint8(tensor[0]), array)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (torch.rand(1, 8, 8, 3), "(B, 3, H, W)"),
        (torch.rand(1, 3, 16, 16) * 255, "values in"),
        (torch.full((1, 3, 16, 16), float("nan")), "values in"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "uint8"),
        (np.zeros((16, 16, 3), np.float32), "uint8"),
        (np.zeros((3, 16, 16), np.uint8), "channels last"),
        (torch.rand(1, 3, 4, 16), "sides from 8"),
        ([], "no picture"),
    ],
)
def test_refused(given, says):
    with pytest.raises(images.ImageError) as caught:
        images.to_tensors(given)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_refused_type():
    with pytest.raises(TypeError, match="PIL image"):
        images.to_tensors("face.png")


@pytest.mark.parametrize("size", [(64, 64), (40, 64), (64, 23), (300, 17)])
def test_square_and_back(size):
    smooth = images.resize(torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)), *size)[0]
    square = images.fit_square(smooth, max(size))
    assert square.shape == (3, max(size), max(size))
    assert torch.allclose(images.unfit_square(square, *size), smooth, atol=1e-6)


@pytest.mark.parametrize("size", [(40, 90), (90, 40), (61, 200), (64, 64)])
def test_square_equals_padding_first(size):
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    side = max(size)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    padding = (left, side - size[1] - left, top, side - size[0] - top)
    naive = images.resize(torch.nn.functional.pad(picture[None], padding, mode="replicate"), 32, 32)[0]
    assert torch.allclose(images.fit_square(picture, 32), naive, atol=2e-6)


def test_a_long_picture_needs_no_square_of_its_length():
    """100,000 x 8 pixels: the square would hold 120 GB."""
    strip = torch.full((3, 8, 100_000), 0.25)
    square = images.fit_square(strip, 64)
    assert square.shape == (3, 64, 64) and torch.allclose(square, torch.tensor(0.25))
    assert images.unfit_square(square, 8, 100_000).shape == strip.shape


def test_nothing_is_left_where_a_folder_is_in_the_way(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError):
        images.write(Image.new("RGB", (8, 8)), tmp_path / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_write_is_whole_or_nothing(photo, tmp_path, monkeypatch):
    images.write(photo, tmp_path / "a.png", {"Comment": "über"})
    assert Image.open(tmp_path / "a.png").text["Comment"] == "über"
    before = (tmp_path / "a.png").read_bytes()

    def full(self, fp, **kwargs):
        fp.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        images.write(photo, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_large_jpeg_may_be_read_smaller_but_not_below_the_least(tmp_path):
    """A picture of another format stays as it is."""
    large = Image.fromarray(astronaut()).resize((1600, 1200))
    for name, size in {"a.jpg": (800, 600), "a.png": (1600, 1200)}.items():
        large.save(tmp_path / name)
        assert images.read(tmp_path / name).size == (1600, 1200)
        assert images.read(tmp_path / name, least=500).size == size
    reduced = np.asarray(images.read(tmp_path / "a.jpg", least=500), float)
    assert abs(reduced - np.asarray(large.resize((800, 600), Image.Resampling.BOX), float)).mean() < 3
