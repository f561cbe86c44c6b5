"""The diffused estimators: parity with the official networks, sizes, masks, half precision, save and load."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from difface.models import estimator as module
from difface.models.estimator import (
    LAMA_256,
    SRCNN_512,
    SRCNN_TINY,
    SWINIR_512,
    SWINIR_TINY,
    FaceEstimator,
)

SMALL = {
    "srcnn": {"channels": 16, "depth": 3, "down_factor": 4},
    "swinir": SWINIR_TINY | {"embed_dim": 24, "depths": [2], "num_heads": [2]},
    "swinir-nearest": SWINIR_512 | {"img_size": 8, "embed_dim": 24, "depths": [2], "num_heads": [2]},
    "lama": LAMA_256 | {"ngf": 4, "n_downsampling": 2, "n_blocks": 1},
}


def small(name: str, seed: int = 0) -> FaceEstimator:
    """A network of few parameters with seeded weights, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FaceEstimator(name.split("-")[0], SMALL[name]).eval()


def picture(height: int, width: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def hole(image: torch.Tensor) -> torch.Tensor:
    """A box of missing pixels, (B, 1, H, W)."""
    mask = torch.zeros_like(image[:, :1])
    mask[..., 2:9, 3:8] = 1
    return mask


def inputs(net: FaceEstimator, height: int, width: int, batch: int = 1) -> tuple[torch.Tensor, ...]:
    image = picture(height, width, batch)
    return (image, hole(image)) if net.takes_mask else (image,)


@pytest.fixture(scope="module")
def official(parity: Path) -> dict:
    """Arguments, parameter count and key shapes of the official checkpoints."""
    return json.loads((parity / "official_state_dicts.json").read_text())


def shapes(net: FaceEstimator) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in net.state_dict().items()}


@torch.no_grad()
def test_swinir_matches_the_official_code(parity: Path) -> None:
    tensors = load_file(parity / "swinir_small.safetensors")
    net = FaceEstimator("swinir", json.loads((parity / "swinir_small.json").read_text())).eval()
    net.load_state_dict({f"net.{key[3:]}": value for key, value in tensors.items() if key.startswith("sd.")})
    assert (net(tensors["x"], clamp=False) - tensors["out"]).abs().max() < 1e-5


def seeded_lama(arguments: dict) -> FaceEstimator:
    """Weights by the fixture's recipe."""
    net = FaceEstimator("lama", arguments).eval()
    generator = torch.Generator().manual_seed(0)
    for key, value in sorted(net.net.state_dict().items()):
        if not value.is_floating_point():
            continue
        drawn = torch.randn(value.shape, generator=generator)
        if value.ndim >= 2:
            drawn /= value[0].numel() ** 0.5
        elif key.endswith(("running_var", "weight")):
            drawn = 1 + 0.1 * drawn.abs()
        else:
            drawn *= 0.1
        value.copy_(drawn)
    return net


@torch.no_grad()
def test_lama_matches_the_official_code(parity: Path, official: dict) -> None:
    tensors = load_file(parity / "lama_seeded.safetensors")
    net = seeded_lama(official["estimator_lama256"]["arguments"])
    out = net(tensors["x"], tensors["mask"], clamp=False)
    error = (out - tensors["out"]).abs()
    assert error.mean() < 1e-6
    assert (error > 1e-4).float().mean() < 2e-3
    # Random weights leave 57 of 12,288 logits between -6 and 6, and rounding in float32 moves those by 1e-3: the same
    # network in float64 is further than 1e-4 from the official float32 output too. Ours must round no worse than that.
    exact = net.net.double()(tensors["x"].double(), tensors["mask"].double())
    assert (out - exact).abs().max() < 2 * (tensors["out"] - exact).abs().max() < 1e-3


def test_full_sizes_have_the_official_keys_and_counts(official: dict) -> None:
    for name, arguments, architecture in (
        ("estimator_swinir512", SWINIR_512, "swinir"),
        ("estimator_lama256", LAMA_256, "lama"),
    ):
        assert official[name]["arguments"] == arguments
        net = FaceEstimator(architecture, arguments)
        assert net.num_parameters() == official[name]["parameters"]
        assert shapes(net) == {f"net.{key}": shape for key, shape in official[name]["keys"].items()}


def test_parameter_counts_of_the_presets() -> None:
    assert FaceEstimator("srcnn", SRCNN_512).num_parameters() == 1_031_247  # 1.03 M in Table I
    assert FaceEstimator("swinir", SWINIR_512).num_parameters() == 15_792_587  # 15.79 M in Table I
    for architecture, arguments in (("srcnn", SRCNN_TINY), ("swinir", SWINIR_TINY)):
        assert FaceEstimator(architecture, arguments).num_parameters() < 3e6


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 50), (9, 100), (8, 8), (3, 5)])
@torch.no_grad()
def test_any_size_comes_back_in_its_size(name: str, height: int, width: int) -> None:
    net = small(name)
    given = inputs(net, height, width, batch=2)
    out = net(*given)
    assert out.shape == (2, 3, height, width)
    assert out.isfinite().all()


@pytest.mark.parametrize(
    ("name", "height", "width"), [("srcnn", 52, 40), ("swinir", 64, 64), ("swinir-nearest", 64, 64)]
)
@torch.no_grad()
def test_padding_is_a_reflection_that_is_cropped_away(name: str, height: int, width: int) -> None:
    net = small(name)
    image = picture(50, 38)
    by_hand = F.pad(image, (0, width - 38, 0, height - 50), mode="reflect")  # up to 4, 4 x 8 and 8 x 8 pixels
    assert torch.allclose(net(image, clamp=False), net(by_hand, clamp=False)[..., :50, :38], atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_the_answer_is_clamped_unless_asked(name: str) -> None:
    net = small(name)
    if not net.takes_mask:
        for parameter in list(net.parameters())[-2:]:
            parameter.mul_(20).add_(0.5)  # push the output beyond [0, 1]; LaMa's sigmoid cannot leave it
    given = inputs(net, 64, 64)
    raw = net(*given, clamp=False)
    assert torch.equal(net(*given), raw.clamp(0, 1))
    assert net.takes_mask or raw.max() > 1


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_batch_equals_its_singles(name: str) -> None:
    net = small(name)
    given = inputs(net, 64, 64, batch=3)
    singles = [net(*(tensor[i : i + 1] for tensor in given)) for i in range(3)]
    assert torch.allclose(net(*given), torch.cat(singles), atol=1e-5)


@torch.no_grad()
def test_lama_never_sees_missing_pixels_and_does_not_paste_known_ones() -> None:
    net = small("lama")
    image, mask = inputs(net, 32, 32)
    changed = torch.where(mask.bool(), 1 - image, image)
    assert torch.equal(net(image, mask), net(changed, mask))
    assert torch.equal(net(image, mask), net(image, mask.bool()))
    assert not torch.equal(net(image, mask), net(image, torch.zeros_like(mask)))
    known = (1 - mask).bool().expand_as(image)
    assert not torch.allclose(net(image, mask)[known], image[known])


@pytest.mark.parametrize("name", SMALL)
def test_save_and_load_give_the_same_network(name: str, tmp_path: Path) -> None:
    net = small(name)
    net.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["arguments"] == SMALL[name]
    assert (tmp_path / "diffusion_pytorch_model.safetensors").is_file()
    loaded = FaceEstimator.from_pretrained(tmp_path)
    assert not loaded.training
    assert loaded.config.architecture == name.split("-")[0]
    given = inputs(net, 40, 48)
    with torch.no_grad():
        assert torch.equal(loaded(*given), net(*given))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_half_precision_weights_run_close_to_full(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    net = small(name)
    net.to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    full = FaceEstimator.from_pretrained(tmp_path, variant="fp16", torch_dtype=torch.float32)
    half = FaceEstimator.from_pretrained(tmp_path, variant="fp16", torch_dtype=dtype)
    assert full.dtype == torch.float32
    assert half.dtype == dtype
    given = inputs(full, 40, 70)  # another size than that of the attention mask that SwinIR holds
    assert half(*given).dtype == torch.float32
    assert (half(*given) - full(*given)).abs().max() < 0.05
    assert half(*(tensor.to(dtype) for tensor in given)).dtype == dtype


@pytest.mark.parametrize("name", SMALL)
def test_trains_in_bfloat16_autocast(name: str) -> None:
    net = small(name).train()
    given = inputs(net, 64, 64, batch=2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            loss = (net(*given, clamp=False) - 0.7).abs().mean()
        loss.backward()
        assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    if name == "lama":
        assert net.net.state_dict()["model.1.bn_l.num_batches_tracked"] == 8


@torch.no_grad()
@pytest.mark.parametrize("name", ["srcnn", "lama"])
def test_a_tuple_is_returned_when_asked_for(name: str) -> None:
    net = small(name)
    given = inputs(net, 16, 16)
    (out,) = net(*given, return_dict=False)
    assert torch.equal(out, net(*given))


def test_only_lama_takes_a_mask() -> None:
    assert [small(name).takes_mask for name in SMALL] == [False, False, False, True]


def test_the_loader_of_pipelines_is_found_in_this_module() -> None:
    assert issubclass(FaceEstimator, module.ModelMixin)


def test_wrong_constructions_are_refused() -> None:
    with pytest.raises(ValueError, match="one of srcnn, swinir, lama; got 'unet'"):
        FaceEstimator("unet", {})
    with pytest.raises(ValueError, match=r"unknown: \['chanels'\], missing: \['channels'\]"):
        FaceEstimator("srcnn", {"chanels": 64, "depth": 10, "down_factor": 4})
    with pytest.raises(ValueError, match="power of two from 2 up; got 3"):
        FaceEstimator("srcnn", SRCNN_512 | {"down_factor": 3})
    with pytest.raises(ValueError, match="multiple of 16 with down_factor 4; got 24"):
        FaceEstimator("srcnn", SRCNN_512 | {"channels": 24})
    with pytest.raises(ValueError, match="unshuffle factor 8; got sf 4"):
        FaceEstimator("swinir", SWINIR_512 | {"sf": 4})
    with pytest.raises(ValueError, match="got .*tanh"):
        FaceEstimator("lama", LAMA_256 | {"add_out_act": "tanh"})


def test_wrong_calls_are_refused() -> None:
    image = picture(16, 16)
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\).*got \(3, 16, 16\)"):
        small("srcnn")(image[0])
    with pytest.raises(ValueError, match="takes no `mask`"):
        small("srcnn")(image, hole(image))
    with pytest.raises(ValueError, match="needs `mask`"):
        small("lama")(image)
    with pytest.raises(ValueError, match=r"must be \(1, 1, 16, 16\).*got \(1, 3, 16, 16\)"):
        small("lama")(image, image)
