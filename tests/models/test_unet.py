"""Blocks per level, and patches."""

import pytest
import torch
from conftest import small_unet
from diffusers import UNet2DModel

from difface import UNet, build_scheduler


def test_one_number_is_the_stock_network():
    ours = small_unet(layers_per_block=2)
    own = ("patch_size", "even_patches", "colours")
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


def test_even_patches_take_the_means_from_x_t():
    """Of x_t of an even picture the noise's means at the four places come out exactly; all else is the network's."""
    unet, plain = (small_unet(patch_size=2, sample_size=32, even_patches=even) for even in (True, False))
    abar = build_scheduler("ddim").alphas_cumprod[[10, 600]].view(2, 1, 1, 1)
    noise = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x_t = abar.sqrt() * torch.tensor([0.3, -0.2, 0.5]).view(1, 3, 1, 1) + (1 - abar).sqrt() * noise

    def places(picture: torch.Tensor) -> torch.Tensor:
        """(B, 3, 2, 2): the mean at each place of the 2 x 2 patches, less that of all."""
        means = picture.reshape(-1, 3, 16, 2, 16, 2).mean((2, 4))
        return means - means.mean((2, 3), keepdim=True)

    with torch.no_grad():
        out, before = (network(x_t, torch.tensor([10, 600])).sample for network in (unet, plain))
    assert torch.allclose(places(out), places(noise), atol=1e-5)
    assert not torch.allclose(places(before), places(noise), atol=1e-2)
    rest = [picture - places(picture).repeat(1, 1, 16, 16) for picture in (out, before)]
    assert torch.allclose(*rest, atol=1e-5)


def test_the_mean_of_eps_is_the_expected_one():
    """Known in closed form: what many faces of that spread of colours, with that noise, had on average, by a draw."""
    mu, spread = (
        torch.tensor([0.1, -0.1, -0.2]),
        torch.tensor([[0.04, 0.03, 0.02], [0.03, 0.04, 0.03], [0.02, 0.03, 0.04]]),
    )
    unet = small_unet(sample_size=16, colours=(tuple(mu.tolist()), *map(tuple, spread.tolist())))
    t = 850
    abar, generator = build_scheduler("ddim").alphas_cumprod[t].double(), torch.Generator().manual_seed(0)
    count = 200_000
    m = mu + torch.randn(count, 3, generator=generator).double() @ torch.linalg.cholesky(spread.double()).T
    z = torch.randn(count, 3, generator=generator).double() / 16
    d = abar.sqrt() * m + (1 - abar).sqrt() * z
    x_t = d[:64].float()[..., None, None] + torch.zeros(1, 3, 16, 16)
    with torch.no_grad():
        found = unet(x_t, t).sample.mean((2, 3)).double()
    fitted = torch.linalg.lstsq(torch.cat([d, torch.ones(count, 1)], 1), z).solution  # the best linear guess of z by d
    assert torch.allclose(found, torch.cat([d[:64], torch.ones(64, 1)], 1) @ fitted, atol=1e-3)
    assert found.std() > 0.02


def test_even_patches_are_for_networks_from_x_t_to_eps():
    with pytest.raises(ValueError, match="of equal channels; got 6 and 3"):
        small_unet(patch_size=2, sample_size=32, in_channels=6, out_channels=3, even_patches=True)
    with pytest.raises(ValueError, match="of equal channels; got 6 and 3"):
        small_unet(in_channels=6, out_channels=3, colours=((0.0,) * 3,) * 4)
