"""The catalog: entries are well formed, known files agree with it, unknown names are answered with near ones."""

import hashlib
import os
import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from difface.weights import CATALOG, lookup

KINDS = {"unet", "estimator", "detector", "upsampler", "identity", "landmarks", "metric", "method"}


@pytest.mark.parametrize("weight", CATALOG.values(), ids=lambda weight: weight.name)
def test_entries_are_well_formed(weight):
    assert CATALOG[weight.name] is weight
    assert weight.kind in KINDS
    assert weight.url is None or (weight.url.startswith("https://") and weight.url.endswith(f"/{weight.name}"))
    assert weight.size is None or weight.size > 0
    assert weight.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", weight.sha256)
    assert weight.licence and weight.used_by and weight.what and "\n" not in weight.what
    with pytest.raises(FrozenInstanceError):
        weight.size = 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("iddpm_ffhq512_ema500000.pth", "unet"),
        ("iddpm_ffhq256_ema750000.pth", "unet"),
        ("256x256_diffusion_uncond.pt", "unet"),
        ("swinir_restoration512_L1.pth", "estimator"),
        ("lama_inpainting256.pth", "estimator"),
    ],
)
def test_the_papers_networks_are_there(name, kind):
    assert lookup(name).kind == kind
    assert lookup(name).url is not None


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="no weights called 'swinir_restoration512.pth'.*swinir_restoration512_L1.pth"):
        lookup("swinir_restoration512.pth")
    with pytest.raises(ValueError, match="GFPGANv1.3.pth"):
        lookup("gfpganV1.3")


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(ValueError, match="known are .*codeformer.pth"):
        lookup("@@@@")


@pytest.mark.parametrize("name", ["scrfd_2.5g_bnkps.onnx", "mobilefacenet.onnx"])
def test_files_without_an_address_are_the_catalogued_ones(name):
    if "DIFFACE_TESTDATA" not in os.environ:
        pytest.skip("DIFFACE_TESTDATA is not set: no copy of this file to compare with")
    data = (Path(os.environ["DIFFACE_TESTDATA"]) / "weights" / name).read_bytes()
    assert lookup(name).url is None
    assert (lookup(name).size, lookup(name).sha256) == (len(data), hashlib.sha256(data).hexdigest())
