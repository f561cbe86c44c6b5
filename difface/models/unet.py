"""The diffusion prior's network: diffusers' `UNet2DModel` with its own number of blocks on every level, and patches."""

import torch
from diffusers import UNet2DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin  # noqa: F401  (pipelines look up the loader by this name here)
from diffusers.models.unets.unet_2d import UNet2DOutput
from diffusers.models.unets.unet_2d_blocks import get_down_block, get_up_block
from torch import nn
from torch.nn import functional

from difface.models.means import coloured, even


class UNet(UNet2DModel):
    """`UNet2DModel` whose `layers_per_block` may differ per level, as in the 512-pixel prior ([1, 2, 2, 2, 2, 3, 4]).

    `forward(sample, timestep)` is the parent's: `sample` (B, in_channels, H, W), nominally in [-1, 1]; `timestep` an
    int or (B,) on the training chain, 0..999; `.sample` of the output is (B, out_channels, H, W): eps, or eps and
    variance when there are six channels. The arguments are the parent's (those that the priors here vary), with
    defaults of the embedded 64-pixel prior.

    With `patch_size` p the levels work on p x p patches as channels (a pixel unshuffle before them and a pixel shuffle
    after): the same network at p times the side for little more time. Nothing else changes its shape: `sample_size`,
    `in_channels` and `out_channels` are those of the picture.

    Args:
        layers_per_block: residual blocks on the way down, one number for all levels or one for each; the way up has one
            more.
        patch_size: p, 1 or more; H and W must be multiples of it.
        even_patches: take a part of eps from x_t itself, see `difface.models.means.even`; for networks that see x_t
            alone and predict eps.
        colours: the same for another part of eps, see `difface.models.means.coloured`: mean and covariance of the
            training faces' mean colours.

    Raises:
        ValueError: `layers_per_block` has not one entry per level, `sample_size` is no multiple of `patch_size`, or
            `even_patches` or `colours` of a network of another kind.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 64,
        in_channels: int = 3,
        out_channels: int = 3,
        center_input_sample: bool = False,
        time_embedding_type: str = "positional",
        down_block_types: tuple[str, ...] = ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types: tuple[str, ...] = ("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        block_out_channels: tuple[int, ...] = (32, 64, 128, 192),
        layers_per_block: int | tuple[int, ...] = 1,
        downsample_type: str = "conv",
        upsample_type: str = "conv",
        dropout: float = 0.0,
        attention_head_dim: int = 32,
        norm_num_groups: int = 16,
        attn_norm_num_groups: int | None = 16,
        norm_eps: float = 1e-5,
        resnet_time_scale_shift: str = "scale_shift",
        patch_size: int = 1,
        even_patches: bool = False,
        colours: tuple[tuple[float, ...], ...] | None = None,
    ):
        levels = len(block_out_channels)
        layers = [layers_per_block] * levels if isinstance(layers_per_block, int) else list(layers_per_block)
        if len(layers) != levels:
            raise ValueError(
                f"`layers_per_block` must be one number or one per level ({levels} levels in `block_out_channels`); "
                f"got {layers}."
            )
        if patch_size < 1 or sample_size % patch_size:
            raise ValueError(f"`sample_size` must be a multiple of `patch_size`; got {sample_size} and {patch_size}.")
        if (even_patches or colours) and in_channels != out_channels:
            raise ValueError(
                f"`even_patches` and `colours` are for networks from x_t to eps, of equal channels; got {in_channels} "
                f"and {out_channels}."
            )
        # The undecorated constructor: the decorated one would put its own, single `layers_per_block` in the config.
        UNet2DModel.__init__.__wrapped__(
            self,
            sample_size=sample_size // patch_size,
            in_channels=in_channels * patch_size**2,
            out_channels=out_channels * patch_size**2,
            center_input_sample=center_input_sample,
            time_embedding_type=time_embedding_type,
            down_block_types=tuple(down_block_types),
            up_block_types=tuple(up_block_types),
            block_out_channels=tuple(block_out_channels),
            layers_per_block=1,
            downsample_type=downsample_type,
            upsample_type=upsample_type,
            dropout=dropout,
            attention_head_dim=attention_head_dim,
            norm_num_groups=norm_num_groups,
            attn_norm_num_groups=attn_norm_num_groups,
            norm_eps=norm_eps,
            resnet_time_scale_shift=resnet_time_scale_shift,
        )
        for level, count in enumerate(layers):
            if count != 1:
                self.down_blocks[level] = self._down_block(level, count)
                self.up_blocks[levels - 1 - level] = self._up_block(level, count + 1)

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float | int,
        class_labels: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> UNet2DOutput | tuple:
        """The parent's, on patches: see the class."""
        patches = functional.pixel_unshuffle(sample, self.config.patch_size)
        (out,) = super().forward(patches, timestep, class_labels, return_dict=False)
        if self.config.even_patches:
            out = even(out, patches, timestep, self.config.patch_size).to(sample.dtype)
        out = functional.pixel_shuffle(out, self.config.patch_size)
        if self.config.colours:
            out = coloured(out, sample, timestep, tuple(map(tuple, self.config.colours))).to(sample.dtype)
        return UNet2DOutput(sample=out) if return_dict else (out,)

    def _shared_block_arguments(self) -> dict:
        config = self.config
        return dict(
            temb_channels=config.block_out_channels[0] * 4,
            resnet_eps=config.norm_eps,
            resnet_act_fn="silu",
            resnet_groups=config.norm_num_groups,
            attention_head_dim=config.attention_head_dim,
            resnet_time_scale_shift=config.resnet_time_scale_shift,
            dropout=config.dropout,
        )

    def _down_block(self, level: int, num_layers: int) -> nn.Module:
        channels = self.config.block_out_channels
        return get_down_block(
            self.config.down_block_types[level],
            num_layers=num_layers,
            in_channels=channels[max(level - 1, 0)],
            out_channels=channels[level],
            add_downsample=level < len(channels) - 1,
            downsample_padding=1,
            downsample_type=self.config.downsample_type,
            **self._shared_block_arguments(),
        )

    def _up_block(self, level: int, num_layers: int) -> nn.Module:
        channels = self.config.block_out_channels
        return get_up_block(
            self.config.up_block_types[len(channels) - 1 - level],
            num_layers=num_layers,
            in_channels=channels[max(level - 1, 0)],
            out_channels=channels[level],
            prev_output_channel=channels[min(level + 1, len(channels) - 1)],
            add_upsample=level > 0,
            upsample_type=self.config.upsample_type,
            **self._shared_block_arguments(),
        )
