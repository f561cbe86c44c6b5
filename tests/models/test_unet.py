"""Blocks per level."""

import pytest
import torch
from conftest import small_unet
from diffusers import UNet2DModel

from difface import UNet


def test_one_number_is_the_stock_network():
    ours = small_unet(layers_per_block=2)
    stock = UNet2DModel(**{key: value for key, value in ours.config.items() if not key.startswith("_")})
    stock.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(stock.eval()(x, 7).sample, ours(x, 7).sample, atol=1e-6)


def test_blocks_per_level():
    unet = small_unet(layers_per_block=(1, 3))
    assert [len(block.resnets) for block in unet.down_blocks] == [1, 3]
    assert [len(block.resnets) for block in unet.up_blocks] == [4, 2]
    same = small_unet(layers_per_block=(2, 2))
    assert same.state_dict().keys() == small_unet(layers_per_block=2).state_dict().keys()


def test_config_and_weights_round_trip(tmp_path):
    unet = small_unet(layers_per_block=(1, 3), downsample_type="resnet", upsample_type="resnet")
    unet.save_pretrained(tmp_path)
    loaded = UNet.from_pretrained(tmp_path)
    assert list(loaded.config.layers_per_block) == [1, 3]
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(unet(x, 7).sample, loaded(x, 7).sample, atol=1e-6)


def test_wrong_number_of_levels():
    with pytest.raises(ValueError, match="one per level"):
        small_unet(layers_per_block=(1, 2, 3))
