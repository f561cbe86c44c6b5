"""What degrades a face, what restores it and what drew it are streams apart, wherever one follows the other."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from difface import DifFacePipeline, cli, degradation, folders, images, profiles
from eval import gallery
from eval.cli import main
from eval.figures import Faces, default_faces, read_faces
from eval.figures.bench import Bench
from eval.figures.severity import levels
from eval.notebooks import cells
from eval.run import Runner
from eval.settings import Setting
from eval.tables.data import dataset
from space import worse


@pytest.fixture
def seeds(monkeypatch) -> SimpleNamespace:
    """The seeds of all generators that degrade, restore and draw from here on."""
    used = SimpleNamespace(degraded=[], restored=[], drawn=[])
    inner = degradation._degrade

    def degrade(image, parameters, generator):
        used.degraded.append(generator.initial_seed())
        return inner(image, parameters, generator)

    def noting(name: str, seeds: list[int]):
        call = getattr(DifFacePipeline, name)

        def noted(*arguments, **options):
            bound = inspect.signature(call).bind(*arguments, **options)
            given = bound.arguments["generator"]
            seeds.extend(one.initial_seed() for one in (given if isinstance(given, list) else [given]))
            steps = bound.arguments.get("num_inference_steps")
            bound.arguments["num_inference_steps"] = steps and min(steps, 20)  # what is drawn does not matter here
            return call(*bound.args, **bound.kwargs)

        return noted

    monkeypatch.setattr(degradation, "_degrade", degrade)
    monkeypatch.setattr(DifFacePipeline, "__call__", noting("__call__", used.restored))
    monkeypatch.setattr(DifFacePipeline, "sample", noting("sample", used.drawn))
    return used


@pytest.fixture
def files(tmp_path, astronaut_face) -> list[Path]:
    """Two faces, whose names say seeds that a gallery takes."""
    for k in range(2):
        images.write(astronaut_face, tmp_path / "faces" / f"{k}.png")
    return folders.find([tmp_path / "faces"])


def runner(files: list[Path]) -> None:
    """What all tables and reports call."""
    faces = dataset(str(files[0].parent), files[0].parent / "data", "tiny", None, 4)[1]
    Runner(files[0].parent / "work").evaluate(faces, [Setting("tiny", "srcnn", 250, "dpm++", 2)], [])


def restored(faces: Faces, files: list[Path]) -> None:
    """As figures restore them."""
    Bench(faces, Runner(files[0].parent / "work")).pictures(Setting("tiny", "srcnn", 250, "dpm++", 2))


def of_folders(files: list[Path]) -> None:
    restored(read_faces(64, files[0].parent), files)


def severity(files: list[Path]) -> None:
    restored(levels(read_faces(64, files[0].parent))[4], files)


def default(files: list[Path]) -> None:
    restored(default_faces(2), files)


def notebooks(files: list[Path]) -> None:
    restored(cells.faces(limit=2), files)


def sheet(files: list[Path]) -> None:
    assert main(["sheet", str(files[0].parent), "-o", str(files[0].parent / "sheet.png")]) == 0


def pictures_of_the_page(files: list[Path]) -> None:
    gallery.sheet(files[0].parent / "gallery.png", [0, 1])


def command_line(files: list[Path]) -> None:
    folder = files[0].parent
    for command in (["degrade", str(folder), "-o", str(folder / "lq")], ["restore", str(folder / "lq"), "--fast"]):
        assert cli.main([*command, *(["-o", str(folder / "out")] if "restore" in command else []), "--seed", "3"]) == 0


def page(files: list[Path]) -> None:
    truth = images.to_tensors(images.read(files[0]))[0]
    lq = worse._worse(truth, (4, 1, 1, 0, 5, 60), 3)
    quick()(lq, 2, generator=worse.shared.generators(3), output_type="pt")


def quick() -> DifFacePipeline:
    pipeline = profiles.load("tiny", "srcnn", "dpm++", device="cpu")
    pipeline.set_begin_index(250)
    return pipeline


PLACES = [
    *(runner, of_folders, severity, default, notebooks),
    *(sheet, pictures_of_the_page, command_line, page),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_streams_are_apart(place, files, seeds) -> None:
    place(files)
    assert seeds.degraded and seeds.restored
    assert not {*seeds.degraded} & {*seeds.restored} and not {*seeds.drawn} & {*seeds.degraded, *seeds.restored}
