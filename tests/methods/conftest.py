"""The network of the fixtures."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from difface.models.unet import UNet
from difface.weights.convert import convert


@pytest.fixture(scope="session")
def official_net(parity: Path, tmp_path_factory) -> UNet:
    """The small network that the official code was run on, converted to diffusers: 32 x 32 pixels, learned variance."""
    state = load_file(parity / "unet_small.safetensors") | load_file(parity / "methods" / "net_overrides.safetensors")
    folder = tmp_path_factory.mktemp("net")
    save_file(
        {name.removeprefix("sd."): tensor for name, tensor in state.items() if name.startswith("sd.")},
        folder / "official.safetensors",
    )
    arguments = json.loads((parity / "unet_small.json").read_text())
    convert(
        folder / "official.safetensors",
        folder / "out",
        "unet",
        image_size=arguments["image_size"],
        head_width=arguments["num_head_channels"],
    )
    return UNet.from_pretrained(folder / "out").eval()
