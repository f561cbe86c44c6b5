"""Eq. 17: parity with the official code, closed forms, the draws and the grid."""

import dataclasses
import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.signal import correlate
from scipy.stats import multivariate_normal

from difface import degradation
from difface.degradation import (
    Degradation,
    Ranges,
    blur_and_downsample,
    cells,
    degrade,
    draw,
    grid,
    kernel,
    lq_hq_pair,
    to_grey,
)

CLEAN = Degradation(scale=1, sigma_x=0, sigma_y=0, theta=0, noise=0, jpeg_quality=100)
"""The mildest degradation: what remains is JPEG at quality 100."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_picture(size: int = 64, seed: int = 0) -> torch.Tensor:
    """A colour picture with structure that JPEG keeps: (3, size, size) in [0.2, 0.8]."""
    coarse = torch.rand(1, 3, 5, 5, generator=seeded(seed)) * 0.6 + 0.2
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)[0]


@pytest.fixture(scope="module")
def official(parity: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """Outputs of the official code: parameters per case, and its tensors, (H, W, 3) BGR in [0, 1]."""
    return json.loads((parity / "degrade.json").read_text()), load_file(parity / "degrade.safetensors")


@pytest.mark.parametrize("case", ["0", "1", "2", "3"])
def test_matches_the_official_code(official: tuple[dict, dict[str, torch.Tensor]], case: str) -> None:
    cases, tensors = official
    parameters = dict(cases[case])
    parameters["theta"] = parameters.pop("theta_over_pi") * math.pi
    d = Degradation(**parameters)

    def rgb(name: str) -> torch.Tensor:
        return tensors[name].flip(-1).permute(2, 0, 1)

    assert (kernel(d) - tensors[f"kernel_{case}"]).abs().max() < 1e-5
    assert (blur_and_downsample(rgb("hq_bgr"), d) - rgb(f"small_{case}")).abs().max() < 1e-5
    assert (degrade(rgb("hq_bgr"), d) - rgb(f"lq_{case}")).abs().mean() < 2 / 255


@pytest.mark.parametrize(("sigma_x", "sigma_y", "theta"), [(4, 4, 0), (12, 4, 0.25 * math.pi), (0.5, 3, -2.0)])
def test_kernel_is_the_gaussian_of_its_covariance(sigma_x: float, sigma_y: float, theta: float) -> None:
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    covariance = turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T
    y, x = np.mgrid[-20:21, -20:21]
    density = multivariate_normal([0, 0], covariance).pdf(np.stack([x, y], axis=-1))
    ours = kernel(dataclasses.replace(CLEAN, sigma_x=sigma_x, sigma_y=sigma_y, theta=theta))
    assert ours.shape == (41, 41)
    assert np.allclose(ours, density / density.sum(), atol=1e-7)


def test_angle_turns_from_right_to_down() -> None:
    long_axis_down_right = kernel(dataclasses.replace(CLEAN, sigma_x=6, sigma_y=1, theta=math.pi / 4))
    assert long_axis_down_right[25, 25] > 100 * long_axis_down_right[25, 15]


def test_sigma_zero_is_no_blur() -> None:
    assert kernel(CLEAN)[20, 20] == 1
    assert kernel(CLEAN).sum() == 1


@pytest.mark.parametrize("size", [8, 16, 21, 64])
def test_border_is_mirrored_without_its_edge_even_on_small_images(size: int) -> None:
    hq = torch.rand(3, size, size + 1, generator=seeded(0))
    d = dataclasses.replace(CLEAN, sigma_x=6, sigma_y=9, theta=0.3)
    padded = np.pad(hq.numpy(), ((0, 0), (20, 20), (20, 20)), mode="reflect")
    expected = correlate(padded, kernel(d).numpy()[None], mode="valid", method="direct")
    assert np.allclose(blur_and_downsample(hq, d), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "expected"), [(0.8, (60, 80)), (1, (48, 64)), (2.5, (19, 25)), (7, (6, 9)), (48, (1, 1))]
)
def test_small_image_has_the_floor_of_the_divided_sides(scale: float, expected: tuple[int, int]) -> None:
    hq = smooth_picture()[:, :48]
    d = dataclasses.replace(CLEAN, scale=scale)
    assert blur_and_downsample(hq, d).shape == (3, *expected)
    assert degrade(hq, d).shape == hq.shape


def test_the_mildest_degradation_keeps_the_picture() -> None:
    hq = smooth_picture()
    assert (degrade(hq, CLEAN) - hq).abs().mean() < 1.5 / 255


def test_colour_order_survives_the_encoder() -> None:
    red = torch.tensor([0.9, 0.2, 0.1]).view(3, 1, 1).expand(3, 32, 32)
    assert (degrade(red, CLEAN).mean(dim=(1, 2)) - torch.tensor([0.9, 0.2, 0.1])).abs().max() < 2 / 255


def test_values_are_whole_levels_of_8_bit() -> None:
    lq = degrade(smooth_picture(), dataclasses.replace(CLEAN, scale=3, noise=20, jpeg_quality=30), seeded(0))
    assert lq.min() >= 0
    assert lq.max() <= 1
    assert torch.equal(lq, (lq * 255).round() / 255)


def test_noise_has_the_standard_deviation_asked_for() -> None:
    grey = torch.full((3, 128, 128), 0.5)
    luminance = to_grey(degrade(grey, dataclasses.replace(CLEAN, noise=20), seeded(0)))[0] * 255
    expected = 20 * math.sqrt(0.299**2 + 0.587**2 + 0.114**2)  # noise of three independent channels
    assert luminance.std().item() == pytest.approx(expected, rel=0.05)


def test_the_jpeg_is_of_rounded_levels() -> None:
    for level in (99.6, 100.4):  # a flat picture survives the encoder
        flat = torch.full((3, 32, 32), level / 255)
        assert (degrade(flat, CLEAN) * 255).round().unique().tolist() == [100]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_noise_is_clipped_before_the_jpeg(level: float) -> None:
    """Half of the noise on black or white goes out of range; the mean of the rest is delta / sqrt(2 pi)."""
    lq = degrade(torch.full((3, 128, 128), level), dataclasses.replace(CLEAN, noise=20), seeded(0))
    assert (lq.mean() - level).abs().item() * 255 == pytest.approx(20 / math.sqrt(2 * math.pi), abs=0.5)
    assert (lq - level).abs().max() < 0.5


def test_noise_is_added_to_the_small_image() -> None:
    grey = torch.full((3, 128, 128), 0.5)
    luminance = to_grey(degrade(grey, dataclasses.replace(CLEAN, noise=20, scale=8), seeded(0)))[0] * 255
    assert luminance.std() > 5
    assert luminance.diff(dim=-1).abs().mean() < 0.3 * luminance.std()


def test_lower_quality_is_further_from_the_picture() -> None:
    hq = torch.rand(3, 64, 64, generator=seeded(0))
    errors = [(degrade(hq, dataclasses.replace(CLEAN, jpeg_quality=q)) - hq).abs().mean() for q in (100, 60, 10)]
    assert errors[0] < errors[1] < errors[2]


def test_grey_makes_the_channels_equal() -> None:
    hq = smooth_picture()
    d = dataclasses.replace(CLEAN, noise=5)
    colour, grey = degrade(hq, d, seeded(1)), degrade(hq, dataclasses.replace(d, grey=True), seeded(1))
    assert not torch.equal(colour[0], colour[1])
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])
    assert (grey - to_grey(colour)).abs().max() <= 1.01 / 255  # rounded once, not twice


def test_same_seed_same_image_other_seed_another() -> None:
    hq, d = smooth_picture(), dataclasses.replace(CLEAN, noise=10)
    assert torch.equal(degrade(hq, d, seeded(0)), degrade(hq, d, seeded(0)))
    assert not torch.equal(degrade(hq, d, seeded(0)), degrade(hq, d, seeded(1)))


def test_batch_equals_its_singles() -> None:
    batch = torch.stack([smooth_picture(seed=i) for i in range(3)])
    parameters = cells(64, 3, seed=5)
    lq = degrade(batch, parameters, [seeded(i) for i in range(3)])
    singles = [degrade(batch[i], parameters[i], seeded(i)) for i in range(3)]
    assert torch.equal(lq, torch.stack(singles))
    shared = degrade(batch, parameters[0], seeded(7))
    generator = seeded(7)
    assert torch.equal(shared, torch.stack([degrade(image, parameters[0], generator) for image in batch]))


def test_input_is_left_alone_and_its_dtype_kept() -> None:
    hq = smooth_picture()
    before = hq.clone()
    degrade(hq, dataclasses.replace(CLEAN, scale=2))
    assert torch.equal(hq, before)
    assert degrade(hq.double(), CLEAN).dtype == torch.float64
    assert degrade(hq.half(), CLEAN).dtype == torch.float16


@pytest.mark.parametrize("size", [512, 256, 64])
def test_draws_fill_the_training_ranges(size: int) -> None:
    ranges, generator = Ranges.for_size(size), seeded(0)
    drawn = [draw(generator, ranges, grey_probability=0.25) for _ in range(2000)]
    for values, (low, high) in (
        ([d.scale for d in drawn], ranges.scale),
        ([d.sigma_x for d in drawn], ranges.sigma),
        ([d.sigma_y for d in drawn], ranges.sigma),
        ([d.noise for d in drawn], ranges.noise),
        ([d.jpeg_quality for d in drawn], ranges.jpeg_quality),
        ([d.theta for d in drawn if d.theta], (-math.pi, math.pi)),
    ):
        width = high - low
        assert low <= min(values) < low + 0.02 * width
        assert high - 0.02 * width < max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.05 * width)
    assert {30, 100} <= {d.jpeg_quality for d in drawn}
    isotropic = [d for d in drawn if d.sigma_x == d.sigma_y]
    assert len(isotropic) == pytest.approx(1000, abs=80)
    assert all(d.theta == 0 for d in isotropic)
    assert sum(d.grey for d in drawn) == pytest.approx(500, abs=80)


def test_the_draw_takes_the_same_numbers_whatever_comes_out() -> None:
    first, second = seeded(3), seeded(3)
    ranges = Ranges.for_size(64)
    colour = [draw(first, ranges) for _ in range(20)]
    grey = [draw(second, ranges, grey_probability=1.0) for _ in range(20)]
    assert not any(d.grey for d in colour)
    assert grey == [dataclasses.replace(d, grey=True) for d in colour]
    assert draw(seeded(4), ranges) != colour[0]


def test_training_pairs_are_mirrored_half_the_time_and_rarely_grey() -> None:
    hq = smooth_picture(16)
    generator, ranges = seeded(0), Ranges.for_size(64)
    kinds = Counter()
    for _ in range(1000):
        lq, x_0 = lq_hq_pair(hq, ranges, generator)
        assert lq.shape == x_0.shape == hq.shape
        grey = torch.equal(x_0[0], x_0[1])
        assert not grey or (torch.equal(lq[0], lq[1]) and torch.equal(lq[1], lq[2]))
        mirrored = torch.equal(x_0, to_grey(hq.flip(-1)) if grey else hq.flip(-1))
        assert mirrored or torch.equal(x_0, to_grey(hq) if grey else hq)
        kinds.update([("mirrored", mirrored), ("grey", grey)])
    assert kinds["mirrored", True] == pytest.approx(500, abs=60)
    assert 2 <= kinds["grey", True] <= 25


def test_training_pair_is_mirrored_together() -> None:
    hq = torch.zeros(3, 64, 64)
    hq[..., :32] = 1  # bright on the left
    for seed in range(10):
        lq, x_0 = lq_hq_pair(hq, Ranges.for_size(64), seeded(seed))
        assert (lq[..., :32].mean() > lq[..., 32:].mean()) == (x_0[..., :32].mean() > x_0[..., 32:].mean())


@pytest.mark.parametrize("size", [512, 256, 64])
def test_grid_holds_every_cell_once(size: int) -> None:
    ranges, every = Ranges.for_size(size), grid(size)
    axes = Counter((d.jpeg_quality, d.scale, d.noise, d.sigma_x, d.theta) for d in every)
    assert len(every) == len(axes) == 4000
    assert [len(set(axis)) for axis in zip(*axes, strict=True)] == [5, 10, 5, 4, 4]
    assert {d.sigma_y for d in every} == set(ranges.grid_sigma)
    assert not any(d.grey for d in every)


def test_grid_at_512_is_that_of_the_paper() -> None:
    every = grid(512)
    assert {d.scale for d in every} == set(range(4, 41, 4))
    assert {d.sigma_x for d in every} == {4, 8, 12, 16}
    assert {d.jpeg_quality for d in every} == {30, 40, 50, 60, 70}
    assert {d.noise for d in every} == {1, 5, 10, 15, 20}
    assert [d.theta / math.pi for d in every[:5]] == [0, 0.25, 0.5, 0.75, 0]  # innermost
    assert [d.sigma_x for d in every[:16:4]] == [4, 8, 12, 16]
    assert [d.noise for d in every[:80:16]] == [1, 5, 10, 15, 20]
    assert [d.scale for d in every[:800:80]] == list(range(4, 41, 4))
    assert [d.jpeg_quality for d in every[::800]] == [30, 40, 50, 60, 70]


def test_sigma_y_is_the_official_list_and_the_global_state_is_left_alone() -> None:
    before = random.getstate()
    try:
        random.seed(10000)
        official = [random.choice([4, 8, 12, 16]) for _ in range(4000)]
        state = random.getstate()
        assert [d.sigma_y for d in grid(512)] == official
        assert random.getstate() == state
    finally:
        random.setstate(before)


def test_cells_are_a_fair_sample() -> None:
    every, some = grid(64), cells(64, 200, seed=0)
    assert set(some) <= set(every)
    assert len(set(some)) == 200
    assert some != every[:200]
    assert {d.jpeg_quality for d in some} == {30, 40, 50, 60, 70}  # the first 200 rows hold one quality only
    assert len({d.scale for d in some}) == 10
    assert cells(64, 50, seed=0) == some[:50]
    assert cells(64, 200, seed=1) != some
    assert sorted(map(repr, cells(64, 4000))) == sorted(map(repr, every))


def test_parameters_survive_json() -> None:
    for d in (cells(64, 1)[0], draw(seeded(0), Ranges.for_size(512), grey_probability=1.0)):
        assert Degradation(**json.loads(json.dumps(dataclasses.asdict(d)))) == d


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scale", 0),
        ("scale", math.nan),
        ("sigma_x", -1),
        ("sigma_y", math.inf),
        ("theta", math.nan),
        ("noise", -0.5),
        ("jpeg_quality", 0),
        ("jpeg_quality", 101),
        ("jpeg_quality", 50.5),
    ],
)
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"`{field}` must be .*got {value}") as caught:
        dataclasses.replace(CLEAN, **{field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("hq", "message"),
    [
        (torch.zeros(1, 64, 64), r"got torch.float32 \(1, 64, 64\)"),
        (torch.zeros(64, 64, 3), r"got torch.float32 \(64, 64, 3\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "got torch.uint8"),
        (torch.full((3, 8, 8), 255.0), r"must be in \[0, 1\]; got \[255, 255\]"),
        (torch.full((3, 8, 8), math.nan), r"must be in \[0, 1\]; got \[nan, nan\]"),
    ],
)
def test_wrong_images_are_refused(hq: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        degrade(hq, CLEAN)


def test_other_wrong_calls_are_refused() -> None:
    batch = torch.zeros(2, 3, 16, 16)
    with pytest.raises(ValueError, match="2 images; got 3"):
        degrade(batch, [CLEAN] * 3)
    with pytest.raises(ValueError, match="2 images; got 1"):
        degrade(batch, CLEAN, [seeded(0)])
    with pytest.raises(ValueError, match="`generator` is needed"):
        degrade(batch, dataclasses.replace(CLEAN, noise=1))
    with pytest.raises(ValueError, match="at most 16"):
        degrade(batch, dataclasses.replace(CLEAN, scale=17))
    with pytest.raises(ValueError, match="512, 256, 128, 64; got 96"):
        Ranges.for_size(96)
    for count in (0, 4001):
        with pytest.raises(ValueError, match=rf"1\.\.4000.*got {count}"):
            cells(64, count)


def test_grey_probability_is_one_percent() -> None:
    assert degradation.GREY_PROBABILITY == 0.01
