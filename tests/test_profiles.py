"""Folders of networks that `train` and `convert` wrote are profiles like the others, once they are put together."""

import json
import shutil

import pytest
import torch
from conftest import generators, small_unet
from PIL import Image

from difface import DifFacePipeline, FaceEstimator, build_scheduler, cli, profiles
from difface.models.estimator import LAMA_TINY
from eval.settings import Setting

SMALLEST = {"srcnn": {"channels": 16, "depth": 2, "down_factor": 4}, "lama": LAMA_TINY | {"ngf": 4, "n_blocks": 1}}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """What `train` leaves: a folder for each network, with more in it."""
    folder = tmp_path_factory.mktemp("trained")
    small_unet(sample_size=64).save_pretrained(folder / "prior")
    (folder / "prior" / "settings.json").write_text("{}")
    for architecture, arguments in SMALLEST.items():
        with torch.random.fork_rng():
            torch.manual_seed(1)
            FaceEstimator(architecture, arguments).save_pretrained(folder / architecture)
    return folder


@pytest.fixture(scope="module")
def saved(networks):
    """Name -> the folder of a profile."""
    made = {}
    for name in ("srcnn", "lama", None):
        estimator = networks / name if name else None
        made[name] = profiles.assemble(networks / "prior", estimator, networks / f"my-{name}", 300)
    return made


def run(*arguments) -> int:
    return cli.main(list(map(str, arguments)))


def test_a_folder_is_a_profile(saved):
    restoring, inpainting, alone = (profiles.profile(str(saved[name])) for name in ("srcnn", "lama", None))
    assert [p.size for p in (restoring, inpainting, alone)] == [64, 64, 64] and restoring.begin_index == 300
    assert list(restoring.estimators) == ["srcnn"] and not restoring.inpainting
    assert list(inpainting.inpainting) == ["lama"] and not inpainting.estimators
    assert not alone.estimators and not alone.inpainting
    assert profiles.restoring_estimator(restoring.name) == "srcnn"
    with pytest.raises(ValueError, match="difface inpaint"):
        profiles.restoring_estimator(inpainting.name)


def test_its_networks_are_those_that_were_given(saved, networks):
    loaded = profiles.load(str(saved["srcnn"]), device="cpu")
    again = DifFacePipeline.from_pretrained(saved["srcnn"])
    for pipeline in (loaded, again):
        assert pipeline.config.begin_index == 300
        for part, kind, name in (("unet", type(pipeline.unet), "prior"), ("estimator", FaceEstimator, "srcnn")):
            wanted = kind.from_pretrained(networks / name).state_dict()
            found = getattr(pipeline, part).state_dict()
            assert found.keys() == wanted.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_every_command_takes_it(saved, networks, tmp_path, astronaut_face, monkeypatch):
    astronaut_face.save(tmp_path / "face.png")
    mask = Image.new("L", astronaut_face.size)
    mask.paste(255, (20, 20, 40, 40))
    mask.save(tmp_path / "mask.png")
    monkeypatch.chdir(networks)
    restored = ("restore", tmp_path / "face.png", "--fast", "--profile", "my-srcnn")
    filled = (
        "inpaint",
        tmp_path / "face.png",
        "--mask",
        tmp_path / "mask.png",
        "--steps",
        "10",
        "--profile",
        networks / "my-lama",
    )
    drawn = ("sample", "-n", "1", "--steps", "10", "--profile", "./my-None")
    for arguments, name in ((restored, "face"), (filled, "face"), (drawn, "sample_0000")):
        assert run(*arguments, "-o", tmp_path / arguments[0]) == 0
        with Image.open(tmp_path / arguments[0] / f"{name}.png") as picture:
            settings = json.loads(picture.text["difface"])
        assert settings["profile"] in ("my-srcnn", "my-lama", "my-None") and settings["size"] == 64
        assert str(networks) not in json.dumps(settings)  # a result does not tell where its maker keeps things


def test_eval_takes_it(saved):
    setting = Setting(str(saved["srcnn"]), "srcnn", 300, "dpm++", 5)
    assert setting.name == "my-srcnn-difface-srcnn-N300-dpm++5"
    record = setting.record()
    assert record["profile"] == "my-srcnn" and set(record["weights"]) == {"srcnn", "unet"}
    lq = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    restored = setting.method("cpu", "float32")(lq, generators(0), [None])
    pipeline = DifFacePipeline.from_pretrained(saved["srcnn"])
    pipeline.scheduler = build_scheduler("dpm++")
    expected = pipeline(lq, 5, generator=generators(0), output_type="pt").images
    assert (restored - expected).abs().max() < 1e-4


def test_the_page_takes_it(saved):
    pytest.importorskip("gradio", reason="gradio is not installed")
    from space import page, shared

    folder = str(saved["srcnn"])
    text = str(page.build(folder).get_config_file())
    assert "the networks in my-srcnn" in text
    assert shared.pipeline_for(folder, device="cpu").size == 64


def broken(name: str, folder, networks) -> None:
    """A folder that is no profile."""
    if name == "a network alone":
        shutil.copytree(networks / "prior", folder)
        return
    shutil.copytree(networks / "my-srcnn", folder)
    if name == "another pipeline":
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionPipeline"}))
    elif name == "no index":
        (folder / "model_index.json").unlink()
    elif name == "damaged index":
        (folder / "model_index.json").write_text("{")
    elif name == "no weights":
        next((folder / "estimator").glob("*.safetensors")).unlink()
    elif name == "another network":
        shutil.rmtree(folder / "unet")
        shutil.copytree(folder / "estimator", folder / "unet")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a network alone", "model_index.json"),
        ("another pipeline", "model_index.json"),
        ("no index", "model_index.json"),
        ("damaged index", "model_index.json"),
        ("no weights", "estimator"),
        ("another network", "unet"),
    ],
)
def test_other_folders_are_refused_in_one_line(saved, networks, tmp_path, capfd, astronaut_face, name, part):
    broken(name, tmp_path / "given", networks)
    astronaut_face.save(tmp_path / "face.png")
    assert run("restore", tmp_path / "face.png", "-o", tmp_path / "out", "--profile", tmp_path / "given") == 2
    errors = capfd.readouterr().err
    assert f"is no profile, for it holds no {part} of a DifFacePipeline" in errors and errors.count("\n") == 1
    assert "assemble" in errors and not (tmp_path / "out").exists()


def test_assemble(networks, tmp_path, capfd):
    assert run("assemble", networks / "prior", networks / "srcnn", "-o", tmp_path / "mine", "--start", "250") == 0
    assert profiles.profile(str(tmp_path / "mine")).begin_index == 250
    assert run("assemble", networks / "prior", "-o", tmp_path / "mine") == 0  # an earlier one is replaced
    assert not profiles.profile(str(tmp_path / "mine")).estimators
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
    capfd.readouterr()
    for arguments, says in (
        ((networks / "srcnn", networks / "prior", "-o", tmp_path / "new"), "holds no UNet"),
        ((networks / "prior", networks / "prior", "-o", tmp_path / "new"), "holds no FaceEstimator"),
        ((networks / "prior", networks / "nothing", "-o", tmp_path / "new"), "holds no FaceEstimator"),
        ((networks / "prior", "-o", networks / "srcnn"), "holds something else"),
        ((networks / "prior", "-o", tmp_path / "new", "--start", "0"), r"N must be a whole number in 1..1000"),
    ):
        assert run("assemble", *arguments) == 2
        errors = capfd.readouterr().err
        assert says in errors and errors.count("\n") == 1 and not (tmp_path / "new").exists()
