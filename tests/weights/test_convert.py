"""Conversion: against outputs of official networks, against a second implementation here, and at full size."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from difface.models.estimator import FaceEstimator
from difface.models.unet import UNet
from difface.weights import (
    CATALOG,
    ConversionError,
    Weight,
    WeightMissing,
    WeightRefused,
    convert,
    converted,
    is_converted,
)

FULL_SIZE = ["prior_ffhq512", "prior_ffhq256", "prior_imagenet256", "estimator_swinir512", "estimator_lama256"]


# A second implementation of guided-diffusion's UNet: its keys for given arguments, its forward pass on such a state.


def official_blocks(multipliers, blocks):
    """The layout: for every input and output block (level, 'res' or 'down' or 'up' as the last thing it does)."""
    down, up = [], []
    for level, count in enumerate(blocks):
        down += [(level, "res")] * count + [(level, "down")] * (level < len(multipliers) - 1)
    for level, count in reversed(list(enumerate(blocks))):
        up += [(level, "res")] * count + [(level, "up" if level else "res")]
    return down, up


def residual_shapes(prefix, given, made, embedding):
    """Keys and shapes of a residual block."""
    shapes = {
        f"{prefix}.in_layers.0.weight": [given],
        f"{prefix}.in_layers.0.bias": [given],
        f"{prefix}.in_layers.2.weight": [made, given, 3, 3],
        f"{prefix}.in_layers.2.bias": [made],
        f"{prefix}.emb_layers.1.weight": [2 * made, embedding],
        f"{prefix}.emb_layers.1.bias": [2 * made],
        f"{prefix}.out_layers.0.weight": [made],
        f"{prefix}.out_layers.0.bias": [made],
        f"{prefix}.out_layers.3.weight": [made, made, 3, 3],
        f"{prefix}.out_layers.3.bias": [made],
    }
    if given != made:
        shapes |= {f"{prefix}.skip_connection.weight": [made, given, 1, 1], f"{prefix}.skip_connection.bias": [made]}
    return shapes


def attention_shapes(prefix, width):
    """Keys and shapes of an attention block."""
    return {
        f"{prefix}.norm.weight": [width],
        f"{prefix}.norm.bias": [width],
        f"{prefix}.qkv.weight": [3 * width, width, 1],
        f"{prefix}.qkv.bias": [3 * width],
        f"{prefix}.proj_out.weight": [width, width, 1],
        f"{prefix}.proj_out.bias": [width],
    }


def official_shapes(width, multipliers, blocks, attending, updown, channels=(3, 6)):
    """Keys and shapes of a guided-diffusion UNet; `attending` are levels."""
    down, up = official_blocks(multipliers, blocks)
    embedding, current = 4 * width, width
    shapes = {"time_embed.0.weight": [embedding, width], "time_embed.0.bias": [embedding]}
    shapes |= {"time_embed.2.weight": [embedding, embedding], "time_embed.2.bias": [embedding]}
    shapes |= {"input_blocks.0.0.weight": [width, channels[0], 3, 3], "input_blocks.0.0.bias": [width]}
    skips = [width]
    for n, (level, does) in enumerate(down, 1):
        made = width * multipliers[level]
        if does == "res" or updown:
            shapes |= residual_shapes(f"input_blocks.{n}.0", current, made, embedding)
        else:
            shapes |= {f"input_blocks.{n}.0.op.weight": [made, made, 3, 3], f"input_blocks.{n}.0.op.bias": [made]}
        if does == "res" and level in attending:
            shapes |= attention_shapes(f"input_blocks.{n}.1", made)
        current = made
        skips.append(made)
    for n, part in enumerate((residual_shapes, attention_shapes, residual_shapes)):
        prefix = f"middle_block.{n}"
        shapes |= part(prefix, current, current, embedding) if n != 1 else part(prefix, current)
    for n, (level, does) in enumerate(up):
        made = width * multipliers[level]
        shapes |= residual_shapes(f"output_blocks.{n}.0", current + skips.pop(), made, embedding)
        if level in attending:
            shapes |= attention_shapes(f"output_blocks.{n}.1", made)
        if does == "up":
            prefix = f"output_blocks.{n}.{2 if level in attending else 1}"
            conv = {f"{prefix}.conv.weight": [made, made, 3, 3], f"{prefix}.conv.bias": [made]}
            shapes |= residual_shapes(prefix, made, made, embedding) if updown else conv
        current = made
    shapes |= {"out.0.weight": [current], "out.0.bias": [current]}
    return shapes | {"out.2.weight": [channels[1], current, 3, 3], "out.2.bias": [channels[1]]}


class OfficialUNet:
    """The forward pass, straight on an official state dict."""

    def __init__(self, state, layout, head_width):
        self.state, self.layout, self.head_width = state, layout, head_width

    def of(self, prefix):
        return self.state[f"{prefix}.weight"], self.state[f"{prefix}.bias"]

    def norm(self, prefix, x):
        return F.group_norm(x, 32, *self.of(prefix), eps=1e-5)

    def residual(self, prefix, x, emb, resample=lambda x: x):
        h = resample(F.silu(self.norm(f"{prefix}.in_layers.0", x)))
        h = F.conv2d(h, *self.of(f"{prefix}.in_layers.2"), padding=1)
        scale, shift = F.linear(F.silu(emb), *self.of(f"{prefix}.emb_layers.1"))[..., None, None].chunk(2, 1)
        h = F.silu(self.norm(f"{prefix}.out_layers.0", h) * (1 + scale) + shift)
        h = F.conv2d(h, *self.of(f"{prefix}.out_layers.3"), padding=1)
        skip = f"{prefix}.skip_connection"
        x = resample(x)
        return h + (F.conv2d(x, *self.of(skip)) if f"{skip}.weight" in self.state else x)

    def attention(self, prefix, x):
        if f"{prefix}.qkv.weight" not in self.state:
            return x
        batch, width, *size = x.shape
        h = self.norm(f"{prefix}.norm", x).flatten(2)
        out = []
        for head in F.conv1d(h, *self.of(f"{prefix}.qkv")).split(3 * self.head_width, dim=1):
            q, k, v = head.split(self.head_width, dim=1)
            weight = torch.einsum("bct,bcs->bts", q, k).div(self.head_width**0.5).softmax(-1)
            out.append(torch.einsum("bts,bcs->bct", weight, v))
        h = F.conv1d(torch.cat(out, 1), *self.of(f"{prefix}.proj_out"))
        return x + h.view(batch, width, *size)

    def down(self, prefix, x, emb):
        if f"{prefix}.op.weight" in self.state:
            return F.conv2d(x, *self.of(f"{prefix}.op"), stride=2, padding=1)
        return self.residual(prefix, x, emb, lambda x: F.avg_pool2d(x, 2))

    def up(self, n, x, emb):
        prefix = f"output_blocks.{n}.{2 if f'output_blocks.{n}.1.qkv.weight' in self.state else 1}"
        if f"{prefix}.conv.weight" in self.state:
            return F.conv2d(F.interpolate(x, scale_factor=2), *self.of(f"{prefix}.conv"), padding=1)
        return self.residual(prefix, x, emb, lambda x: F.interpolate(x, scale_factor=2))

    def __call__(self, x, t):
        half = self.state["time_embed.0.weight"].shape[1] // 2
        angles = t[:, None] * 10_000 ** (-torch.arange(half) / half)
        emb = F.linear(torch.cat([angles.cos(), angles.sin()], 1), *self.of("time_embed.0"))
        emb = F.linear(F.silu(emb), *self.of("time_embed.2"))
        x = F.conv2d(x, *self.of("input_blocks.0.0"), padding=1)
        skips = [x]
        for n, (_, does) in enumerate(self.layout[0], 1):
            prefix = f"input_blocks.{n}"
            if does == "down":
                x = self.down(f"{prefix}.0", x, emb)
            else:
                x = self.attention(f"{prefix}.1", self.residual(f"{prefix}.0", x, emb))
            skips.append(x)
        x = self.attention("middle_block.1", self.residual("middle_block.0", x, emb))
        x = self.residual("middle_block.2", x, emb)
        for n, (_, does) in enumerate(self.layout[1]):
            prefix = f"output_blocks.{n}"
            x = self.residual(f"{prefix}.0", torch.cat([x, skips.pop()], 1), emb)
            x = self.attention(f"{prefix}.1", x)
            x = self.up(n, x, emb) if does == "up" else x
        return F.conv2d(F.silu(self.norm("out.0", x)), *self.of("out.2"), padding=1)


def random_state(shapes, seed=0):
    """Random tensors: fan-in scaled weights, norm weights near one."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        draw = torch.randn(shape, generator=generator)
        norm = key.endswith("weight") and len(shape) == 1
        state[key] = 1 + 0.1 * draw if norm else draw / max(1, draw[0].numel()) ** 0.5
    return state


SMALL = {
    "plain": {"multipliers": [1, 2], "blocks": [1, 1], "attending": [], "updown": False},
    "per-level": {"multipliers": [1, 1, 2], "blocks": [1, 3, 2], "attending": [1], "updown": False},
    "updown": {"multipliers": [1, 2, 3], "blocks": [2, 2, 2], "attending": [1, 2], "updown": True},
    "updown-first": {"multipliers": [1, 2, 2], "blocks": [1, 2, 1], "attending": [0], "updown": True},
}


def small(name, **others):
    """A small UNet by name: (state, layout)."""
    arguments = SMALL[name]
    layout = official_blocks(arguments["multipliers"], arguments["blocks"])
    return random_state(official_shapes(32, **arguments, **others)), layout


@pytest.mark.parametrize("name", FULL_SIZE[:3])
def test_the_second_implementations_keys_are_the_official_ones(parity, name):
    network = json.loads((parity / "official_state_dicts.json").read_text())[name]
    arguments = network["arguments"]
    levels = len(arguments["channel_mult"])
    blocks = arguments["num_res_blocks"]
    sizes = [arguments["image_size"] >> level for level in range(levels)]
    shapes = official_shapes(
        arguments["model_channels"],
        arguments["channel_mult"],
        blocks if isinstance(blocks, list) else [blocks] * levels,
        [level for level, size in enumerate(sizes) if size in arguments["attention_resolutions"]],
        arguments["resblock_updown"],
    )
    assert shapes == network["keys"]


# Parity


@pytest.fixture(scope="session")
def unet_small(parity):
    """The official small UNet: (state, x, t, out)."""
    data = load_file(parity / "unet_small.safetensors")
    state = {key.removeprefix("sd."): value for key, value in data.items() if key.startswith("sd.")}
    return state, data["x"], data["t"], data["out"]


def test_the_second_implementation_matches_the_official_one(unet_small):
    state, x, t, out = unet_small
    layout = official_blocks([1, 2, 2], [1, 2, 3])
    assert (OfficialUNet(state, layout, 32)(x, t) - out).abs().max() < 1e-5


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_converted_unet_matches_the_official_one(unet_small, tmp_path, suffix):
    state, x, t, out = unet_small
    file = tmp_path / f"net.{suffix}"
    save_file(state, file) if suffix == "safetensors" else torch.save({"state_dict": state}, file)
    unet = UNet.from_pretrained(convert(file, tmp_path / "out", "unet", head_width=32))
    with torch.no_grad():
        assert (unet(x, t).sample - out).abs().max() < 1e-5
    assert unet.config.sample_size == 32
    assert list(unet.config.layers_per_block) == [1, 2, 3]


@pytest.mark.parametrize("name", SMALL)
def test_converted_unets_match_the_second_implementation(tmp_path, name):
    state, layout = small(name)
    torch.save(state, tmp_path / "net.pth")
    unet = UNet.from_pretrained(convert(tmp_path / "net.pth", tmp_path / "out", "unet", head_width=32))
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([3, 700])
    with torch.no_grad():
        out, wanted = unet(x, t).sample, OfficialUNet(state, layout, 32)(x, t)
    assert wanted.std() > 0.1
    assert (out - wanted).abs().max() < 1e-4
    assert unet.config.downsample_type == ("resnet" if SMALL[name]["updown"] else "conv")


def test_the_head_width_matters(unet_small, tmp_path):
    state, x, t, out = unet_small
    torch.save(state, tmp_path / "net.pth")
    unet = UNet.from_pretrained(convert(tmp_path / "net.pth", tmp_path / "out", "unet", head_width=64))
    with torch.no_grad():
        assert (unet(x, t).sample - out).abs().max() > 1e-3


def test_the_converted_swinir_matches_the_official_one(parity, tmp_path):
    data = load_file(parity / "swinir_small.safetensors")
    arguments = json.loads((parity / "swinir_small.json").read_text())
    state = {f"module.{key.removeprefix('sd.')}": value for key, value in data.items() if key.startswith("sd.")}
    torch.save({"state_dict": state, "iters_start": 1}, tmp_path / "net.pth")
    estimator = FaceEstimator.from_pretrained(convert(tmp_path / "net.pth", tmp_path / "out", "estimator"))
    assert estimator.config.architecture == "swinir"
    assert estimator.config.arguments == arguments
    with torch.no_grad():
        assert (estimator(data["x"], clamp=False) - data["out"]).abs().max() < 1e-5


# Full size


def filled(shapes):
    """A state dict of that size, cheaply: one small random block over and over, in half precision."""
    block = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).mul_(0.03).half()
    state = {}
    for key, shape in shapes.items():
        count = torch.Size(shape).numel()
        values = block.repeat(count // len(block) + 1)[:count] if count > len(block) else block[:count].clone()
        whole = key.endswith(("num_batches_tracked", "relative_position_index"))
        state[key] = (torch.zeros(count, dtype=torch.int64) if whole else values).view(shape)
    return state


@pytest.mark.parametrize("name", FULL_SIZE)
def test_the_full_size_networks_convert_with_nothing_missing_or_left_over(parity, tmp_path, name):
    network = json.loads((parity / "official_state_dicts.json").read_text())[name]
    file = tmp_path / "net.pth"
    torch.save(filled(network["keys"]), file)
    kind = name.split("_")[0].replace("prior", "unet")
    folder = convert(file, tmp_path / "out", kind)
    file.unlink()
    stored = load_file(folder / "diffusion_pytorch_model.safetensors")
    numbers = {key: value.numel() for key, value in stored.items() if value.is_floating_point()}
    buffers = ("running_mean", "running_var", "attn_mask")
    assert sum(count for key, count in numbers.items() if not key.endswith(buffers)) == network["parameters"]
    assert {value.dtype for value in stored.values() if value.is_floating_point()} == {torch.float16}
    config = json.loads((folder / "config.json").read_text())
    if kind == "estimator":
        assert config["arguments"] == network["arguments"]
    else:
        assert config["sample_size"] == network["arguments"]["image_size"]
    if name == "prior_ffhq512":
        forward_once(folder)
    (folder / "diffusion_pytorch_model.safetensors").unlink()


def forward_once(folder):
    """The 512-pixel prior, one call: six channels, finite and not flat."""
    unet = UNet.from_pretrained(folder, torch_dtype=torch.float32)
    x = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = unet(x, 396).sample
    assert out.shape == (1, 6, 512, 512)
    assert out.isfinite().all() and out.std() > 0


@pytest.mark.parametrize(("in_channels", "out_channels"), [(3, 3), (4, 6)])
def test_channels_in_and_out_are_read(tmp_path, in_channels, out_channels):
    state, _ = small("plain", channels=(in_channels, out_channels))
    torch.save(state, tmp_path / "net.pth")
    unet = UNet.from_pretrained(convert(tmp_path / "net.pth", tmp_path / "out", "unet", head_width=32, image_size=48))
    assert (unet.config.in_channels, unet.config.out_channels, unet.config.sample_size) == (
        in_channels,
        out_channels,
        48,
    )


# Refusals


def refusal(tmp_path, state, kind="unet", **options):
    """The message with which this state dict is refused: one line that names the file, and nothing is written."""
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ConversionError) as error:
        convert(tmp_path / "net.pth", tmp_path / "out", kind, **options)
    assert "\n" not in str(error.value) and str(tmp_path / "net.pth") in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]
    return str(error.value)


@pytest.mark.parametrize("name", ["per-level", "updown"])
def test_missing_keys_of_a_unet_are_named(tmp_path, name):
    shapes = official_shapes(32, **SMALL[name])
    state = {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}  # little to save
    for key in list(state)[::9]:
        message = refusal(tmp_path, {k: v for k, v in state.items() if k != key}, head_width=32)
        assert f"First missing: {key}; first unexpected: none" in message


def test_a_key_left_over_is_named(tmp_path):
    state, _ = small("plain")
    state["label_emb.weight"] = torch.zeros(10, 128)
    assert "unexpected: label_emb.weight" in refusal(tmp_path, state, head_width=32)


def test_a_wrong_shape_is_named(tmp_path):
    state, _ = small("plain")
    state["middle_block.0.out_layers.3.weight"] = torch.zeros(64, 32, 3, 3)
    message = refusal(tmp_path, state, head_width=32)
    assert "middle_block.0.out_layers.3.weight must have shape (64, 64, 3, 3); got (64, 32, 3, 3)" in message


def test_a_head_width_that_does_not_divide_is_refused(tmp_path):
    state, _ = small("plain")
    assert "no heads of width 48" in refusal(tmp_path, state, head_width=48)


@pytest.mark.parametrize("image_size", [33, 0, -2])
def test_an_image_size_that_the_levels_do_not_divide_is_refused(tmp_path, image_size):
    state, _ = small("plain")
    assert "must be a multiple of 2 for 2 levels" in refusal(tmp_path, state, head_width=32, image_size=image_size)


def swinir_state(depth=2, groups=2):
    """A state dict of a small SwinIR in the official naming."""
    arguments = {"img_size": 16, "patch_size": 1, "in_chans": 3, "embed_dim": 12, "depths": [depth] * groups}
    arguments |= {"num_heads": [2] * groups, "window_size": 8, "mlp_ratio": 2, "sf": 2, "img_range": 1.0}
    arguments |= {"upsampler": "nearest+conv", "resi_connection": "1conv", "unshuffle": True, "unshuffle_scale": 2}
    estimator = FaceEstimator("swinir", arguments)
    return {key.removeprefix("net."): value.clone() for key, value in estimator.state_dict().items()}, arguments


def lama_state():
    """A state dict of a small LaMa generator in the official naming, and its arguments."""
    from difface.models.estimator import LAMA_256

    arguments = LAMA_256 | {"ngf": 8, "n_downsampling": 2, "n_blocks": 2}
    estimator = FaceEstimator("lama", arguments)
    return {key.removeprefix("net."): value.clone() for key, value in estimator.state_dict().items()}, arguments


@pytest.mark.parametrize("make", [swinir_state, lama_state])
def test_estimators_of_other_sizes_are_read_off(tmp_path, make):
    state, arguments = make()
    torch.save({"params": state}, tmp_path / "net.pth")
    estimator = FaceEstimator.from_pretrained(convert(tmp_path / "net.pth", tmp_path / "out", "estimator"))
    assert estimator.config.arguments == arguments
    assert all(torch.equal(value, state[key.removeprefix("net.")]) for key, value in estimator.state_dict().items())


@pytest.mark.parametrize("make", [swinir_state, lama_state])
def test_missing_keys_of_an_estimator_are_refused(tmp_path, make):
    state, _ = make()
    for key in list(state)[:: max(1, len(state) // 25)]:
        refusal(tmp_path, {k: v for k, v in state.items() if k != key}, "estimator")


def test_a_missing_key_of_an_estimator_is_named(tmp_path):
    state, _ = swinir_state()
    del state["layers.1.conv.bias"]
    assert "First missing: layers.1.conv.bias; first unexpected: none" in refusal(tmp_path, state, "estimator")


def test_another_networks_checkpoint_is_refused(tmp_path):
    swinir, _ = swinir_state()
    unet, _ = small("plain")
    message = refusal(tmp_path, swinir, "unet")
    assert "First missing: time_embed.0.weight; first unexpected: conv_first.1.weight" in message
    message = refusal(tmp_path, unet, "estimator")
    assert "First missing: conv_first.1.weight" in message and "first unexpected: time_embed.0.weight" in message


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is a text file", b"<html></html>", b"PK\x03\x04 broken", b"\x80"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(WeightRefused, match="net.pth") as error:
        convert(tmp_path / "net.pth", tmp_path / "out", "unet")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_options_are_checked(tmp_path):
    with pytest.raises(ValueError, match="`kind` must be one of unet, estimator; got 'gan'"):
        convert(tmp_path / "net.pth", tmp_path / "out", "gan")
    with pytest.raises(ValueError, match="are for kind 'unet'"):
        convert(tmp_path / "net.pth", tmp_path / "out", "estimator", image_size=256)
    with pytest.raises(ValueError, match="`head_width` must be at least 1"):
        convert(tmp_path / "net.pth", tmp_path / "out", "unet", head_width=0)
    with pytest.raises(WeightMissing, match="There is no file"):
        convert(tmp_path / "net.pth", tmp_path / "out", "unet")


def test_only_an_earlier_conversion_is_replaced(tmp_path):
    state, _ = small("plain")
    torch.save(state, tmp_path / "net.pth")
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else .*thesis.txt"):
        convert(tmp_path / "net.pth", out, "unet", head_width=32)
    assert (out / "thesis.txt").read_text() == "mine"
    (out / "thesis.txt").unlink()
    convert(tmp_path / "net.pth", out, "unet", head_width=32)
    state["out.2.bias"] += 1
    torch.save(state, tmp_path / "net.pth")
    convert(tmp_path / "net.pth", out, "unet", head_width=32)
    assert torch.equal(load_file(out / "diffusion_pytorch_model.safetensors")["conv_out.bias"], state["out.2.bias"])
    (out / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(ValueError, match="holds something else"):
        convert(tmp_path / "net.pth", out, "unet", head_width=32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pth", "out"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    state, _ = small("plain")
    torch.save(state, tmp_path / "net.pth")

    def half_written(self, folder):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise OSError("no space left")

    monkeypatch.setattr(UNet, "save_pretrained", half_written)
    with pytest.raises(OSError, match="no space left"):
        convert(tmp_path / "net.pth", tmp_path / "out", "unet", head_width=32)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_a_catalogued_checkpoint_is_converted_once(tmp_path, monkeypatch):
    cache, own = tmp_path / "cache", tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("DIFFACE_CACHE", str(cache))
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(own))
    monkeypatch.setitem(CATALOG, "net.pth", Weight("net.pth", None, "unet", "MIT", "a test's network", "tests"))
    state, _ = small("plain")
    with pytest.raises(WeightMissing):
        converted("net.pth", "unet")
    torch.save(state, own / "net.pth")
    assert not is_converted("net.pth")
    folder = converted("net.pth", "unet")
    assert is_converted("net.pth") and not is_converted("other.pth")
    assert cache in folder.parents
    (own / "net.pth").unlink()
    assert converted("net.pth", "unet") == folder
    assert UNet.from_pretrained(folder).config.sample_size == 16
    with pytest.raises(WeightMissing):
        converted("net.pth", "unet", 32)  # another size is another folder
