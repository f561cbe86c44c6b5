"""Masks have the official parameters and shapes, at any size, and holes are found only where there are some."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from difface import masks
from difface.constraints import Masked
from difface.images import ImageError


def drawn(kind, count: int = 400) -> list[masks.Mask]:
    return [kind(torch.Generator().manual_seed(seed)) for seed in range(count)]


@pytest.mark.parametrize("kind", [*masks.MASKS.values(), masks.outpainting, masks.training])
def test_binary_and_the_same_for_the_same_seed(kind):
    for mask, again in zip(drawn(kind, 20), drawn(kind, 20), strict=True):
        painted = mask.paint(64, 48)
        assert painted.shape == (1, 1, 64, 48) and painted.dtype == torch.float32
        Masked(painted)  # refuses what is not binary
        assert mask == again and painted.mean() > 0
        assert torch.equal(masks.Mask(**json.loads(json.dumps(mask.__dict__))).paint(64, 48), painted)


def test_box():
    boxes = [box for mask in drawn(masks.box) for box in mask.boxes]
    counts = {len(mask.boxes) for mask in drawn(masks.box)}
    sides = [side for left, top, right, bottom in boxes for side in (right - left, bottom - top)]
    assert counts == {1, 2, 3, 4} and (min(sides), max(sides)) == (30, 150)
    assert min(min(box) for box in boxes) == 10 and max(max(box) for box in boxes) == 246
    mask = drawn(masks.box, 1)[0]
    left, top, right, bottom = mask.boxes[0]
    painted = masks.Mask("box", boxes=(mask.boxes[0],)).paint(256)[0, 0]
    assert painted.sum() == (right - left) * (bottom - top) and painted[top:bottom, left:right].all()


def test_irregular():
    strokes = [np.array(mask.strokes) for mask in drawn(masks.irregular)]
    every = np.concatenate(strokes)
    length = np.hypot(every[:, 0] - every[:, 2], every[:, 1] - every[:, 3])
    inside = ((every[:, 2:4] > 0) & (every[:, 2:4] < 256)).all(1)  # not cut at the border
    assert length.max() < 210.5 and length[inside].min() > 8.5  # ends are whole pixels
    assert (every[:, 4].min(), every[:, 4].max()) == (5, 104)
    assert every[:, :4].min() >= 0 and every[:, :4].max() <= 256
    assert min(map(len, strokes)) == 1 and 15 < max(map(len, strokes)) <= 30
    long = every[inside & (length > 100)]
    angles = np.arctan2(long[:, 2] - long[:, 0], long[:, 3] - long[:, 1]) % (2 * np.pi)
    directions = np.array([0.01, 1.01, 2.01, 3.01])
    directions = np.concatenate([directions, 2 * np.pi - directions])  # and mirrored
    gaps = np.abs(angles[:, None] - directions)
    gaps = np.minimum(gaps, 2 * np.pi - gaps)
    assert gaps.min(1).max() < 0.03 and len(set(gaps.argmin(1))) == 8


def test_half_and_expand():
    halves = [mask.paint(64)[0, 0] for mask in drawn(masks.half, 100)]
    bottom, right = torch.zeros(2, 64, 64)
    bottom[32:], right[:, 32:] = 1, 1
    count = sum(torch.equal(half, bottom) for half in halves)
    assert count + sum(torch.equal(half, right) for half in halves) == 100 and 30 < count < 70
    kept = 1 - masks.expand(torch.Generator()).paint(256)[0, 0]
    assert kept[64:192, 64:192].all() and kept.sum() == 128**2


def test_training_masks():
    kinds = [mask.kind for mask in drawn(masks.training, 600)]
    assert all(150 < kinds.count(kind) < 250 for kind in ("irregular", "box", "outpainting"))
    sides = {0: 0, 1: 0, 2: 0, 3: 0}
    for mask in drawn(masks.outpainting):
        assert 1 <= len(mask.boxes) <= 4
        for left, top, right, bottom in mask.boxes:
            assert {right - left, bottom - top} - {256} <= set(range(10, 78)) and 256 in (right - left, bottom - top)
            sides[0 if right < 256 else 2 if left > 0 else 1 if bottom < 256 else 3] += 1
    assert all(0.45 < count / 400 < 0.62 for count in sides.values())  # 8/15 with at least one side


@pytest.mark.parametrize("kind", masks.MASKS.values())
def test_the_same_mask_at_another_size(kind):
    for mask in drawn(kind, 30):
        large = mask.paint(256)
        small = torch.nn.functional.interpolate(mask.paint(64), (256, 256), mode="nearest")
        assert (large != small).float().mean() < 0.06
        assert abs(large.mean() - small.mean()) < 0.04


def test_plan():
    files = [f"{k:04d}.png" for k in range(50)]
    planned = masks.plan(files[::-1], per_kind=10)
    assert [file.name for file, _ in planned] == files[:40]
    assert [mask.kind for _, mask in planned] == [
        kind for kind in ("box", "irregular", "expand", "half") for _ in range(10)
    ]
    assert planned == masks.plan(files, per_kind=10) != masks.plan(files, per_kind=10, seed=1)
    for k, (_, mask) in enumerate(planned[:20]):  # each from a generator of its own
        assert mask == (masks.box, masks.irregular)[k // 10](torch.Generator().manual_seed(12345 + k))
    assert len({mask for _, mask in planned[:20]}) == 20
    with pytest.raises(ValueError, match="50 pictures were given; 2000 are needed"):
        masks.plan(files)


@pytest.fixture
def holed(astronaut_face) -> tuple[np.ndarray, np.ndarray]:
    """A face with two holes, and where they are."""
    hole = np.zeros((64, 64), bool)
    hole[20:30, 25:40] = True
    hole[40:44, 20:24] = True  # 16 pixels
    levels = np.maximum(np.asarray(astronaut_face), 40)
    levels[hole] = 0
    return levels, hole


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_holes_are_found(holed, tmp_path, name):
    levels, hole = holed
    levels[5, 5:20] = 0  # 15 pixels: true black
    levels[50:60, 50:60] = (1, 0, 0)
    Image.fromarray(levels).save(tmp_path / name)
    assert np.array_equal(masks.find_mask(tmp_path / name)[0, 0].numpy(), hole)


def doubtful(levels: np.ndarray, hole: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures in which exact black may be something else."""
    whole = np.where(hole[..., None], 90, levels).astype(np.uint8)
    distance = np.hypot(*np.mgrid[-32:32, -32:32])
    dark = np.clip((distance - 12) * 3, 0, 255)[..., None].repeat(3, 2).astype(np.uint8)  # black that fades in
    return {"no hole": whole, "all black": np.zeros_like(levels), "true black": dark}


@pytest.mark.parametrize("name", ["no hole", "all black", "true black"])
def test_doubtful_pictures_ask_for_a_mask(holed, tmp_path, name):
    Image.fromarray(doubtful(*holed)[name]).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="give a mask") as caught:
        masks.find_mask(tmp_path / "a.png")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dark", "level", "is_doubtful"), [(10, 15, False), (11, 15, True), (44, 15, True), (44, 16, False)]
)
def test_doubt_begins_where_a_quarter_of_the_edge_is_nearly_black(tmp_path, dark, level, is_doubtful):
    """A hole of 10 x 10 pixels has an edge of 44, corners included; 11 of these are a quarter."""
    levels = np.full((32, 32, 3), 90, np.uint8)
    levels[9:21, 9:21] = 80
    edge = [(y, x) for y in range(9, 21) for x in range(9, 21) if not (10 <= y < 20 and 10 <= x < 20)]
    assert len(edge) == 44
    for y, x in edge[:dark]:
        levels[y, x] = level
    levels[10:20, 10:20] = 0
    Image.fromarray(levels).save(tmp_path / "a.png")
    if is_doubtful:
        with pytest.raises(ImageError, match="may be true black"):
            masks.find_mask(tmp_path / "a.png")
    else:
        assert masks.find_mask(tmp_path / "a.png").sum() == 100


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "jpeg.tif"])
def test_lossy_files_ask_for_a_mask(holed, tmp_path, name):
    Image.fromarray(holed[0]).save(tmp_path / name, **({"compression": "jpeg"} if name == "jpeg.tif" else {}))
    with pytest.raises(ImageError, match="give a mask"):
        masks.find_mask(tmp_path / name)


def test_a_jpeg_saved_again_as_png_asks_for_a_mask(holed, tmp_path):
    Image.fromarray(holed[0]).save(tmp_path / "a.jpg", quality=90)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="give a mask"):
        masks.find_mask(tmp_path / "a.png")


def test_masks_that_are_not_binary_are_refused(tmp_path):
    Image.fromarray(np.full((16, 16), 128, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((16, 16, 3), (255, 0, 0), np.uint8)).save(tmp_path / "red.png")
    for name in ("grey.png", "red.png"):
        with pytest.raises(ImageError, match="binary mask is accepted"):
            masks.read_mask(tmp_path / name)


def test_composite_keeps_the_bytes(holed):
    levels, hole = holed
    other = Image.fromarray(255 - levels)
    result = np.asarray(masks.paste_known(other, Image.fromarray(levels), torch.from_numpy(hole).float()[None, None]))
    assert np.array_equal(result[~hole], levels[~hole]) and np.array_equal(result[hole], np.asarray(other)[hole])


@pytest.mark.parametrize(("before", "after"), [((512, 512), (64, 64)), ((100, 100), (64, 64)), ((37, 53), (64, 64))])
def test_a_pixel_is_missing_if_any_that_it_overlaps_is(before, after):
    """Against the intervals written out; scratches of one pixel, and sizes that do not divide one another."""
    mask = torch.zeros(1, 1, *before)
    mask[..., before[1] // 3] = mask[..., before[0] - 2, 5:20] = 1
    expected = torch.zeros(1, 1, *after)
    for y, x in np.argwhere(mask[0, 0].numpy()):
        rows = [j for j in range(after[0]) if j * before[0] < (y + 1) * after[0] and y * after[0] < (j + 1) * before[0]]
        for column in range(after[1]):
            if column * before[1] < (x + 1) * after[1] and x * after[1] < (column + 1) * before[1]:
                expected[0, 0, rows, column] = 1
    assert torch.equal(masks.resized(mask, *after), expected) and expected.mean() < 0.2
