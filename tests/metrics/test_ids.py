"""Identity: the protocol's picture and mean, by hand; and real networks on real faces."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from difface import faces, images
from difface.metrics import IDS, IDSR50, IdentityAngle, ids
from difface.metrics.identity import angle, embed
from difface.models.arcface18 import ArcFace18
from difface.weights import WeightMissing


def noisy(image: torch.Tensor, sigma: float) -> torch.Tensor:
    return (image + sigma * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


@pytest.fixture(scope="session")
def people(testdata) -> torch.Tensor:
    """Six people at 128 pixels, (6, 3, 128, 128), aligned by the points that the detector finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFACE_WEIGHTS", str(testdata / "weights"))
        photos = [images.read(file) for file in sorted((testdata / "portraits" / "jpg").iterdir())[:6]]
        crops = [faces.align(photo, faces.largest(faces.find_faces(photo)).points, 128) for photo in photos]
    return torch.stack(images.to_tensors(crops))


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A random network where the program looks for the official one."""
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    ids._network.cache_clear()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ArcFace18().eval()
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "resnet18_110.pth")
    yield network
    ids._network.cache_clear()


def test_the_network_of_gfpgans_release_is_taken_and_told_where_vqfrs_is_not_here(checkpoint, tmp_path):
    faces = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    own, other = tmp_path / "resnet18_110.pth", tmp_path / "arcface_resnet18.pth"
    scores = []
    for keep in ("both", "other"):
        other.write_bytes(own.read_bytes()) if keep == "both" else own.unlink()
        metric = IDS()
        metric.update(noisy(faces, 0.3), faces)
        scores.append(metric.values)
        assert metric.version == ("" if keep == "both" else "arcface_resnet18")
    assert scores[0] == scores[1] and min(scores[0]) > 1


def test_ids_is_the_protocol_done_by_hand(checkpoint, tmp_path, astronaut_photo):
    """Two PNG files, read as grey by OpenCV, resized bilinearly, through the network, and the angle between them."""
    truth = images.to_tensors(astronaut_photo.crop((100, 0, 356, 256)))[0][None]
    restored = noisy(truth, 0.2)
    vectors = []
    for name, image in (("truth", truth), ("restored", restored)):
        images.write(images.to_pil(image[0]), tmp_path / f"{name}.png")
        grey = cv2.resize(cv2.imread(str(tmp_path / f"{name}.png"), 0), (128, 128)).astype(np.float32)
        with torch.inference_mode():
            vectors.append(checkpoint(torch.from_numpy((grey - 127.5) / 127.5)[None, None]))
    expected = torch.rad2deg(torch.arccos(functional.cosine_similarity(*vectors))).item()
    metric = IDS()
    metric.update(restored, truth)
    assert expected > 1 and metric.compute() == pytest.approx(expected, abs=1e-3)


def test_identical_pairs_are_left_out_of_the_mean_alone(checkpoint):
    faces = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    metric = IDS()
    metric.update(torch.cat([faces[:1], noisy(faces[1:], 0.3)]), faces)
    assert len(metric.values) == 3 and metric.values[0] < 0.1
    assert metric.compute() == pytest.approx(np.mean(metric.values[1:]))
    alone = IDS()
    alone.update(faces, faces)
    assert len(alone.values) == 3 and np.isnan(alone.compute())
    assert IDS.mean([0.5, 0.999, 1.0, 3.0]) == 2 and IDS.counted([0.5, 0.999, 1.0, 3.0]) == [1, 3]


@pytest.mark.parametrize(("metric", "file"), [(IDS, "arcface_resnet18.pth"), (IDSR50, "w600k_r50.onnx")])
def test_a_missing_network_is_named_at_the_first_update(metric, file, monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    ids._network.cache_clear()
    made = metric()
    assert made.needs[-1] == file and made.version == ""
    with pytest.raises(WeightMissing, match=file) as caught:
        made.update(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    assert caught.value.name == file


def test_angles_of_real_faces(onnx, people):
    """A face under mild noise is nearer to itself than to anybody else, whatever the size of the batch."""
    same, other = IdentityAngle(), IdentityAngle()
    same.update(noisy(people, 0.05), people)
    for turn in range(1, len(people)):
        other.update(people.roll(turn, 0), people)
    assert max(same.values) < min(other.values)
    single = IdentityAngle()
    for noised, face in zip(noisy(people, 0.05), people, strict=True):
        single.update(noised[None], face[None])
    assert np.allclose(single.values, same.values, atol=0.01)


def test_r50_is_the_angle_by_any_arcface(onnx, people):
    """With the network of `IdentityAngle` it is that metric."""
    other, own = IdentityAngle(), IDSR50("mobilefacenet.onnx")
    for metric in (other, own):
        metric.update(people.roll(1, 0), people)
    assert own.values == other.values and own.name != other.name


def test_embeddings_are_those_of_insightfaces_own_alignment(onnx, people):
    """Faces at their own points through InsightFace's crop are the same people as through the template's."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.utils.face_align import norm_crop

    network = ArcFaceONNX(str(onnx / "mobilefacenet.onnx"))
    crops = [norm_crop(images.to_uint8(face)[:, :, ::-1].copy(), faces.FFHQ_TEMPLATE * 128) for face in people]
    expected = np.concatenate([network.get_feat(crop) for crop in crops])
    assert angle(embed(people), expected).max() < 5


def test_detection_on_real_photos(onnx, testdata):
    """In every portrait the largest face is found, inside the photo, eyes over nose over mouth, left before right."""
    for file in sorted((testdata / "portraits" / "jpg").iterdir())[10:18]:
        photo = images.read(file)
        face = faces.largest(faces.find_faces(photo))
        left, right, nose, left_mouth, right_mouth = face.points
        assert face.score > 0.5
        assert (face.points > 0).all() and (face.points < photo.size).all()
        assert max(left[1], right[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
        assert left[0] < right[0] and left_mouth[0] < right_mouth[0]
        assert 0.2 < left[0] / photo.width < 0.6 and 0.4 < right[0] / photo.width < 0.8


def test_points_of_an_aligned_face_are_on_the_template(onnx, people):
    """Detected anew in the aligned crop, with room around it as detectors like it, to a few hundredths of its side."""
    for face in people:
        wide = functional.pad(face[None], (64, 64, 64, 64), mode="replicate")[0]
        found = faces.largest(faces.find_faces(images.to_pil(wide)))
        assert np.abs((found.points - 64) / 128 - faces.FFHQ_TEMPLATE).max() < 0.06
