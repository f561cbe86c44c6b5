"""What enters the page: files that were uploaded to it, and no others, at any endpoint."""

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from space.entry import NOT_UPLOADED, UNFIT

META = {"meta": {"_type": "gradio.FileData"}}


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def last_message(url: str) -> dict | None:
    """The last data of a stream of events."""
    with urllib.request.urlopen(url) as stream:
        lines = [line for line in stream.read().decode().splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1].removeprefix("data: "))


def called(address: str, name: str, data: list) -> str:
    """What a public endpoint answers, as JSON."""
    route = f"{address}/gradio_api/call{name}"
    return json.dumps(last_message(f"{route}/{post(route, {'data': data})['event_id']}"), ensure_ascii=False)


def joined(address: str, index: int, data: list) -> str:
    """What any event answers to one who joins the queue with its number, as JSON."""
    session = f"session-{index}"
    post(f"{address}/gradio_api/queue/join", {"data": data, "fn_index": index, "session_hash": session})
    with urllib.request.urlopen(f"{address}/gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream:
            if b"process_completed" in line:
                return line.decode()
    raise AssertionError("no answer")


def ran(address: str, name: str, index: int, data: list) -> str:
    """What any event answers to one who does without the queue, as JSON."""
    body = {"data": data, "fn_index": index, "session_hash": "runner"}
    return json.dumps(post(f"{address}/gradio_api/run/{name}", body), ensure_ascii=False)


def upload_folder(server) -> Path:
    return next((server[1] / "files").glob("difface-*"))


@pytest.fixture(scope="module")
def outside(tmp_path_factory, server) -> list[str]:
    """Paths that no visitor may name: a picture elsewhere in several spellings, some that are not there, addresses."""
    secret = tmp_path_factory.mktemp("secrets") / "secret.png"
    Image.new("RGB", (64, 64), "red").save(secret)
    files = upload_folder(server)
    (files / "link.png").symlink_to(secret)
    (files / "dangling.png").symlink_to(secret.with_name("gone.png"))
    (files / "folder").symlink_to(secret.parent)
    up = os.path.relpath(secret, files)
    return [
        str(secret),
        str(secret.with_name("missing.png")),
        str(secret.parent),
        f"{files}/link.png",
        f"{files}/dangling.png",
        f"{files}/folder/secret.png",
        f"{files}/{up}",
        f"{files}/../{files.name}x/missing.png",
        "assets/examples/../../README.md",
        "/etc/passwd",
        f"file://{secret}",
        f"{server[0]}/gradio_api/info",
        "http://169.254.169.254/latest/meta-data",
        f"{secret}\0.png",
        "\ud800.png",
        "~/.ssh/id_rsa",
        ".",
        "",
    ]


def fields(file: dict, inside: str) -> list:
    """What may stand in a field to smuggle a file in: bare, in any part of an editor or gallery, beside a good path."""
    good = {"path": inside, **META}
    return [
        file,
        {"background": file, "layers": [], "composite": None},
        {"background": None, "layers": [file], "composite": None},
        {"background": None, "layers": [], "composite": file},
        {"path": inside, **META, "background": None, "layers": [good, file], "composite": None},
        [file],
        [{"image": file, "caption": None}],
        [{"video": file}],
        {"value": file},
    ]


@pytest.fixture(scope="module")
def inside(server) -> str:
    """The path of a file that was uploaded."""
    folder = upload_folder(server) / "own"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "own.png")
    return str(folder / "own.png")


def test_no_listed_endpoint_takes_a_file_that_was_not_uploaded(server, outside, inside):
    with urllib.request.urlopen(f"{server[0]}/gradio_api/info") as answer:
        endpoints = json.load(answer)["named_endpoints"]
    requests = []
    for name, endpoint in endpoints.items():
        values = [parameter["parameter_default"] for parameter in endpoint["parameters"]]
        takes = [k for k, parameter in enumerate(endpoint["parameters"]) if parameter["component"].startswith("Image")]
        for k, path, meta in product(takes or range(len(values))[:1], outside, ({}, META)):
            data = [*values[:k], {"path": path, **meta}, *values[k + 1 :]]
            requests.append((name, data))
    assert len(requests) > 30 * len(endpoints)
    with ThreadPoolExecutor(8) as pool:
        for request, answer in zip(requests, pool.map(lambda it: called(server[0], *it), requests), strict=True):
            assert NOT_UPLOADED in answer and "secret" not in answer, (request, answer)


def test_no_event_takes_one_wherever_it_stands(server, outside, inside):
    with urllib.request.urlopen(f"{server[0]}/config") as answer:
        events = [event for event in json.load(answer)["dependencies"] if event["inputs"] and event["backend_fn"]]
    assert {"as_one_face", "face_example", "worsen"} <= {event["api_name"] for event in events}
    for event in events:
        width = len(event["inputs"])
        for k, smuggled in enumerate(
            fields({"path": outside[0], **META}, inside) + fields({"path": outside[1]}, inside)
        ):
            data = [None] * width
            data[k % width] = smuggled
            assert NOT_UPLOADED in ran(server[0], event["api_name"], event["id"], data), (event["api_name"], smuggled)
        assert NOT_UPLOADED in joined(server[0], event["id"], data), event["api_name"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("/contraction", ["<b>"], "N is '<b>'; a number in 1..1000 is accepted"),
        ("/contraction", [True], "N is True; a number in 1..1000 is accepted"),
        ("/contraction", [float("nan")], "N is nan; a number in 1..1000 is accepted"),
        ("/contraction", [[400]], "N is [400]; a number in 1..1000 is accepted"),
        ("/contraction", [10**400], "a number in 1..1000 is accepted"),
        ("/contraction", [], UNFIT),
        ("/table", [["I"]], "is ['I']; one of I, II, III"),
        ("/table", [None], "is None; one of I, II, III"),
        ("/figure", ["5", None, "yes"], "Already aligned is 'yes'; true or false is accepted"),
        ("/find_faces", ["photo.png", False], "A photo is 'photo.png'; an uploaded picture is accepted"),
        ("/invent", [-1], "Seed is -1; a number in 0..4294967287 is accepted"),
    ],
)
def test_what_no_field_holds_is_refused_in_one_line(server, name, data, said):
    before = (server[1] / "log").read_text()
    answer = called(server[0], name, data)
    assert said in answer and "\\n" not in answer
    assert "Traceback" not in (server[1] / "log").read_text().removeprefix(before)


def test_uploads_and_examples_are_taken(server, inside):
    answer = called(server[0], "/find_faces", [{"path": inside, **META}, False])
    assert "No face was found" in answer
    with urllib.request.urlopen(f"{server[0]}/config") as page:
        config = json.load(page)
    example = next(event for event in config["dependencies"] if event["api_name"] == "face_example")
    chosen = json.loads(ran(server[0], "face_example", example["id"], [0]))["data"][0]
    assert chosen["path"].startswith(str(server[1] / "files"))
    answer = called(server[0], "/find_faces", [chosen, False])
    assert "No face was found" in answer or "1 face was found" in answer


@pytest.mark.parametrize("number", [None, -1, 99, True, "0", [0]])
def test_an_example_that_is_not_there_is_refused_in_one_line(server, number):
    with urllib.request.urlopen(f"{server[0]}/config") as page:
        events = json.load(page)["dependencies"]
    example = next(event for event in events if event["api_name"] == "photo_example")
    answer = json.loads(ran(server[0], "photo_example", example["id"], [number]))
    assert answer["error"] == f"Examples is {number!r}; one of 0..3 is accepted: change it."
