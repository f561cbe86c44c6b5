"""Previews that keep up with the fields, files that say what they are, and masks that leave paint alone."""

import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio as gr

from difface import images, metadata
from difface.chain import DEFAULT_ETA
from space import inpaint, page, restore, shared, widgets, worse

SETTINGS = dict(scale=2, sigma_1=1, sigma_2=1, angle=0, noise=5, quality=60, seed=0)


@pytest.fixture
def face(astronaut_face, tmp_path, monkeypatch) -> str:
    monkeypatch.setattr(gr.utils, "get_upload_folder", lambda: str(tmp_path / "files"))
    astronaut_face.save(tmp_path / "face.png")
    return str(tmp_path / "face.png")


@pytest.fixture(scope="module")
def built() -> gr.Blocks:
    return page.build("tiny")


def event(built: gr.Blocks, name: str) -> dict:
    return next(event for event in built.config["dependencies"] if event["api_name"] == name)


def test_every_field_refreshes_the_preview(built):
    worsen = event(built, "worsen")
    given = {part for part, _ in worsen["targets"]}
    assert given == set(worsen["inputs"])
    assert {how for _, how in worsen["targets"]} == {"change", "input"}
    assert worsen["trigger_mode"] == "always_last"


def test_the_preview_waits_for_no_restoration(built):
    lines = {function.api_name: function.concurrency_id for function in built.fns.values()}
    assert lines["worsen"] != lines["restore_worse"] == lines["restore"]


def test_the_preview_follows_its_fields(face):
    worsen = worse.worsener(64)
    first, other = (worsen(face, True, **SETTINGS | {"seed": seed}) for seed in (0, 1))
    assert first.tobytes() == worsen(face, True, **SETTINGS).tobytes() != other.tobytes()
    assert worsen(None, True, **SETTINGS) is None


@pytest.mark.parametrize("field", SETTINGS)
def test_an_emptied_field_leaves_the_preview_and_is_refused_by_the_button(face, field):
    settings = SETTINGS | {field: None}
    assert worse.worsener(64)(face, True, **settings) == gr.skip()
    with pytest.raises(gr.Error, match="is empty"):
        next(worse.worse_restorer("tiny")(face, True, **settings, start=250))


def test_an_emptied_slider_is_handed_over_and_others_are_checked():
    slider = widgets.may_be_empty(gr.Slider(1, 5, 2))
    assert slider.preprocess(None) is None and slider.preprocess(3) == 3
    with pytest.raises(gr.Error):
        slider.preprocess(9)


def test_no_event_changes_a_property_of_a_field_that_judges_for_itself(built):
    """Gradio would make the field anew of its class, without its judgement: such fields' events give values only."""
    judging = {key for key, block in built.blocks.items() if "preprocess" in vars(block)}
    restored = event(built, "fit_fields")
    assert judging & set(restored["outputs"]) == {restored["outputs"][2]}
    assert restore._fit_fields("ddim")[2] == DEFAULT_ETA


def test_downloads_say_what_they_are(face):
    *_, (files, scores, text, _) = worse.worse_restorer("tiny")(face, True, **SETTINGS, start=250)
    said = {caption: Image.open(file).text["Comment"] for file, caption in files}
    assert list(said) == ["Truth", "Input y", "Estimate f(y)", "DifFace"]
    assert said["Truth"] == said["Input y"] == metadata.UNTOUCHED
    assert said["Estimate f(y)"] == said["DifFace"] == metadata.RESTORED
    assert [row[0] for row in scores] == list(said)[1:] and "shrinks that to" in text
    seen = worse.worsener(64)(face, True, **SETTINGS)
    assert images.read(files[1][0]).tobytes() == seen.tobytes()


def test_an_invented_face_says_so(face, monkeypatch):
    monkeypatch.setattr(worse, "INVENT_STEPS", 2)
    assert Image.open(worse.inventor("tiny")(3)).text["Comment"] == metadata.GENERATED


def test_too_little_memory_for_an_invented_face_is_told_in_a_line(monkeypatch):
    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(shared, "pipeline_for", full)
    with pytest.raises(gr.Error, match="too little memory"):
        worse.inventor("tiny")(0)


def test_another_seed_of_the_mask_leaves_what_is_painted_by_hand(face):
    mask = inpaint.masker(64)
    assert mask(face, True, None, 3) == gr.skip()
    drawn = [mask(face, True, "irregular", seed)["layers"][0].tobytes() for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_mask_is_chosen_before_its_face_comes_and_stays(face, tmp_path):
    paint = inpaint.painter(64)
    canvas, kind, text, original = paint(None, True, "half", 3)
    assert canvas is None and kind == gr.skip() and "the mask comes with it" in text and original == ""
    canvas, kind, text, original = paint(face, True, "half", 3)  # as the face comes
    assert kind == "half" and text == "" and "data:image/png" in original
    assert canvas["layers"][0].tobytes() == inpaint.masker(64)(face, True, "half", 3)["layers"][0].tobytes()
    assert paint(face, True, None, 3)[1] == gr.skip()  # a face alone chooses nothing, and takes nothing back


def test_black_holes_that_are_not_there_are_one_quiet_line(face):
    canvas, kind, text, _ = inpaint.painter(64)(face, True, "auto", 0)
    assert kind is None and canvas["layers"] == [] and "paint over what is missing" in text


@pytest.mark.parametrize("side", [400, 600, 1000, 1500])
def test_every_pixel_of_a_black_hole_is_missing(astronaut_face, tmp_path, side):
    """Whatever the canvas shows: a black pixel that counted as known would be kept as black."""
    picture = astronaut_face.resize((side, side), Image.Resampling.BICUBIC).point(lambda v: max(v, 1))
    hole = (side // 3 + 1, side // 4 + 2, side // 2 + 5, side // 2 + 3)
    picture.paste((0, 0, 0), hole)
    picture.save(tmp_path / "holes.png")
    sheet = inpaint.masker(64)(str(tmp_path / "holes.png"), True, "auto", 0)
    sheet["layers"][0].save(tmp_path / "layer.png")
    missing = inpaint._painted([str(tmp_path / "layer.png")], side, side)[0, 0]
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[hole[1] : hole[3], hole[0] : hole[2]] = True
    assert missing[inside].all() and missing[~inside].float().mean() < 0.01


def test_painted_layers_are_judged_unread(tmp_path):
    """As a browser sends them: files of the size of the canvas."""
    layer = Image.new("RGBA", (512, 512), (255, 255, 255, 0))
    layer.paste((255, 255, 255, 255), (0, 0, 256, 512))
    layer.save(tmp_path / "layer.png")
    with gr.Blocks():
        canvas = inpaint._canvas()
    sent = canvas.data_model(layers=[{"path": str(tmp_path / "layer.png")}])
    missing = inpaint._painted(canvas.preprocess(sent), 64, 64)
    assert torch.equal(missing[0, 0, 0], (torch.arange(64) < 32).float())
    assert canvas.preprocess(None) == []


def test_a_rectangle_by_numbers_is_marked_beside_what_is_painted(face, tmp_path):
    mark = inpaint.rectangle_marker(64)
    canvas, kind = mark(face, True, [], 25, 50, 75, 100)
    assert kind is None
    canvas["layers"][0].save(tmp_path / "layer.png")
    missing = inpaint._painted([str(tmp_path / "layer.png")], 64, 64)[0, 0]
    wanted = torch.zeros(64, 64)
    wanted[32:64, 16:48] = 1
    assert torch.equal(missing, wanted)
    canvas, _ = mark(face, True, [str(tmp_path / "layer.png")], 0, 0, 25, 25)
    canvas["layers"][0].save(tmp_path / "layer.png")
    wanted[:16, :16] = 1
    assert torch.equal(inpaint._painted([str(tmp_path / "layer.png")], 64, 64)[0, 0], wanted)


@pytest.mark.parametrize(
    ("edges", "says"),
    [((60, 10, 40, 90), "from 60 to 40 % across"), ((None, 0, 9, 9), "the left edge is empty"), ((0, 5, 9, 5), "down")],
)
def test_a_rectangle_that_is_none_is_refused_in_one_line(face, edges, says):
    with pytest.raises(gr.Error, match=says):
        inpaint.rectangle_marker(64)(face, True, [], *edges)


def test_a_face_is_itself_and_a_blurred_one_has_less_detail(onnx, astronaut_face):
    pytest.importorskip("insightface", reason="insightface is not installed")
    truth = images.to_tensors(astronaut_face)[0]
    soft = torch.nn.functional.avg_pool2d(truth[None], 5, 1, 2)[0]
    noisy = (truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    _, ssim, angle, detail = map(float, worse._scores(truth, truth))
    assert (ssim, angle, detail) == (1, 0, 100)
    assert float(worse._scores(soft, truth)[3]) < 60 and float(worse._scores(noisy, truth)[3]) > 130
    assert float(worse._scores(truth.flip(1), truth)[2]) > 45  # upside down it is somebody else


def test_without_an_embedding_the_angle_is_not_there_and_that_is_said(no_weights, astronaut_face):
    truth = images.to_tensors(astronaut_face)[0]
    assert worse._scores(truth, truth)[2] == "n/a" and "mobilefacenet.onnx is missing" in worse._no_identity()
