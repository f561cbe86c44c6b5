"""The page's server, as `python app.py` starts it, spoken to over its API."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from difface import DifFacePipeline, build_scheduler, images

gradio_client = pytest.importorskip("gradio_client")

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
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
    process.send_signal(signal.SIGINT)
    process.wait(20)
    kept = {path.name for path in (folder / "files").rglob("*") if path.is_file()}
    assert kept <= {path.name for path in (ROOT / "assets" / "examples").iterdir()}  # of visitors' pictures nothing


@pytest.fixture(scope="module")
def client(server):
    return gradio_client.Client(server[0], verbose=False, analytics_enabled=False)


@pytest.fixture(scope="module")
def upload(astronaut_face, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("uploads") / "someone.png"
    astronaut_face.resize((90, 110)).save(path)
    return path


def restore(client, path: Path | None, **settings) -> tuple[tuple[str, str], str, str, str]:
    face = None if path is None else gradio_client.handle_file(path)
    return client.predict(face=face, api_name="/restore", **settings)


def refusal(client, path: Path | None, **settings) -> str:
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        restore(client, path, **settings)
    return str(caught.value)


@pytest.fixture(scope="module")
def first(client, upload) -> tuple[tuple[str, str], str, str, str]:
    return restore(client, upload, seed=7, start=300)


def test_result_has_the_size_of_the_upload_and_says_what_made_it(first):
    (seen, shown), summary, file, estimate = first
    result = Image.open(file)
    assert Path(file).name == "someone_restored.png"
    assert result.size == (90, 110)
    assert {Image.open(picture).size for picture in (seen, shown, estimate)} == {(512, 512)}
    assert "AI-restored" in result.text["Comment"]
    settings = json.loads(result.text["difface"])
    assert (settings["profile"], settings["seed"], settings["begin_index"], settings["calls"]) == ("tiny", 7, 300, 5)
    assert "5 network calls from N = 300" in summary


def test_same_seed_same_bytes_other_seed_other_bytes(client, upload, first):
    assert Path(restore(client, upload, seed=7, start=300)[2]).read_bytes() == Path(first[2]).read_bytes()
    other = restore(client, upload, seed=8, start=300)[2]
    assert Image.open(other).tobytes() != Image.open(first[2]).tobytes()


def test_result_is_the_pipelines(first, upload, tiny):
    pipeline = DifFacePipeline(**tiny.components | {"scheduler": build_scheduler("dpm++")}, begin_index=300)
    wanted = pipeline(images.read(upload), generator=torch.Generator().manual_seed(7)).images[0]
    pairs = zip(Image.open(first[2]).tobytes(), wanted.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 1


@pytest.mark.parametrize(
    "settings", [{"scheduler": "ddim", "steps": 20, "eta": 1.0}, {"scheduler": "unipc"}, {"estimator": "srcnn"}]
)
def test_other_settings(client, upload, settings):
    text = json.loads(Image.open(restore(client, upload, **settings)[2]).text["difface"])
    assert text["eta"] == settings.get("eta")


def test_eta_is_for_ddim_only(client, upload):
    assert "`eta` needs DDIM" in refusal(client, upload, eta=0.9)


def test_ddim_takes_divisors_of_1000_only(client, upload):
    assert "30 is not in the list of choices" in refusal(client, upload, scheduler="ddim", steps=30)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels to speak of."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    )


def bad_files(folder: Path, good: Path) -> list[tuple[Path, str]]:
    contents = {
        "text.png": (b"this is not a picture", "is not a picture"),
        "empty.png": (b"", "is empty"),
        "truncated.png": (good.read_bytes()[:3000], "is damaged or truncated"),
        "large.png": (png_header(9000, 9000), "up to 64 megapixels"),
        "bomb.png": (png_header(60000, 60000), "is too large"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    return [(folder / name, text) for name, (_, text) in contents.items()] + [(folder / "dot.png", "is 1x1 pixels")]


def test_a_bad_file_is_answered_with_one_line(server, client, upload, tmp_path):
    before = (server[1] / "log").read_text()
    for path, expected in bad_files(tmp_path, upload):
        message = refusal(client, path)
        assert message.startswith(path.name), message
        assert expected in message
        assert "\n" not in message
    assert "Traceback" not in (server[1] / "log").read_text().removeprefix(before)


def test_no_picture_and_no_seed(client, upload):
    assert "no picture is chosen" in refusal(client, None)
    assert "the seed is empty" in refusal(client, upload, seed=None)


def test_nothing_on_the_page_comes_from_elsewhere(server):
    page = urllib.request.urlopen(server[0]).read().decode()
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"https?://(?!127\.0\.0\.1)[^\"]+", page)


def test_unknown_profile_is_refused(monkeypatch, capsys):
    app = pytest.importorskip("app")
    monkeypatch.setattr(sys, "argv", ["app.py", "--profile", "nonesuch"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 2
    assert "'nonesuch' (choose from" in capsys.readouterr().err
