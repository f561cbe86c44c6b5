"""Which type "auto" is on which machine, what it costs, and that `--exact` leaves it out."""

import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

from difface import cli, precision, profiles
from difface.precision import choose


@pytest.fixture
def units(monkeypatch):
    """Give the CPU these units, and convolutions in bfloat16 that are so many times faster."""

    def give(*names: str, speedup: float = 3.0) -> None:
        monkeypatch.setattr(precision, "_matrix_units", lambda: list(names))
        monkeypatch.setattr(precision, "speedup", lambda: speedup)

    return give


def test_a_cpu_with_units_for_bfloat16_uses_them(units):
    units("AVX512-BF16")
    assert choose("auto", "cpu").name == "bfloat16" and "AVX512-BF16" in choose("auto", "cpu").reason
    units()
    assert choose("auto", "cpu").name == "float32" and "AMX" in choose("auto", "cpu").reason
    units("AMX")
    assert choose("float32", "cpu").name == "float32"


def test_units_that_are_no_faster_are_left_alone(units):
    units("AVX512-BF16", speedup=0.6)
    assert choose("auto", "cpu").name == "float32" and "no faster" in choose("auto", "cpu").reason
    units("AMX", "AVX512-BF16", speedup=0.6)
    assert choose("auto", "cpu").name == "bfloat16", "AMX is not timed: it is always faster"


@pytest.mark.parametrize("slow", [torch.float32, torch.bfloat16])
def test_the_speedup_is_that_of_convolutions(monkeypatch, slow):
    real = precision.functional.conv2d

    def slowed(x, weight, padding):
        time.sleep(0.02 if x.dtype == slow else 0)
        return real(x, weight, padding=padding)

    monkeypatch.setattr(precision.functional, "conv2d", slowed)
    found = precision.speedup.__wrapped__()
    assert found > 1 if slow == torch.float32 else found < 1


@pytest.mark.parametrize("amx", [False, True])
@pytest.mark.parametrize("avx", [False, True])
def test_torch_is_asked_for_the_units(monkeypatch, amx, avx):
    told = {"amx_bf16": amx, "avx512_bf16": avx, "avx512_f": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    wanted = ["AMX"] * amx + ["AVX512-BF16"] * avx
    assert precision._matrix_units() == wanted
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    assert precision._matrix_units() == wanted


@pytest.mark.parametrize(
    ("bfloat16", "capability", "wanted"),
    [(True, (9, 0), "bfloat16"), (False, (7, 5), "float16"), (False, (6, 1), "float32")],
)
def test_a_gpu_is_asked_what_it_multiplies(monkeypatch, bfloat16, capability, wanted):
    class Device:
        def __init__(self, device):
            pass

        def __enter__(self):
            pass

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose("auto", "cuda").name == wanted


def test_without_onednn_a_cpu_stays_with_float32(monkeypatch, units):
    units("AMX")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert choose("auto", "cpu").name == "float32"


def test_both_networks_are_loaded_in_it(units):
    units("AVX512-BF16")
    pipeline = profiles.load("tiny", device="cpu", dtype="auto")
    assert pipeline.unet.dtype == pipeline.estimator.dtype == torch.bfloat16
    assert profiles.load("tiny", device="cpu").unet.dtype == torch.float32, "numbers are the same anywhere"


def test_bfloat16_gives_the_same_face(astronaut_face):
    """Above 40 dB from the answer in float32, whose rounding to 8 bits alone is at 59."""
    found = []
    for dtype in ("float32", "bfloat16"):
        pipeline = profiles.load("tiny", scheduler="dpm++", device="cpu", dtype=dtype)
        pipeline.set_progress_bar_config(disable=True)
        seed = torch.Generator().manual_seed(0)
        output = pipeline(astronaut_face, generator=seed, output_type="np")
        assert output.info["dtype"] == dtype
        found.append(output.images.astype(np.float64))
    psnr = -10 * np.log10(np.square(found[0] - found[1]).mean())
    assert 40 < psnr < 80, "or the types did not differ"


def _restored(face, folder, *options):
    assert cli.main(["restore", str(face), "--aligned", "-o", str(folder), "--device", "cpu", *options]) == 0
    with Image.open(folder / face.name) as picture:
        return np.asarray(picture).copy(), json.loads(picture.text["difface"])


def test_exact_is_float32_bit_for_bit(astronaut_face, tmp_path, units, capsys):
    astronaut_face.save(tmp_path / "face.png")
    units("AVX512-BF16")
    exact, of_exact = _restored(tmp_path / "face.png", tmp_path / "exact", "--exact", "--steps", "20")
    assert "note" not in capsys.readouterr().err
    auto, of_auto = _restored(tmp_path / "face.png", tmp_path / "auto", "--steps", "20")
    assert (
        "the networks compute in bfloat16: this CPU multiplies it in hardware (AVX512-BF16)" in capsys.readouterr().err
    )
    assert (of_exact["dtype"], of_exact["sampler"], of_auto["dtype"]) == ("float32", "ddim", "bfloat16")
    pipeline = profiles.load("tiny", device="cpu")
    wanted = pipeline(Image.open(tmp_path / "face.png"), 20, generator=torch.Generator().manual_seed(0)).images[0]
    assert np.array_equal(exact, np.asarray(wanted)) and not np.array_equal(auto, exact)


@pytest.mark.parametrize(
    "other", [("--fast",), ("--scheduler", "unipc"), ("--dtype", "bfloat16"), ("--method", "ddrm")]
)
def test_exact_stands_alone(astronaut_face, tmp_path, capsys, other):
    astronaut_face.save(tmp_path / "face.png")
    given = ["restore", str(tmp_path / "face.png"), "-o", str(tmp_path / "out"), "--exact", *other]
    assert cli.main(given) == 2 and "--exact" in capsys.readouterr().err and not (tmp_path / "out").exists()
