"""Blocks per level, and patches."""

import pytest
import torch
from conftest import small_unet
from diffusers import UNet2DModel

from difface import UNet


def test_one_number_is_the_stock_network():
    ours = small_unet(layers_per_block=2)
    own = ("patch_size",)
    stock = UNet2DModel(**{key: value for key, value in ours.config.items() if key[0] != "_" and key not in own})
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


@pytest.mark.parametrize("channels", [3, 6])
def test_patches_are_channels_of_the_same_network(tmp_path, channels):
    """At (row, column) the inner network sees the 2 x 2 pixels of each colour, row by row, and answers alike."""
    unet = small_unet(patch_size=2, sample_size=32, out_channels=channels)
    inner = small_unet(in_channels=12, out_channels=4 * channels)
    inner.load_state_dict(unet.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    patches = x.reshape(2, 3, 16, 2, 16, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 16, 16)
    with torch.no_grad():
        out = inner(patches, 7).sample
        whole = out.reshape(2, channels, 2, 2, 16, 16).permute(0, 1, 4, 2, 5, 3).reshape(2, channels, 32, 32)
        assert torch.allclose(unet(x, 7).sample, whole, atol=1e-6)
    assert unet.config.in_channels == 3 and unet.config.sample_size == 32
    unet.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.allclose(UNet.from_pretrained(tmp_path)(x, 7, return_dict=False)[0], whole, atol=1e-6)


def test_a_size_that_patches_do_not_fill_is_refused():
    with pytest.raises(ValueError, match="multiple of `patch_size`; got 33 and 2"):
        small_unet(patch_size=2, sample_size=33)
