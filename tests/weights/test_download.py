"""Finding and fetching, against a real HTTP server on this machine that can be slow-witted, flaky or wrong."""

import hashlib
import io
import json
import pickle
import re
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from difface import cli
from difface.weights import (
    CATALOG,
    LicenceNotAccepted,
    Weight,
    WeightMissing,
    WeightRefused,
    check_format,
    download,
    fetch,
    find,
    load_state_dict,
)

NAME = "net.pth"


def checkpoint(seed=0, size=100_000, legacy=False):
    """A PyTorch checkpoint as bytes (about 0.4 MB)."""
    buffer = io.BytesIO()
    state = {"w": torch.randn(size, generator=torch.Generator().manual_seed(seed))}
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `body` at every path. `script` holds what happens to the next requests: a status, or ('cut', bytes).

    With `careless` it sends the rest of whatever file it has, without asking which one the piece is from.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.type, self.etag = checkpoint(), "application/octet-stream", '"one"'
        self.ranges, self.careless, self.always_cut, self.length = True, False, None, None
        self.script, self.requests = [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/{NAME}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append(wanted)
        step = server.script.pop(0) if server.script else None
        if isinstance(step, int):
            return self.send_error(step)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if not server.careless and self.headers.get("If-Range", server.etag) != server.etag:
            start = 0
        if start and start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.type)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(server.length or len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        self.end_headers()
        cut = step[1] if step else server.always_cut
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A running server whose file is the catalog's `net.pth`."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        catalogue(monkeypatch, running.url)
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, no folder of the user's, and no waiting between retries."""
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DIFFACE_WEIGHTS", raising=False)
    monkeypatch.setattr(download, "BACKOFF", 0)
    return tmp_path / "cache"


def catalogue(monkeypatch, url, name=NAME, size=None, sha256=None):
    """Put a weight into the catalog for one test."""
    monkeypatch.setitem(CATALOG, name, Weight(name, url, "unet", "MIT", "a test's network", "tests", size, sha256))


def visible(folder):
    """Names in a folder, without lock files."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def one_line(error):
    """The message, which must be one line."""
    message = str(error.value)
    assert "\n" not in message
    return message


# Licences


def restricted(monkeypatch, server, name, licence="Made-up 1.0 (non-commercial)"):
    monkeypatch.setitem(CATALOG, name, Weight(name, server.url, "method", licence, "a test's network", "tests"))


def test_a_non_commercial_licence_is_asked_for_once(server, cache, monkeypatch, capsys):
    restricted(monkeypatch, server, NAME)
    restricted(monkeypatch, server, "second.pth")
    restricted(monkeypatch, server, "third.pth", "Another 2.0 (non-commercial research)")
    with pytest.raises(WeightMissing) as error:
        fetch(NAME, progress=False)
    command = f"python -m difface fetch {NAME} --accept-licence"
    assert f"{NAME} is under Made-up 1.0 (non-commercial)." in one_line(error) and one_line(error).endswith(command)
    assert server.requests == [] and not cache.exists()
    with pytest.raises(WeightMissing, match=f"Get it with: {command}$"):
        find(NAME)
    assert cli.main(["fetch", NAME, "--accept-licence"]) == 0
    assert capsys.readouterr().out.strip().endswith(NAME)
    assert fetch("second.pth", progress=False).read_bytes() == server.body  # the same licence
    with pytest.raises(LicenceNotAccepted, match="Another 2.0"):
        fetch("third.pth", progress=False)


def test_what_the_user_put_into_place_is_not_asked_about(server, cache, monkeypatch):
    restricted(monkeypatch, server, NAME)
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(server.body)
    assert fetch(NAME, progress=False) == cache / NAME and server.requests == []


def test_an_archive_is_asked_about_by_the_file_in_it(monkeypatch, cache):
    with pytest.raises(LicenceNotAccepted, match="det_10g.onnx is under InsightFace models"):
        fetch("det_10g.onnx", progress=False)


# Downloads that work


def test_a_download_is_whole_recorded_and_done_once(server, cache):
    path = fetch(NAME, progress=False)
    assert path == cache / NAME
    assert path.read_bytes() == server.body
    record = json.loads((cache / f"{NAME}.json").read_text())
    assert record["size"] == len(server.body)
    assert record["sha256"] == hashlib.sha256(server.body).hexdigest()
    assert visible(cache) == [NAME, f"{NAME}.json"]
    assert fetch(NAME, progress=False) == find(NAME) == path
    assert server.requests == [None]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_is_for_terminals_on_stderr(server, capfd, monkeypatch, terminal):
    console = download.Console
    monkeypatch.setattr(download, "Console", lambda stderr: console(stderr=stderr, force_terminal=terminal))
    fetch(NAME)
    out, err = capfd.readouterr()
    assert out == "" and (NAME in err) == terminal


def test_an_interrupted_download_resumes_in_a_later_call(server, cache, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.script = [("cut", 150_000), 503]
    with pytest.raises(WeightMissing, match="HTTP 503"):
        fetch(NAME, progress=False)
    assert visible(cache) == [f"{NAME}.part", f"{NAME}.part.etag"]
    assert (cache / f"{NAME}.part").stat().st_size == 131_072  # whole chunks of the 150,000 bytes that came
    assert fetch(NAME, progress=False).read_bytes() == server.body
    assert server.requests == [None, "bytes=131072-", "bytes=131072-"]
    assert visible(cache) == [NAME, f"{NAME}.json"]


def test_a_server_without_ranges_starts_again(server):
    server.ranges = False
    server.script = [("cut", 150_000)]
    assert fetch(NAME, progress=False).read_bytes() == server.body
    assert server.requests == [None, "bytes=131072-"]


def test_a_flaky_server_is_retried(server):
    server.script = [503, ("cut", 70_000), ("cut", 70_000), 429, ("cut", 0), 500]
    assert fetch(NAME, progress=False).read_bytes() == server.body
    assert server.requests == [None, None, "bytes=65536-", *["bytes=131072-"] * 4]


def test_pieces_of_two_files_are_never_joined(server, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.script = [("cut", 150_000), 503]
    with pytest.raises(WeightMissing):
        fetch(NAME, progress=False)
    server.body, server.etag = checkpoint(seed=1), '"two"'
    assert fetch(NAME, progress=False).read_bytes() == server.body


@pytest.mark.parametrize("etag", [None, 'W/"one"', "one", ""])
def test_without_a_strong_validator_a_download_starts_again(server, etag):
    server.etag, server.careless = etag, True
    server.script = [("cut", 150_000), 503]
    assert fetch(NAME, progress=False).read_bytes() == server.body
    assert server.requests == [None] * 3


@pytest.mark.parametrize("etag", ['"two"', None])
def test_a_server_that_does_not_ask_whose_piece_it_is_cannot_join_two_files(server, monkeypatch, etag):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.script, server.careless = [("cut", 150_000), 503], True
    with pytest.raises(WeightMissing):
        fetch(NAME, progress=False)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.body, server.etag = checkpoint(seed=1), etag
    assert fetch(NAME, progress=False).read_bytes() == server.body
    assert server.requests == [None, "bytes=131072-", "bytes=131072-", None]


def test_an_old_piece_is_never_left_beside_a_new_validator(server, cache, monkeypatch):
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(b"of another file")
    (cache / f"{NAME}.part.etag").write_text('"another"')
    write = Path.write_text

    def killed(path, *arguments, **options):
        write(path, *arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(NAME, progress=False)
    assert visible(cache) == [f"{NAME}.part.etag"]
    assert fetch(NAME, progress=False).read_bytes() == server.body


def test_a_piece_that_is_already_whole_is_taken(server, cache):
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(server.body)
    (cache / f"{NAME}.part.etag").write_text(server.etag)
    assert fetch(NAME, progress=False).read_bytes() == server.body
    assert server.requests == [f"bytes={len(server.body)}-"]


def test_a_piece_longer_than_the_file_is_dropped(server, cache):
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(server.body + b"more")
    (cache / f"{NAME}.part.etag").write_text(server.etag)
    assert fetch(NAME, progress=False).read_bytes() == server.body


def test_two_at_once_download_once(server):
    threads = [threading.Thread(target=fetch, args=(NAME,), kwargs={"progress": False}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests == [None]
    assert find(NAME).read_bytes() == server.body


# Downloads that are refused


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "text/html; charset=utf-8"),
        (b"\n <!DOCTYPE html><html>not found</html>", "application/octet-stream"),
        (b"", "application/octet-stream"),
        (checkpoint()[:200_000], "application/octet-stream"),
        (checkpoint(legacy=True)[:200_000], "application/octet-stream"),
        (b"just some text", "application/octet-stream"),
    ],
    ids=["html", "html-in-disguise", "empty", "cut-zip", "cut-pickle", "text"],
)
def test_what_is_no_checkpoint_is_refused(server, cache, body, type):
    server.body, server.type = body, type
    with pytest.raises(WeightRefused) as error:
        fetch(NAME, progress=False)
    assert NAME in one_line(error)
    assert visible(cache) == []
    with pytest.raises(WeightMissing):
        find(NAME)


def test_a_body_shorter_than_promised_is_given_up(server, cache):
    server.length = len(server.body) + 1
    server.ranges = False
    with pytest.raises(WeightMissing, match="broke off"):
        fetch(NAME, progress=False)
    assert len(server.requests) == download.ATTEMPTS + 1  # the first one brought new bytes
    assert not (cache / NAME).exists()


def test_the_catalogued_size_is_enforced_before_a_byte_is_read(server, cache, monkeypatch):
    catalogue(monkeypatch, server.url, size=7)
    with pytest.raises(WeightRefused, match=f"offers {len(server.body)} bytes.*must have 7"):
        fetch(NAME, progress=False)
    assert visible(cache) == []


def test_the_catalogued_digest_is_enforced(server, cache, monkeypatch):
    catalogue(monkeypatch, server.url, sha256="0" * 64)
    with pytest.raises(WeightRefused) as error:
        fetch(NAME, progress=False)
    assert hashlib.sha256(server.body).hexdigest() in one_line(error) and "0" * 64 in one_line(error)
    assert visible(cache) == []


def test_the_recorded_digest_is_enforced_on_the_next_download(server, cache):
    fetch(NAME, progress=False).unlink()
    server.body = checkpoint(seed=1)
    with pytest.raises(WeightRefused, match="remove .*net.pth.json"):
        fetch(NAME, progress=False)
    assert not (cache / NAME).exists()


@pytest.mark.parametrize("body", [checkpoint(seed=1), checkpoint(size=5)], ids=["same-size", "other-size"])
def test_a_changed_file_is_refused(server, body):
    path = fetch(NAME, progress=False)
    path.write_bytes(body)
    with pytest.raises(WeightRefused, match="given .*expected .*net.pth.json"):
        find(NAME)
    with pytest.raises(WeightRefused):
        fetch(NAME, progress=False)


def test_a_broken_record_is_named(server, cache):
    fetch(NAME, progress=False)
    (cache / f"{NAME}.json").write_text("{")
    with pytest.raises(WeightRefused, match="net.pth.json is not the record"):
        find(NAME)


def test_a_file_the_server_does_not_have_is_asked_for_once(server):
    server.script = [404]
    with pytest.raises(WeightMissing, match="HTTP 404"):
        fetch(NAME, progress=False)
    assert server.requests == [None]


def test_offline_is_one_line_with_the_address_and_the_place(cache, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{NAME}"
    catalogue(monkeypatch, url)
    with pytest.raises(WeightMissing, match="no connection") as error:
        fetch(NAME, progress=False)
    assert url in one_line(error) and str(cache / NAME) in one_line(error)


def packed(name, content):
    """A ZIP archive with a file in a folder, and another one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("pack/readme.txt", "a pack")
        archive.writestr(f"pack/{name}", content)
    return stream.getvalue()


@pytest.fixture
def pack(server, monkeypatch):
    """The server's file is the ZIP archive that holds `net.pth`."""
    server.body = packed(NAME, checkpoint())
    catalogue(monkeypatch, server.url.replace(NAME, "pack.zip"), "pack.zip")
    monkeypatch.setitem(
        CATALOG, NAME, Weight(NAME, None, "unet", "MIT", "a test's network", "tests", archive="pack.zip")
    )
    return server


def test_a_file_in_an_archive_is_fetched_with_it_and_taken_out(pack, cache):
    with pytest.raises(WeightMissing, match=f"python -m difface fetch {NAME}"):
        find(NAME)
    assert fetch(NAME, progress=False).read_bytes() == checkpoint()
    assert visible(cache) == [NAME, "pack.zip", "pack.zip.json"]
    assert fetch(NAME, progress=False) == find(NAME) and len(pack.requests) == 1


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", checkpoint()[:-1]])
def test_a_bad_file_in_an_archive_is_refused(pack, cache, content):
    pack.body = packed(NAME, content)
    with pytest.raises(WeightRefused):
        fetch(NAME, progress=False)
    assert not (cache / NAME).exists()


def test_the_first_file_that_is_here_is_taken(server, cache, monkeypatch):
    fetch(NAME, progress=False)
    monkeypatch.setitem(CATALOG, "other.pth", Weight("other.pth", None, "unet", "MIT", "another network", "tests"))
    assert download.find_any("other.pth", NAME) == find(NAME)
    with pytest.raises(WeightMissing, match=r"other.pth \(another network\)"):
        download.find_any("other.pth", "other.pth")


def test_an_archive_without_the_file_is_named(pack):
    pack.body = packed("other.pth", checkpoint())
    with pytest.raises(WeightRefused, match=f"does not hold {NAME}"):
        fetch(NAME, progress=False)


# Files that are already here


def test_a_missing_file_is_told_with_the_command(server, cache):
    with pytest.raises(FileNotFoundError, match=f"python -m difface fetch {NAME}") as error:
        find(NAME)
    assert "$DIFFACE_WEIGHTS (not set)" in one_line(error) and str(cache) in one_line(error)
    assert server.requests == []


def test_a_file_without_an_address_is_looked_for_only(monkeypatch):
    catalogue(monkeypatch, None)
    with pytest.raises(WeightMissing, match="no public address"):
        fetch(NAME, progress=False)


def test_the_users_folder_comes_first(server, tmp_path, monkeypatch):
    fetch(NAME, progress=False)
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(own))
    assert find(NAME).parent != own
    (own / NAME).write_bytes(checkpoint(seed=2))
    assert fetch(NAME, progress=False) == find(NAME) == own / NAME
    assert visible(own) == [NAME]  # nothing is written into it
    assert len(server.requests) == 1


def test_a_wrong_file_in_the_users_folder_is_refused_not_replaced(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    (tmp_path / NAME).write_bytes(b"<html>sign in first</html>")
    with pytest.raises(WeightRefused, match="web page"):
        fetch(NAME, progress=False)
    (tmp_path / NAME).write_bytes(checkpoint())
    catalogue(monkeypatch, server.url, sha256="0" * 64)
    with pytest.raises(WeightRefused, match="from the catalog"):
        find(NAME)
    assert server.requests == []


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no weights called"):
        fetch("nothing.pth")


# Formats


def zipped(name):
    """A zip archive with one file in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"data")
    return buffer.getvalue()


def numpy_archive():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


ONNX = b"\x08\x07\x12\x04test\x3a\x05graph\x42\x02\x10\x0d"  # ir_version 7, producer, graph (opaque here), opset
GOOD = {
    "a.pth": checkpoint(),
    "b.pt": checkpoint(legacy=True),
    "c.ckpt": checkpoint(),
    "d.safetensors": save({"w": torch.zeros(3)}),
    "e.onnx": ONNX,
    "f.zip": zipped("det.onnx"),
    "g.npz": numpy_archive(),
    "h.mat": b"MATLAB 5.0 MAT-file" + bytes(200),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_files_pass(tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[name])
    check_format(tmp_path / name)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "h.mat"])
def test_files_cut_by_one_byte_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[name][:-1])
    with pytest.raises(WeightRefused):
        check_format(tmp_path / name)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("content", [b"", b"<html>", b"hello, this is text", bytes(100)])
def test_other_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightRefused, match=re.escape(str(tmp_path / name))):
        check_format(tmp_path / name)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "f.zip"])
def test_any_zip_archive_will_not_do(tmp_path, name):
    (tmp_path / name).write_bytes(zipped("readme.txt"))
    with pytest.raises(WeightRefused):
        check_format(tmp_path / name)


def test_a_protobuf_without_a_graph_is_no_onnx(tmp_path):
    (tmp_path / "e.onnx").write_bytes(b"\x08\x07\x12\x04test")
    with pytest.raises(WeightRefused, match="must be an ONNX model"):
        check_format(tmp_path / "e.onnx")


class Bomb:
    """Unpickled with code allowed, it would call `open` and leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "trap"
    bomb = tmp_path / "bomb.pth"
    bomb.write_bytes(pickle.dumps({"w": Bomb(str(trap))}, protocol=2))
    with pytest.raises(WeightRefused):
        check_format(bomb)
    torch.save({"w": Bomb(str(trap))}, bomb)
    with pytest.raises(WeightRefused, match="tensors alone"):
        load_state_dict(bomb)
    assert not trap.exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("nest", [None, "state_dict", "params", "params_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_are_taken_out_of_their_wrapping(tmp_path, nest, prefix, legacy):
    state = {f"{prefix}a.weight": torch.ones(2), f"{prefix}b": torch.zeros(())}
    wrapped = {nest: state, "iters_start": 5} if nest else state
    torch.save(wrapped, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    assert list(load_state_dict(tmp_path / "x.pth")) == ["a.weight", "b"]


def test_averaged_weights_are_preferred(tmp_path):
    torch.save({"params": {"w": torch.zeros(1)}, "params_ema": {"w": torch.ones(1)}}, tmp_path / "x.pth")
    assert load_state_dict(tmp_path / "x.pth")["w"].item() == 1


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(1)], {"state_dict": {}}])
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightRefused, match="no state dict"):
        load_state_dict(tmp_path / "x.pth")
