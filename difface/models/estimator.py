"""The diffused estimator f(y; w): one plain restoration network that maps a low-quality image to a rough x_0.

Three architectures behind one door: SRCNN (written here), SwinIR and LaMa's generator (built from spandrel). The
argument dictionaries below are the sizes in use: `FaceEstimator("swinir", SWINIR_512)`.
"""

import inspect
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from diffusers import ConfigMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from difface.models.srcnn import SRCNN

SRCNN_512: dict[str, Any] = {"channels": 64, "depth": 10, "down_factor": 4}
"""The paper's SRCNN (Table I): 1,031,247 parameters."""

SRCNN_TINY: dict[str, Any] = SRCNN_512
"""SRCNN for 64 x 64 pixels: the paper's network as it is, its body at 16 x 16."""

SWINIR_512: dict[str, Any] = {
    "img_size": 64,
    "patch_size": 1,
    "in_chans": 3,
    "embed_dim": 180,
    "depths": [6] * 8,
    "num_heads": [6] * 8,
    "window_size": 8,
    "mlp_ratio": 2,
    "sf": 8,
    "img_range": 1.0,
    "upsampler": "nearest+conv",
    "resi_connection": "1conv",
    "unshuffle": True,
    "unshuffle_scale": 8,
}
"""The paper's SwinIR (Tables I and III): 15,792,587 parameters, works on 64 x 64 tokens."""

SWINIR_TINY: dict[str, Any] = SWINIR_512 | {
    "img_size": 16,
    "embed_dim": 96,
    "depths": [4] * 4,
    "num_heads": [3] * 4,
    "sf": 4,
    "upsampler": "pixelshuffledirect",
    "unshuffle_scale": 4,
    "drop_path_rate": 0.0,
}
"""SwinIR for 64 x 64 pixels: 1,706,016 parameters, works on 16 x 16 tokens. One convolution and a pixel shuffle make
the tail (as the paper's Appendix B1 has it): the 512-pixel tail works at the full size and would cost as much as the
whole transformer."""

_LOCAL = {"ratio_gin": 0, "ratio_gout": 0, "enable_lfu": False}
_FOURIER = {"ratio_gin": 0.75, "ratio_gout": 0.75, "enable_lfu": False}

LAMA_256: dict[str, Any] = {
    "input_nc": 4,
    "output_nc": 3,
    "ngf": 64,
    "n_downsampling": 3,
    "n_blocks": 18,
    "add_out_act": "sigmoid",
    "init_conv_kwargs": _LOCAL,
    "downsample_conv_kwargs": _LOCAL,
    "resnet_conv_kwargs": _FOURIER,
}
"""The paper's LaMa generator for inpainting: 50,975,875 parameters."""

LAMA_TINY: dict[str, Any] = LAMA_256 | {"ngf": 24, "n_blocks": 6}
"""LaMa's generator for 64 x 64 pixels: 2,694,195 parameters, its Fourier blocks at 8 x 8."""


def _swinir(
    img_size: int,
    patch_size: int,
    in_chans: int,
    embed_dim: int,
    depths: list[int],
    num_heads: list[int],
    window_size: int,
    mlp_ratio: float,
    sf: int,
    img_range: float,
    upsampler: str,
    resi_connection: str,
    unshuffle: bool,
    unshuffle_scale: int,
    drop_path_rate: float = 0.1,
) -> tuple[nn.Module, int, int]:
    """spandrel's SwinIR with the official head, a pixel unshuffle before the first convolution (`conv_first.1.*`)."""
    from spandrel.architectures.SwinIR import SwinIR

    factor = unshuffle_scale if unshuffle else 1
    if sf != factor:
        raise ValueError(f"SwinIR must keep the size: `sf` must equal the unshuffle factor {factor}; got sf {sf}.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        net = SwinIR(
            img_size=img_size,
            patch_size=patch_size,
            in_chans=in_chans,
            embed_dim=embed_dim,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            mlp_ratio=mlp_ratio,
            drop_path_rate=drop_path_rate,
            upscale=sf,
            img_range=img_range,
            upsampler=upsampler,
            resi_connection=resi_connection,
            start_unshuffle=factor,
        )
    if unshuffle:  # the head as a module of its own, so that the keys are those of the official checkpoints
        net.conv_first = nn.Sequential(nn.PixelUnshuffle(factor), net.conv_first)
        net.start_unshuffle = 1
    return net, window_size * factor, window_size * factor


def _lama(
    input_nc: int,
    output_nc: int,
    ngf: int,
    n_downsampling: int,
    n_blocks: int,
    add_out_act: str,
    init_conv_kwargs: dict[str, Any],
    downsample_conv_kwargs: dict[str, Any],
    resnet_conv_kwargs: dict[str, Any],
) -> tuple[nn.Module, int, int]:
    """The generator inside spandrel's LaMa; the outer module is left out because it pastes the known pixels itself."""
    from spandrel.architectures.LaMa.__arch.LaMa import FFCResNetGenerator

    given = (add_out_act, init_conv_kwargs, downsample_conv_kwargs, resnet_conv_kwargs)
    fixed = ("sigmoid", _LOCAL, _LOCAL, _FOURIER)
    if given != fixed:
        raise ValueError(f"LaMa is built with add_out_act and *_conv_kwargs {fixed} only; got {given}.")
    net = FFCResNetGenerator(input_nc, output_nc, ngf=ngf, n_downsampling=n_downsampling, n_blocks=n_blocks)
    return net, 2**n_downsampling, 2 * 2**n_downsampling


def _srcnn(channels: int, depth: int, down_factor: int) -> tuple[nn.Module, int, int]:
    """Our SRCNN."""
    return SRCNN(channels, depth, down_factor), down_factor, down_factor


_ARCHITECTURES: dict[str, Callable[..., tuple[nn.Module, int, int]]] = {
    "srcnn": _srcnn,
    "swinir": _swinir,
    "lama": _lama,
}
"""Architecture -> builder that returns (network, multiple its sides must have, smallest side in pixels)."""


def _build(architecture: str, arguments: dict[str, Any]) -> tuple[nn.Module, int, int]:
    """Check the names given by the user and call the builder."""
    if architecture not in _ARCHITECTURES:
        raise ValueError(f"`architecture` must be one of {', '.join(_ARCHITECTURES)}; got {architecture!r}.")
    builder = _ARCHITECTURES[architecture]
    known = inspect.signature(builder).parameters
    unknown = sorted(set(arguments) - set(known))
    missing = [name for name, p in known.items() if p.default is p.empty and name not in arguments]
    if unknown or missing:
        raise ValueError(
            f"`arguments` of {architecture!r} must hold {', '.join(known)}; unknown: {unknown}, missing: {missing}."
        )
    return builder(**arguments)


def _call_in_float32(net: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """`net(image, mask)` in float32 whatever the type of its weights: Fourier layers have no half-precision form."""
    halves = {k: v.float() for k, v in net.state_dict().items() if v.is_floating_point() and v.dtype != torch.float32}
    with torch.autocast(image.device.type, enabled=False):
        return torch.func.functional_call(net, halves, (image.float(), mask.float()))


class FaceEstimator(ModelMixin, ConfigMixin):
    """The diffused estimator f(y; w), trained with an L1 loss to map a low-quality image y to a rough x_0.

    Any size is taken: the image is padded by reflection to the network's multiple, and the output cropped back. The
    weights may be in half precision; SwinIR then runs in autocast, LaMa in float32.

    Args:
        architecture: 'srcnn', 'swinir' or 'lama'.
        arguments: the network's own arguments, in the official constructors' names: `SRCNN_512`, `SWINIR_512`,
            `LAMA_256` and the tiny ones of this module.

    The state dict holds the network's official keys under `net.`.

    Raises:
        ValueError: an architecture or argument that is not known, or one that is missing.
    """

    @register_to_config
    def __init__(self, architecture: str, arguments: dict[str, Any]):
        super().__init__()
        self.net, self._multiple, self._smallest = _build(architecture, dict(arguments))

    @property
    def takes_mask(self) -> bool:
        """Whether the network is an inpainting one ('lama'), called with a mask."""
        return self.config.architecture == "lama"

    def forward(
        self, image: Tensor, mask: Tensor | None = None, clamp: bool = True, return_dict: bool = True
    ) -> Tensor | tuple[Tensor]:
        """f(y).

        Args:
            image: y, (B, 3, H, W) RGB in [0, 1]; its missing pixels are never seen.
            mask: (B, 1, H, W), 1 = missing, for 'lama'; None for the others.
            clamp: False leaves the network's output as it is, for the training loss.
            return_dict: False returns the tuple (f(y),), as diffusers' networks do.

        Returns:
            (B, 3, H, W) in the image's dtype, in [0, 1].

        Raises:
            ValueError: a wrong shape, a missing mask, or a mask that the network does not take.
        """
        self._check(image, mask)
        height, width = image.shape[-2:]
        if mask is None:
            with self._low_precision(image.device):
                out = self.net(self._pad(image).to(self.dtype))
        else:
            mask = mask.to(image)
            out = _call_in_float32(self.net, self._pad(image * (1 - mask)), self._pad(mask))
        out = out[..., :height, :width].to(image.dtype)
        out = out.clamp(0, 1) if clamp else out
        return out if return_dict else (out,)

    def _pad(self, image: Tensor) -> Tensor:
        """Enlarge (B, C, H, W) at right and bottom to sides that the network takes, by reflection where it can be."""
        height, width = image.shape[-2:]
        bottom, right = (max(-side % self._multiple, self._smallest - side) for side in (height, width))
        if not (bottom or right):
            return image
        mode = "reflect" if bottom < height and right < width else "replicate"
        return F.pad(image, (0, right, 0, bottom), mode=mode)

    def _low_precision(self, device: torch.device) -> AbstractContextManager:
        """Autocast for weights in half precision, where SwinIR still makes its attention mask in float32."""
        half = self.dtype in (torch.float16, torch.bfloat16)
        return torch.autocast(device.type, dtype=self.dtype) if half else nullcontext()

    def _check(self, image: Tensor, mask: Tensor | None) -> None:
        """Refuse shapes and masks that the network was not built for."""
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"`image` must be (B, 3, H, W) RGB in [0, 1]; got {tuple(image.shape)}.")
        if self.takes_mask and mask is None:
            raise ValueError("This estimator ('lama') needs `mask`, (B, 1, H, W) with 1 = missing; got None.")
        if not self.takes_mask and mask is not None:
            raise ValueError(
                f"This estimator ({self.config.architecture!r}) takes no `mask`; leave it out or use 'lama'."
            )
        wanted = (image.shape[0], 1, *image.shape[-2:])
        if mask is not None and tuple(mask.shape) != wanted:
            raise ValueError(f"`mask` must be {wanted} for this image, 1 = missing; got {tuple(mask.shape)}.")
