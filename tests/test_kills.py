"""Runs killed with SIGKILL, ten in all at random moments, end in the very files of a run that nothing broke."""

import io
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_unet
from PIL import ImageEnhance

from difface import build_scheduler, images, weights
from difface.degradation import Degradation
from difface.training import loop
from difface.training.data import Faces
from difface.training.prior import augment, eps_loss, spread
from eval.cli import main
from eval.datasets import build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")
FILES = ("open", "os.mkdir", "os.rename", "os.remove", "os.listdir", "os.scandir", "os.truncate")
"""What a run does to files, as Python's audit events call it."""


def run(job: Callable[[Path], None], folder: Path, moment: int | None, delay: float, seen) -> None:
    """The job in its own process, killed `delay` seconds after the file operation of that number, if it gets there."""
    numbers = count(1)

    def watch(event: str, arguments: tuple) -> None:
        if event in FILES and str(arguments[0]).startswith(str(folder)):
            seen.value = next(numbers)
            if seen.value == moment and delay == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            elif seen.value == moment:
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    torch.set_num_threads(1)
    sys.addaudithook(watch)
    job(folder)


class Runs:
    """Processes that are forked from one that has imported what they need."""

    def __init__(self):
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["difface.training.prior", "eval.run", "eval.tables.build"])

    def __call__(self, job: Callable[[Path], None], folder: Path, moment: int | None = None, delay: float = 0) -> tuple:
        """Run a job; how it ended, and how many file operations it had done."""
        seen = self.context.Value("i", 0)
        process = self.context.Process(target=run, args=(job, folder, moment, delay, seen))
        process.start()
        process.join()
        return process.exitcode, seen.value

    def broken(self, job: Callable[[Path], None], folder: Path, operations: int, kills: int, seed: int) -> None:
        """Run a job that does about so many file operations until it was killed so often, and then to its end."""
        draw, killed = random.Random(seed), 0
        for _ in range(20 * kills):
            # half of them just before an operation, the others soon after one: while something is written
            delay = draw.choice([0, draw.uniform(0, 0.02)])
            ended, operations = self(job, folder, draw.randint(1, max(operations - 1, 1)), delay)
            killed += ended == -signal.SIGKILL
            assert ended in (0, -signal.SIGKILL)
            if killed == kills:
                break
        assert killed == kills
        assert self(job, folder)[0] == 0


@pytest.fixture(scope="module")
def runs() -> Runs:
    return Runs()


@pytest.fixture(scope="module")
def faces(tmp_path_factory, astronaut_face) -> Path:
    """Three aligned faces."""
    folder = tmp_path_factory.mktemp("faces")
    for k in range(3):
        images.write(ImageEnhance.Brightness(astronaut_face).enhance(0.8 + 0.1 * k), folder / f"face_{k}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes | str]:
    """All files below a folder, hidden ones, too; of checkpoints what is in them, which pickles put in several ways."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {name: checkpoint(file) if file.suffix == ".pt" else file.read_bytes() for name, file in files.items()}


def checkpoint(file: Path) -> str:
    return json.dumps(torch.load(file, weights_only=True), default=lambda value: value.tolist())


def build_dataset(faces: Path, folder: Path) -> None:
    build(faces, folder / "set", 64, degradation=Degradation(4, 1, 2, 0.5, 5, 60))


def make_table(faces: Path, folder: Path) -> None:
    options = ["--data", str(faces), "--limit", "2", "--steps", "20", "--batch", "1", "--device", "cpu"]
    assert main(["table", "III", "--methods", "none", *options, "-o", str(folder)]) == 0


def preview(model, path: Path) -> None:
    """A picture that stands for the weights."""
    mean = sum(weight.double().mean() for weight in model.parameters()).item()
    images.write(images.to_pil(torch.full((3, 16, 16), abs(np.sin(1e4 * mean)))), path)


def loss(model, batch, generator) -> torch.Tensor:
    timesteps = spread(batch.soft, 0, 1000, generator)
    return eps_loss(model, build_scheduler("ddim"), augment(batch.x_0, generator), timesteps, generator)


def train(faces: Path, folder: Path) -> None:
    loop.LOG_EVERY = 4
    settings = loop.Settings(12, 2, 1e-3, 2, 4, 0.9, checkpoint_minutes=0, preview_every=3, precision="no", seed=0)
    model = small_unet(sample_size=64)
    loop.fit(model, Faces([faces], 64), loss, settings, folder, preview)


def download(url: str, folder: Path) -> None:
    os.environ["DIFFACE_CACHE"] = str(folder)
    os.environ.pop("DIFFACE_WEIGHTS", None)
    weights.download._CHUNK, weights.download.BACKOFF = 4096, 0
    weights.CATALOG["net.pth"] = weights.Weight("net.pth", url, "unet", "MIT", "a test's network", "tests")
    weights.fetch("net.pth", progress=False)


@pytest.mark.parametrize(("job", "kills"), [(build_dataset, 3), (make_table, 2), (train, 3)])
def test_killed_runs_end_in_the_same_files(runs, faces, tmp_path, job, kills):
    ended, operations = runs(partial(job, faces), tmp_path / "whole")
    assert ended == 0
    runs.broken(partial(job, faces), tmp_path / "killed", operations, kills, seed=kills)
    whole, killed = contents(tmp_path / "whole"), contents(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert [name for name in whole if whole[name] != killed[name]] == []


class Handler(BaseHTTPRequestHandler):
    """Sends a checkpoint, or the rest of it to those who have its beginning."""

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start, body = int(asked[1]) if asked else 0, self.server.body
        self.server.starts.append(start)
        status = 200 if not start else 206 if start < len(body) else 416
        self.send_response(status)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(max(len(body) - start, 0)))
        if start:
            span = f"{start}-{len(body) - 1}" if status == 206 else "*"
            self.send_header("Content-Range", f"bytes {span}/{len(body)}")
        self.end_headers()
        self.wfile.write(body[start:])

    def handle(self):
        with suppress(ConnectionError):  # who asked was killed
            super().handle()

    def log_message(self, format, *arguments):
        pass


def test_a_killed_download_ends_in_the_same_file(runs, tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.randn(500_000, generator=torch.Generator().manual_seed(0))}, buffer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.body, server.starts = buffer.getvalue(), []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        job = partial(download, f"http://127.0.0.1:{server.server_port}/net.pth")
        ended, operations = runs(job, tmp_path / "whole")
        assert ended == 0
        runs.broken(job, tmp_path / "killed", operations, 2, seed=2)
        server.shutdown()
    assert contents(tmp_path / "whole") == contents(tmp_path / "killed")
    assert contents(tmp_path / "killed")["net.pth"] == server.body
