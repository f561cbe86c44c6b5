"""Official checkpoints -> diffusers folders (safetensors and config.json), with every size read off the checkpoint.

Two kinds are understood: 'unet', the networks of guided-diffusion, and 'estimator', SwinIR and LaMa in their official
naming. A target key asks for its official one, so a checkpoint that does not fit is refused by naming what is missing
and what is left over.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, NoReturn

import torch
from diffusers import ModelMixin
from filelock import FileLock
from torch import Tensor

from difface.files import save_whole
from difface.weights.download import cache_folder, fetch
from difface.weights.formats import load_state_dict

State = dict[str, Tensor]

_UNET_ROOTS = ("time_embed.", "input_blocks.", "middle_block.", "output_blocks.", "out.")
_SWINIR_ROOTS = ("conv_first.", "patch_embed.", "layers.", "norm.", "conv_")
_LAMA_ROOTS = ("model.",)


class ConversionError(ValueError):
    """A checkpoint does not fit the network it is to become; the message is one line for the user."""


def convert(
    file: str | Path,
    output_folder: str | Path,
    kind: str,
    *,
    image_size: int | None = None,
    head_width: int = 64,
) -> Path:
    """Turn an official checkpoint into a folder for `UNet.from_pretrained` or `FaceEstimator.from_pretrained`.

    Channels, blocks per level, attention, conditioning and resampling are read off the checkpoint. What it does not
    tell are the two options of a 'unet', and for both kinds the official choices that have no weights (32 groups in
    group norms, q, k and v stored per head; LaMa's sigmoid and its plain convolutions outside the body).

    Args:
        file: a .pth, .pt, .ckpt or .safetensors file.
        output_folder: the folder to write, whole or not at all; an earlier conversion there is replaced.
        kind: 'unet' or 'estimator'.
        image_size: side of the images in pixels, 'unet' only. None: 8 x 2^(levels - 1), because the deepest level of
            all official priors is 8 pixels wide.
        head_width: channels per attention head, 'unet' only.

    Returns:
        The folder.

    Raises:
        ValueError: `kind` is neither, an option does not apply, or the folder holds something else.
        ConversionError: the checkpoint is of another network, or keys are missing or left over.
        WeightMissing, WeightRefused: `file` is not there, or is not a checkpoint.
    """
    file, folder = Path(file), Path(output_folder)
    if kind not in _CONVERTERS:
        raise ValueError(f"`kind` must be one of {', '.join(_CONVERTERS)}; got {kind!r}.")
    if kind == "estimator" and (image_size is not None or head_width != 64):
        raise ValueError(
            "`image_size` and `head_width` are for kind 'unet'; an estimator's checkpoint tells everything."
        )
    if head_width < 1:
        raise ValueError(f"`head_width` must be at least 1 channel per head; got {head_width}.")
    _check_folder(folder)
    state = load_state_dict(file)
    try:
        model = _CONVERTERS[kind](state, image_size, head_width)
    except ConversionError as error:
        raise ConversionError(f"{file} cannot become a {kind!r}: {error}") from None
    save_whole(model, folder)
    return folder


def converted(name: str, kind: str, image_size: int | None = None) -> Path:
    """The diffusers folder of a catalogued checkpoint in the cache: fetched and converted the first time, then reused.

    Once the folder is there the official file is not needed any more. Delete the folder to convert again.

    Args:
        name: a file name in the catalog.
        kind: 'unet' or 'estimator'.
        image_size: as for `convert`.

    Raises:
        As `fetch` and `convert`.
    """
    label = Path(name).stem + (f"-{image_size}" if image_size else "")
    folder = cache_folder() / "converted" / label
    if not (folder / "config.json").is_file():
        file = fetch(name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{label}.lock")):
            if not (folder / "config.json").is_file():  # unless another process has converted it meanwhile
                convert(file, folder, kind, image_size=image_size)
    return folder


def is_converted(name: str) -> bool:
    """Whether a catalogued checkpoint has been converted, so that its file is not needed any more."""
    return any((cache_folder() / "converted").glob(f"{Path(name).stem}*/config.json"))


# The diffusion prior: guided-diffusion's UNet -> `UNet`.

_UNET_LEAVES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
    "group_norm": "norm",
    "to_q": "qkv",
    "to_k": "qkv",
    "to_v": "qkv",
    "to_out.0": "proj_out",
}
"""Inside a residual or attention block: our name -> the official one."""

_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
"""Outside the levels: our prefix -> the official one."""


@dataclass(frozen=True)
class _Level:
    """One resolution of a UNet: its channels, its residual blocks on the way down, and whether they attend."""

    channels: int
    blocks: int
    attention: bool


def _convert_unet(state: State, image_size: int | None, head_width: int) -> ModelMixin:
    """A guided-diffusion state dict as a `UNet` that holds its tensors."""
    from difface.models.unet import UNet

    _shape(state, "time_embed.0.weight", 2, _UNET_ROOTS)
    levels, resample = _unet_levels(state)
    _check_widths(levels, head_width)
    arguments = _unet_arguments(state, levels, resample)
    shrinks = 2 ** (len(levels) - 1)
    sample_size = 8 * shrinks if image_size is None else image_size
    if sample_size < 1 or sample_size % shrinks:
        raise ConversionError(
            f"`image_size` must be a multiple of {shrinks} for {len(levels)} levels; got {image_size}."
        )
    with torch.device("meta"):  # no memory: every parameter is assigned below
        model = UNet(sample_size=sample_size, attention_head_dim=head_width, **arguments)
    prefixes = _UNET_ENDS | _unet_level_prefixes(levels)
    sources = {target: _unet_source(target, prefixes) for target in model.state_dict()}
    _check_keys(state, list(sources.values()))
    tensors = {target: _unet_tensor(target, source, state[source], head_width) for target, source in sources.items()}
    return _load(model, tensors, sources)


def _unet_levels(state: State) -> tuple[list[_Level], str]:
    """The levels from full resolution down, and how they resample: "conv" or "resnet".

    They are read off the way up, where every level ends visibly: with a convolution, or with one more residual block.
    """
    levels, count, attention, resample = [], 0, False, "conv"
    total = _count(state, r"output_blocks\.(\d+)\.")
    for block in range(total):
        part = re.compile(rf"output_blocks\.{block}\.([1-9])\.(\w+)")
        leaves = {match[2] for key in state if (match := part.match(key))}
        ends = leaves & {"conv", "in_layers", "out_layers", "emb_layers"}
        attention, count = attention or "qkv" in leaves, count + 1
        if "conv" not in ends and ends:
            resample = "resnet"
        if ends or block == total - 1:
            channels = _shape(state, f"output_blocks.{block}.0.out_layers.3.weight", 4, _UNET_ROOTS)[0]
            levels.append(_Level(channels, max(count - 1, 1), attention))
            count, attention = 0, False
    if not levels:
        _refuse("output_blocks.0.0.in_layers.0.weight", _first_foreign(state, _UNET_ROOTS))
    return levels[::-1], resample


def _unet_arguments(state: State, levels: list[_Level], resample: str) -> dict[str, Any]:
    """The constructor arguments of `UNet` that the checkpoint tells."""
    plain = {"conv": ("DownBlock2D", "UpBlock2D"), "resnet": ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D")}
    down, up = plain[resample]
    embedding = _shape(state, "input_blocks.1.0.emb_layers.1.weight", 2, _UNET_ROOTS)[0]
    return {
        "in_channels": _shape(state, "input_blocks.0.0.weight", 4, _UNET_ROOTS)[1],
        "out_channels": _shape(state, "out.2.weight", 4, _UNET_ROOTS)[0],
        "down_block_types": tuple("AttnDownBlock2D" if level.attention else down for level in levels),
        "up_block_types": tuple("AttnUpBlock2D" if level.attention else up for level in reversed(levels)),
        "block_out_channels": tuple(level.channels for level in levels),
        "layers_per_block": tuple(level.blocks for level in levels),
        "downsample_type": resample,
        "upsample_type": resample,
        "norm_num_groups": 32,
        "attn_norm_num_groups": 32,
        "resnet_time_scale_shift": "scale_shift" if embedding == 2 * levels[0].channels else "default",
    }


def _check_widths(levels: list[_Level], head_width: int) -> None:
    """Refuse channels that the group norms or the heads cannot divide; the middle block always attends."""
    for level in levels:
        if level.channels % 32:
            raise ConversionError(f"channels must be multiples of 32, the groups of its norms; got {level.channels}.")
        if (level.attention or level is levels[-1]) and level.channels % head_width:
            raise ConversionError(
                f"attention over {level.channels} channels has no heads of width {head_width}; give another head width."
            )


def _unet_level_prefixes(levels: list[_Level]) -> dict[str, str]:
    """Our prefix -> the official one, for every block of every level."""
    prefixes, n = {}, 1
    for i, level in enumerate(levels):
        for j in range(level.blocks):
            prefixes[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{n}.0"
            prefixes[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{n}.1"
            n += 1
        prefixes[f"down_blocks.{i}.downsamplers.0"] = f"input_blocks.{n}.0"
        prefixes[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{n}.0.op"
        n += 1
    n = 0
    for i, level in enumerate(reversed(levels)):
        for j in range(level.blocks + 1):
            prefixes[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{n}.0"
            prefixes[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{n}.1"
            n += 1
        prefixes[f"up_blocks.{i}.upsamplers.0"] = f"output_blocks.{n - 1}.{1 + level.attention}"
    return prefixes


def _unet_source(target: str, prefixes: dict[str, str]) -> str:
    """The official key of one of ours: the longest prefix that is known, then the leaf, then weight or bias."""
    path, parameter = target.rsplit(".", 1)
    if path in prefixes:
        return f"{prefixes[path]}.{parameter}"
    block = next(path[:i] for i in range(len(path), 0, -1) if path[:i] in prefixes and path[i] == ".")
    leaf = path[len(block) + 1 :]
    return f"{prefixes[block]}.{_UNET_LEAVES.get(leaf, leaf)}.{parameter}"


def _unet_tensor(target: str, source: str, tensor: Tensor, head_width: int) -> Tensor:
    """The official tensor in our layout: q, k or v of their interleaving, attention's 1x1 convolutions as matrices."""
    if ".attentions." not in target:
        return tensor
    role = re.search(r"\.to_([qkv])\.", target)
    if role is None:
        return tensor.flatten(1) if tensor.ndim == 3 else tensor
    if tensor.shape[0] % (3 * head_width):
        raise ConversionError(f"{source} must have 3 x {head_width} rows per head; got shape {tuple(tensor.shape)}.")
    per_head = tensor.unflatten(0, (-1, 3, head_width))  # (heads, 3, head_width, ...)
    return per_head[:, "qkv".index(role[1])].flatten(0, 1).flatten(1 if tensor.ndim > 1 else 0)


# The diffused estimator: SwinIR and LaMa in their official naming -> `FaceEstimator`.


def _convert_estimator(state: State, image_size: int | None, head_width: int) -> ModelMixin:
    """A SwinIR or LaMa state dict as a `FaceEstimator` that holds its tensors."""
    from difface.models.estimator import FaceEstimator

    if any(key.startswith("conv_first.") for key in state):
        architecture, arguments = "swinir", _swinir_arguments(state)
    elif any(key.startswith("model.1.ffc.") for key in state):
        architecture, arguments = "lama", _lama_arguments(state)
    else:
        _refuse("conv_first.1.weight (SwinIR) or model.1.ffc.convl2l.weight (LaMa)", next(iter(state)))
    try:
        model = FaceEstimator(architecture, arguments)
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"no {architecture} of these sizes can be built ({error})") from error
    sources = {target: target.removeprefix("net.") for target in model.state_dict()}
    _check_keys(state, list(sources.values()))
    return _load(model, {target: state[source] for target, source in sources.items()}, sources)


def _swinir_arguments(state: State) -> dict[str, Any]:
    """SwinIR's constructor arguments, in the official names."""
    from difface.models.estimator import SWINIR_512

    unshuffle = any(key.startswith("conv_first.1.") for key in state)
    width, head_in = _shape(state, f"conv_first.{'1.' * unshuffle}weight", 4, _SWINIR_ROOTS)[:2]
    channels = _shape(state, "conv_last.weight", 4, _SWINIR_ROOTS)[0]
    groups = [rf"layers\.{i}\.residual_group\.blocks\.(\d+)\." for i in range(_count(state, r"layers\.(\d+)\."))]
    tables = [
        _shape(state, f"layers.{i}.residual_group.blocks.0.attn.relative_position_bias_table", 2, _SWINIR_ROOTS)
        for i in range(max(len(groups), 1))
    ]
    hidden = _shape(state, "layers.0.residual_group.blocks.0.mlp.fc1.weight", 2, _SWINIR_ROOTS)[0]
    window = (isqrt(tables[0][0]) + 1) // 2  # the table has (2 window - 1)^2 rows
    masks = next((tensor.shape[0] for key, tensor in state.items() if key.endswith(".attn_mask")), 1)
    return SWINIR_512 | {
        "img_size": window * isqrt(masks),  # one mask per window
        "in_chans": channels,
        "embed_dim": width,
        "depths": [_count(state, group) for group in groups],
        "num_heads": [heads for _, heads in tables],
        "window_size": window,
        "mlp_ratio": hidden // width if hidden % width == 0 else hidden / width,
        "sf": 2 ** sum(f"conv_up{i}.weight" in state for i in (1, 2, 3)),
        "resi_connection": "3conv" if "layers.0.conv.0.weight" in state else "1conv",
        "unshuffle": unshuffle,
        "unshuffle_scale": isqrt(head_in // channels),
    }


def _lama_arguments(state: State) -> dict[str, Any]:
    """The constructor arguments of LaMa's generator, in the official names."""
    from difface.models.estimator import LAMA_256

    width, channels = _shape(state, "model.1.ffc.convl2l.weight", 4, _LAMA_ROOTS)[:2]
    outer = _numbers(state, r"model\.(\d+)\.ffc\.")
    blocks = _numbers(state, r"model\.(\d+)\.conv[12]\.")
    first = min(blocks, default=max(outer) + 1)
    last = max(_numbers(state, r"model\.(\d+)\."))
    to_local = _shape(state, f"model.{first}.conv1.ffc.convl2l.weight", 4, _LAMA_ROOTS)[0]
    to_global = _shape(state, f"model.{first}.conv1.ffc.convl2g.weight", 4, _LAMA_ROOTS)[0]
    ratio = to_global / (to_local + to_global)
    local_fourier = any(".lfu." in key for key in state)
    return LAMA_256 | {
        "input_nc": channels,
        "output_nc": _shape(state, f"model.{last}.weight", 4, _LAMA_ROOTS)[0],
        "ngf": width,
        "n_downsampling": len(outer) - 1,
        "n_blocks": len(blocks),
        "resnet_conv_kwargs": {"ratio_gin": ratio, "ratio_gout": ratio, "enable_lfu": local_fourier},
    }


_CONVERTERS: dict[str, Callable[[State, int | None, int], ModelMixin]] = {
    "unet": _convert_unet,
    "estimator": _convert_estimator,
}
"""Kind -> the function that turns a state dict into a model."""


# Both kinds: reading a state dict, refusing it, filling a model, writing a folder.


def _shape(state: State, key: str, dimensions: int, roots: tuple[str, ...]) -> tuple[int, ...]:
    """The shape of a tensor that must be there; `roots` are what the network's keys start with."""
    if key not in state:
        _refuse(key, _first_foreign(state, roots))
    if state[key].ndim != dimensions:
        raise ConversionError(f"{key} must have {dimensions} dimensions; got shape {tuple(state[key].shape)}.")
    return tuple(state[key].shape)


def _numbers(state: State, pattern: str) -> set[int]:
    """The numbers that the pattern's group takes at the start of the keys."""
    return {int(match[1]) for key in state if (match := re.match(pattern, key))}


def _count(state: State, pattern: str) -> int:
    """One more than the largest number that the pattern's group takes; 0 where it matches nothing."""
    return max(_numbers(state, pattern), default=-1) + 1


def _first_foreign(state: State, roots: tuple[str, ...]) -> str | None:
    """The first key that the network has no part for."""
    return next((key for key in state if not key.startswith(roots)), None)


def _check_keys(state: State, wanted: list[str]) -> None:
    """Refuse a state dict with keys missing or left over."""
    missing = next((key for key in wanted if key not in state), None)
    known = set(wanted)
    unexpected = next((key for key in state if key not in known), None)
    if missing or unexpected:
        _refuse(missing, unexpected)


def _refuse(missing: str | None, unexpected: str | None) -> NoReturn:
    raise ConversionError(
        f"its keys do not fit. First missing: {missing or 'none'}; first unexpected: {unexpected or 'none'}. "
        "Give the official file of that kind."
    )


def _load(model: ModelMixin, tensors: State, sources: dict[str, str]) -> ModelMixin:
    """Put the tensors themselves into the model."""
    for target, wanted in model.state_dict().items():
        if tensors[target].shape != wanted.shape:
            given = tuple(tensors[target].shape)
            raise ConversionError(f"{sources[target]} must have shape {tuple(wanted.shape)}; got {given}.")
    model.load_state_dict({key: value.contiguous() for key, value in tensors.items()}, strict=True, assign=True)
    return model


def _check_folder(folder: Path) -> None:
    """Refuse to replace anything but an earlier conversion."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else [folder.name]
    foreign = [name for name in names if name != "config.json" and not name.startswith("diffusion_pytorch_model")]
    if foreign or _class_name(folder) not in ("UNet", "FaceEstimator"):
        raise ValueError(
            f"{folder} holds something else ({(foreign or names)[0]}); give a new or empty folder, or that of an "
            "earlier conversion."
        )


def _class_name(folder: Path) -> str | None:
    """The class that a diffusers folder is of, or None where that is not told."""
    try:
        return dict(json.loads((folder / "config.json").read_text())).get("_class_name")
    except (OSError, ValueError, TypeError):
        return None
