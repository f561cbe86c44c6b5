"""What a training sees: every face once an epoch, crops each time a little otherwise, from memory or disk."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from difface import faces as geometry
from difface import images
from difface.training.data import Faces, Steps, TrainingError, generator_of


def grey(folder, levels, side=16):
    folder.mkdir(exist_ok=True)
    for k, level in enumerate(levels):
        Image.new("RGB", (side, side), (level,) * 3).save(folder / f"{k}.png")
    return folder


def levels(batch) -> list[int]:
    return (batch.x_0[:, 0, 0, 0] * 255).round().int().tolist()


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_every_epoch_shows_every_face_once(tmp_path, memory):
    faces = Faces([grey(tmp_path / "a", (0, 1, 2)), grey(tmp_path / "b", (3, 4))], 16, memory=memory)
    epochs = [levels(faces.batch(step, 0, 5)) for step in range(3)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs) and epochs[0] != epochs[1]
    halves = [levels(faces.batch(0, 0, 2, process, 2)) for process in (0, 1)]
    assert len(set(halves[0] + halves[1])) == 4
    assert levels(faces.batch(7, 3, 5)) == levels(faces.batch(7, 3, 5)) != levels(faces.batch(7, 4, 5))


def test_soft_pictures_are_told_apart(tmp_path):
    faces = Faces([grey(tmp_path / "a", (10, 20))], 16, soft=[grey(tmp_path / "b", (200, 210, 220))])
    batch = faces.batch(0, 0, 5)
    assert batch.soft.tolist() == [level >= 200 for level in levels(batch)] and batch.soft.sum() == 3


def test_from_disk_as_from_memory_and_only_where_it_is_large(tmp_path):
    grey(tmp_path / "a", (0, 1, 2, 3), side=40)
    bytes_in_all = 4 * 40 * 40 * 3 / 1e9
    kept, read = (Faces([tmp_path / "a"], 16, memory=bytes_in_all * factor) for factor in (1, 0.99))
    assert torch.equal(kept.batch(5, 0, 4).x_0, read.batch(5, 0, 4).x_0)
    for file in (tmp_path / "a").iterdir():
        file.unlink()
    assert kept.batch(0, 0, 4).x_0.shape == (4, 3, 16, 16)
    with pytest.raises((OSError, images.ImageError)):
        read.batch(0, 0, 4)


def test_a_crop_with_a_margin_is_moved_a_little_each_time(tmp_path, astronaut_photo):
    """Its mean is the aligned face, at the same place, up to the blur of the jitter."""
    points = geometry.FFHQ_TEMPLATE * 160 + [145, 40]
    geometry.align(astronaut_photo, points, 32, margin=True).save(tmp_path / "face.png")
    assert Image.open(tmp_path / "face.png").size == (80, 80)
    faces = Faces([tmp_path], 32)
    drawn = torch.cat([faces.batch(step, 0, 1).x_0 for step in range(400)])
    aligned = images.to_tensors(geometry.align(astronaut_photo, points, 32))[0]
    assert len({one.numpy().tobytes() for one in drawn}) == 400
    moved = (drawn - aligned).abs().mean((1, 2, 3))
    assert 0.02 < moved.mean() < 0.08
    places = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    errors = {place: (drawn.mean(0).roll(place, (1, 2)) - aligned)[:, 2:-2, 2:-2].abs().mean() for place in places}
    assert min(errors, key=errors.get) == (0, 0) and errors[0, 0] < 0.6 * moved.mean()


def test_other_sizes_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="is 16x16 pixels; aligned faces of 64x64 or, with a margin, 160x160"):
        Faces([grey(tmp_path / "a", (1,))], 64)


def test_streams_differ():
    draws = {
        tuple(torch.rand(3, generator=generator_of(*parts)).tolist())
        for parts in [(0, 1), (1, 0), (0, 0), (0, 1, 0), (0, 2)]
    }
    assert len(draws) == 5


def test_the_spread_of_colours_is_that_of_the_sharp_pictures(tmp_path):
    """By numpy, over their mean colours; soft ones do not count."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8) // np.arange(1, 7)[:, None, None, None]
    (tmp_path / "a").mkdir()
    for k, picture in enumerate(pictures):
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "a" / f"{k}.png")
    mean, *spread = Faces([tmp_path / "a"], 16, soft=[grey(tmp_path / "b", (255, 255))]).colours()
    means = 2 * pictures.reshape(6, -1, 3).mean(1) / 255 - 1
    assert np.allclose(mean, means.mean(0), atol=1e-5) and np.allclose(spread, np.cov(means, rowvar=False), atol=1e-5)


def test_workers_prepare_what_is_prepared_without_them(tmp_path):
    """The steps' batches, in their order, jitter and all."""
    faces = Faces([grey(tmp_path / "a", range(0, 250, 25), side=40)], 16)
    own, theirs = (
        list(DataLoader(Steps(faces, 3, 4), batch_size=None, sampler=range(5, 9), num_workers=count))
        for count in (0, 2)
    )
    assert [batch.x_0.shape for batch in theirs] == [(4, 3, 16, 16)] * 4
    for step, mine, other in zip(range(5, 9), own, theirs, strict=True):
        assert torch.equal(mine.x_0, other.x_0) and torch.equal(mine.x_0, faces.batch(step, 3, 4).x_0)
