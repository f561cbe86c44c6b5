"""What the tests share: where data is, small networks and a face that anybody may use."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage.data import astronaut

from difface import DifFacePipeline, FaceEstimator, UNet, build_scheduler, cli, images, profiles
from difface.metrics import identity
from difface.weights.convert import convert
from eval import gallery

ROOT = Path(__file__).resolve().parent.parent
os.environ["DIFFACE_PROFILE"] = "tiny"  # the quick one, where a test names none; test_small.py has the default


@pytest.fixture(scope="session")
def parity() -> Path:
    """Inputs and outputs of official implementations (`README.md` there)."""
    return Path(__file__).parent / "parity"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder in `DIFFACE_TESTDATA` (portraits, ONNX models, real photos)."""
    folder = os.environ.get("DIFFACE_TESTDATA")
    if not folder:
        pytest.skip("DIFFACE_TESTDATA is not set")
    return Path(folder)


@pytest.fixture
def onnx(testdata, monkeypatch) -> Iterator[Path]:
    """The ONNX models of the test data, where the program looks for weights; no later test has them by its cache."""
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(testdata / "weights"))
    yield testdata / "weights"
    identity._network.cache_clear()


@pytest.fixture
def no_weights(monkeypatch, tmp_path) -> Path:
    """No weights but the embedded ones and those that packages bring."""
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(params=["SCRFD", "CenterFace"])
def detector(request) -> str:
    """Both detectors in turn."""
    request.getfixturevalue("onnx" if request.param == "SCRFD" else "no_weights")
    return request.param


@pytest.fixture(scope="session")
def astronaut_photo() -> Image.Image:
    return Image.fromarray(astronaut())


@pytest.fixture(scope="session")
def astronaut_face() -> Image.Image:
    """64 x 64, in FFHQ alignment."""
    return gallery.astronaut_face()


@pytest.fixture
def face(tmp_path, astronaut_face) -> Path:
    """The same as a file."""
    images.write(astronaut_face, tmp_path / "face.png")
    return tmp_path / "face.png"


@pytest.fixture
def run(capsys):
    """Run a command of `difface`; its exit status and its lines on stderr that report errors."""

    def call(*arguments) -> tuple[int, list[str]]:
        status = cli.main([str(argument) for argument in arguments])
        return status, [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]

    return call


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """The whole photos of the examples at half their size: with faces as small as the profile `tiny` takes."""
    folder = tmp_path_factory.mktemp("photos")
    for file in (profiles.ASSETS / "examples" / "photos").glob("*.png"):
        with Image.open(file) as photo:
            photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS).save(folder / file.name)
    return folder


def small_unet(**changes) -> UNet:
    """A random network of two levels, 16 x 16 pixels, with weights from a fixed seed."""
    arguments = dict(
        sample_size=16,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=16,
        norm_num_groups=8,
        attn_norm_num_groups=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet(**(arguments | changes)).eval()


def official_unet(parity: Path, folder: Path, overrides: dict[str, torch.Tensor] = {}) -> UNet:  # noqa: B006 (read only)
    """The small network that the official code was run on, converted to diffusers: 32 x 32 pixels, learned variance.

    Args:
        parity: the folder of the fixtures.
        folder: for the files.
        overrides: tensors, "sd." before their names, that stand in the place of its own.
    """
    state = load_file(parity / "unet_small.safetensors") | overrides
    official = {name.removeprefix("sd."): tensor for name, tensor in state.items() if name.startswith("sd.")}
    save_file(official, folder / "official.safetensors")
    given = json.loads((parity / "unet_small.json").read_text())
    size, width = given["image_size"], given["num_head_channels"]
    convert(folder / "official.safetensors", folder / "out", "unet", image_size=size, head_width=width)
    return UNet.from_pretrained(folder / "out").eval()


@pytest.fixture
def small() -> DifFacePipeline:
    """A random pipeline at 16 x 16 pixels: quick, and as good as any for contracts."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        estimator = FaceEstimator("srcnn", {"channels": 8, "depth": 2, "down_factor": 2}).eval()
    pipeline = DifFacePipeline(small_unet(), build_scheduler("ddim"), estimator)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def tiny() -> DifFacePipeline:
    """The embedded models, on the CPU."""
    pipeline = profiles.load("tiny", device="cpu")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seeded(network: torch.nn.Module) -> torch.nn.Module:
    """Every tensor from a seed of its own, in order of name, so that networks of the same names get the same ones."""
    state = network.state_dict()
    for seed, name in enumerate(sorted(state)):
        value, generator = state[name], torch.Generator().manual_seed(seed)
        if value.ndim > 1:
            value.copy_(torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5)
        elif value.ndim == 1:
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.eval()


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a running server, and the folder in which it keeps its files while it runs."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        env=os.environ | {"GRADIO_TEMP_DIR": str(folder / "files"), "OMP_NUM_THREADS": "1"},
    )
    for _ in range(600):
        time.sleep(0.1)
        with socket.socket() as probe:
            if process.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    assert process.poll() is None, (folder / "log").read_text()
    yield f"http://127.0.0.1:{port}", folder
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert [path for path in (folder / "files").rglob("*") if path.is_file()] == []  # nothing is left
