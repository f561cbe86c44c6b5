"""Bad files, numbers, text, paths and masks, over two hundred: one clear line each, and the next visitor is served."""

import io
import json
import struct
import subprocess
import sys
import urllib.request
import zlib
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from difface import cli, profiles

settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("fixed")

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def png(face: Image.Image) -> bytes:
    stream = io.BytesIO()
    face.save(stream, "PNG")
    return stream.getvalue()


def claimed(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels to speak of."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = header, b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


@st.composite
def bad_pictures(draw) -> bytes:
    """The bytes of a file that is no usable picture: noise, one cut off, one that claims too much, one too small."""
    whole = png(Image.radial_gradient("L"))
    kind = draw(st.sampled_from(["noise", "cut", "claim", "dot", "start"]))
    if kind == "noise":
        return draw(st.binary(max_size=200))
    if kind == "cut":
        return whole[: draw(st.integers(0, len(whole) // 2))]
    if kind == "claim":
        return claimed(draw(st.integers(8001, 2**31 - 1)), draw(st.integers(8001, 2**31 - 1)))
    if kind == "dot":
        return png(Image.new("RGB", (draw(st.integers(1, 7)), draw(st.integers(1, 300)))))
    return draw(st.sampled_from([b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"II*\0", b"BM"])) + draw(
        st.binary(max_size=100)
    )


# The page


NO_NUMBERS = st.one_of(
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 10**400, True, "400", "", [], [400], {}]),
    WORDS,
)
NO_CHOICE = st.one_of(
    WORDS.map(lambda text: f"no {text}"), st.sampled_from([None, [], {}, 0.5, -1, 10**30, ["ddim"], True])
)
BAD = {
    "Slider": NO_NUMBERS,
    "Number": NO_NUMBERS | st.sampled_from([-1, 2**32, 1e10]),
    "Checkbox": st.sampled_from([None, 0, 1, "yes", [], {}]),
    "Dropdown": NO_CHOICE,
    "Radio": NO_CHOICE.filter(lambda value: value is not None and value is not True),
    "Checkboxgroup": st.sampled_from([None, "1", [99], [[1]], {}, 1, [None], ["1"]]),
    "Textbox": st.one_of(
        st.sampled_from([None, 3, [], {}, "nan", "-1", "0.6", "-inf", "1e400", "0,5"]),
        WORDS.map(lambda text: f"x{text}"),
    ),
}
"""Kind of field -> what it cannot hold."""
NO_FILES = st.sampled_from(
    [
        {"path": "/etc/passwd"},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
        {"path": "http://127.0.0.1:1/x.png", "meta": {"_type": "gradio.FileData"}},
        {"path": 5},
        {"path": None},
        {"path": "gone.png", "meta": 5},
        {"path": "\0", "meta": {"_type": "gradio.FileData"}},
        "photo.png",
        17,
        [],
        {},
        {"url": "data:image/png;base64,AAAA"},
    ]
)


class Visitor:
    """One who speaks to a running server."""

    def __init__(self, address: str):
        self.address, self.number = address, 0
        with urllib.request.urlopen(f"{address}/gradio_api/info") as answer:
            self.endpoints = json.load(answer)["named_endpoints"]

    def post(self, route: str, body: bytes, kind: str) -> dict:
        request = urllib.request.Request(f"{self.address}/gradio_api{route}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def upload(self, content: bytes, name: str) -> dict:
        """A file as a field holds it."""
        body = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        (path,) = self.post("/upload", body + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def call(self, name: str, fields: list) -> tuple[bool, dict | list]:
        """Whether an endpoint was content, and what it says."""
        event = self.post(f"/call{name}", json.dumps({"data": fields}).encode(), "application/json")["event_id"]
        with urllib.request.urlopen(f"{self.address}/gradio_api/call{name}/{event}") as stream:
            *_, kind, data = (line for line in stream.read().decode().splitlines() if line)
        return kind == "event: complete", json.loads(data.removeprefix("data: "))

    def defaults(self, name: str, face: dict) -> list:
        """Fields that an endpoint takes; every picture is `face`."""
        others = {"Image": face, "Radio": "half"}
        return [
            others.get(field["component"]) if field["parameter_default"] is None else field["parameter_default"]
            for field in self.endpoints[name]["parameters"]
        ]


@pytest.fixture(scope="module")
def visitor(server) -> Visitor:
    return Visitor(server[0])


@pytest.fixture(scope="module")
def face(visitor, astronaut_face) -> dict:
    return visitor.upload(png(astronaut_face), "face.png")


def is_one_line(message: str | None) -> bool:
    return bool(message) and "\n" not in message and 20 < len(message) < 600 and "Error" not in message


ANY_ENDPOINT = st.integers(0, 10**6)


@settings(max_examples=130)
@given(which=ANY_ENDPOINT, where=st.integers(0, 100), data=st.data())
def test_the_page_refuses_in_one_line_and_serves_the_next(server, visitor, face, which, where, data):
    names = sorted(name for name, endpoint in visitor.endpoints.items() if endpoint["parameters"])
    name = names[which % len(names)]
    parameters, fields = visitor.endpoints[name]["parameters"], visitor.defaults(name, face)
    k = where % len(parameters)
    fields[k] = data.draw(bad_field(visitor, parameters[k]["component"]), label=f"{name} {parameters[k]['label']}")
    content, answer = visitor.call(name, fields)
    assert not content and is_one_line(answer["error"]), (name, fields[k], answer)
    assert visitor.call("/contraction", [400])[0]


def bad_field(visitor: Visitor, component: str):
    """Values for one field of that kind."""
    if component in BAD:
        return BAD[component]
    if component == "File":
        return st.lists(NO_FILES, min_size=1, max_size=2) | st.sampled_from([None, [], 5, "x", {}, [None]])
    pictures = bad_pictures().map(lambda content: visitor.upload(content, "bad.png"))
    if component == "Image":
        return pictures | NO_FILES
    assert component == "Imageeditor"
    shapes = st.tuples(st.integers(8, 700), st.integers(8, 700)).filter(lambda s: not 0.9 < s[0] / s[1] < 1.1)
    paint = st.tuples(shapes, st.sampled_from([0, 255]), st.sampled_from([0, 255]))
    masks = paint.map(lambda p: visitor.upload(png(Image.new("LA", p[0], p[1:])), "mask.png"))
    layers = st.lists(pictures | NO_FILES | masks, min_size=1, max_size=2)
    return layers.map(lambda found: {"background": None, "layers": found, "composite": None}) | st.sampled_from(
        [None, 5, "x", [], {}, {"layers": None}, {"layers": []}, {"layers": [None]}]
    )


def test_after_all_that_the_log_has_no_traceback_and_faces_are_restored(server, visitor, face):
    content, answer = visitor.call("/restore", visitor.defaults("/restore", face))
    assert content and "network calls" in json.dumps(answer)
    assert "Traceback" not in (server[1] / "log").read_text()


# The commands


NUMBERS = st.sampled_from(["nan", "inf", "-inf", "-1", "1e999", "0x10", "1,5", "", "ten", "9" * 400, "--"])
NO_MINUTES = st.sampled_from(["nan", "-inf", "-1", "0x10", "1,5", "", "ten"])
TEXT = WORDS.map(lambda text: f"no {text}")
COMMANDS = {
    "restore": {
        "--start": NUMBERS | st.sampled_from(["0", "1", "1001", "2.5"]),
        "--steps": NUMBERS | st.sampled_from(["0", "7", "251", "1001"]),
        "--eta": NUMBERS | st.just("1.1"),
        "--scheduler": TEXT,
        "--estimator": TEXT,
        "--samples": NUMBERS | st.sampled_from(["0", str(10**9), str(10**18)]),
        "--seed": NUMBERS | st.just(str(2**63)),
        "--profile": TEXT,
        "--device": TEXT,
        "--dtype": TEXT,
        "--upscale": NUMBERS | st.sampled_from(["0", "2", "3"]),
    },
    "inpaint": {
        "--mask": TEXT,
        "--rule": TEXT,
        "--gamma": NUMBERS.filter(lambda text: text != "inf") | st.just("0.6"),
        "--steps": NUMBERS | st.sampled_from(["0", "7"]),
        "--eta": NUMBERS,
        "--samples": NUMBERS | st.just(str(10**12)),
    },
    "degrade": {
        "--scale": NUMBERS | st.sampled_from(["0", "0.05", "1e9"]),
        "--blur": TEXT | st.sampled_from(["1,1", "-1,1,0", "1,1,nan", "inf,1,0", "1,1,0,0"]),
        "--noise": NUMBERS | st.just("1e300"),
        "--jpeg": NUMBERS | st.sampled_from(["0", "101"]),
        "--seed": NUMBERS,
    },
    "align": {"--size": NUMBERS | st.sampled_from(["7", "0", str(10**9)])},
    "sample": {
        "--count": NUMBERS | st.sampled_from(["0", str(10**12)]),
        "--steps": NUMBERS | st.just("0"),
        "--eta": NUMBERS,
        "--seed": NUMBERS | st.just(str(2**63 - 1)),
    },
    "convert": {"--kind": TEXT, "--size": NUMBERS, "--head-width": NUMBERS | st.just("0")},
    "train": {
        "--size": NUMBERS | st.sampled_from(["0", "63", "65"]),
        "--steps": NUMBERS | st.just("0"),
        "--batch-size": NUMBERS | st.just("0"),
        "--learning-rate": NUMBERS,
        "--warmup": NUMBERS,
        "--decay": NUMBERS,
        "--ema-decay": NUMBERS | st.just("1.5"),
        "--minutes": NO_MINUTES,
        "--checkpoint-minutes": NO_MINUTES,
        "--preview-every": NUMBERS,
        "--precision": TEXT,
        "--init": TEXT,
        "--task": TEXT,
        "--p2-gamma": NUMBERS,
        "--memory": NO_MINUTES,
        "--seed": NUMBERS,
    },
    "eval table": {
        "--profile": TEXT,
        "--data": TEXT,
        "--methods": TEXT,
        "--metrics": TEXT,
        "--limit": NUMBERS.filter(lambda text: text[:1] != "9") | st.sampled_from(["0", "1"]),
        "--scale": NUMBERS | st.just("0.05"),
        "--steps": NUMBERS | st.sampled_from(["0", "7"]),
        "--start": NUMBERS | st.just("1001"),
        "--batch": NUMBERS.filter(lambda text: text[:1] != "9") | st.just("0"),
        "--device": TEXT,
        "--dtype": TEXT,
    },
    "eval figure": {
        "--profile": TEXT,
        "--data": TEXT,
        "--lq": TEXT,
        "--limit": NUMBERS.filter(lambda text: text[:1] != "9") | st.just("1"),
        "--steps": NUMBERS | st.sampled_from(["0", "7"]),
        "--methods": TEXT,
        "--reference": TEXT,
        "--metrics": TEXT,
    },
}
"""Command -> option -> what it does not take."""


def spoken(arguments: list[str]) -> tuple[int, list[str]]:
    """The exit status of a command, and what it says on stderr."""
    from eval import cli as evaluation

    program, *rest = [evaluation.main, *arguments[1:]] if arguments[0] == "eval" else [cli.main, *arguments]
    errors = io.StringIO()
    with redirect_stderr(errors), redirect_stdout(io.StringIO()):
        status = program(rest)
    return status, [
        line for line in errors.getvalue().splitlines() if line and "%|" not in line
    ]  # without progress bars


def assert_refused(status: int, lines: list[str], given: list[str]) -> None:
    """One clear line; where a batch went on past bad files, one for each and one for all."""
    lines = [line for line in lines if not line.startswith("note: ")]
    assert status in (1, 2), (given, status, lines)
    assert all(line.startswith("error: ") and is_one_line(line) for line in lines), (given, lines)
    assert len(lines) == 1 or (status == 1 and len(lines) == 2 and "could not be used" in lines[1]), (given, lines)


@pytest.fixture(scope="module")
def good(tmp_path_factory, astronaut_face) -> Path:
    """A folder with one face."""
    folder = tmp_path_factory.mktemp("good")
    astronaut_face.save(folder / "face.png")
    return folder


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Networks are loaded once for all commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "load", cache(profiles.load))
        yield


def arguments_of(command: str, good: Path, output: Path) -> list[str]:
    """A command that would be accepted."""
    inputs = {
        "sample": ["-n", "1", "--scheduler", "dpm++", "--steps", "2"],
        "convert": [str(good / "face.png"), "--kind", "unet"],
        "train": ["prior", "--data", str(good), "--steps", "1"],
        "eval table": ["III", "--data", str(good), "--steps", "20"],
        "eval figure": ["4", "--data", str(good)],
    }
    return [*command.split(), *inputs.get(command, [str(good)]), "-o", str(output)]


@settings(max_examples=110)
@given(st.data())
def test_commands_refuse_values_in_one_line(good, tmp_path_factory, data):
    command = data.draw(st.sampled_from(sorted(COMMANDS)))
    option = data.draw(st.sampled_from(sorted(COMMANDS[command])))
    value = data.draw(COMMANDS[command][option], label=f"{command} {option}")
    output = tmp_path_factory.mktemp("fuzz") / "out"
    given_ = [*arguments_of(command, good, output), f"{option}={value}"]
    assert_refused(*spoken(given_), given_)
    assert command.startswith("eval") or not list(output.rglob("*.png"))


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=60).map(
    lambda name: f"x{name}"
)
INPUTS = (
    "restore",
    "restore --photo",
    "restore --save-estimates",
    "inpaint",
    "inpaint --rule closed",
    "degrade",
    "degrade --random",
    "align",
    "train prior --steps 1 --data",
    "train estimator --steps 1 --data",
    "convert --kind unet",
    "convert --kind estimator",
    "eval sheet",
    "eval figure 4 --data",
    "eval table III --steps 20 --data",
)


@st.composite
def bad_inputs(draw, folder: Path) -> Path:
    """A path that no command can take pictures or weights from."""
    path = folder / draw(NAMES)
    kind = draw(st.sampled_from(["file", "file", "file", "missing", "empty folder", "below a file", "long"]))
    if kind == "file":
        path = path.with_name(f"{path.name[:50]}{draw(st.sampled_from(['.png', '.JPG', '.webp', '', '.pth']))}")
        path.write_bytes(draw(bad_pictures()))
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "below a file":
        path.write_bytes(b"a file")
        path /= "face.png"
    elif kind == "long":
        path = folder / ("x" * 300)
    return path


@settings(max_examples=60)
@given(st.data())
def test_commands_refuse_inputs_in_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("inputs")
    command = data.draw(st.sampled_from(sorted(INPUTS)))
    given_ = [*command.split(), str(data.draw(bad_inputs(folder), label=command)), "-o", str(folder / "out")]
    assert_refused(*spoken(given_), given_)
    assert not [path for path in (folder / "out").rglob("*") if path.is_file() and not path.name.startswith(".")]


@settings(max_examples=20)
@given(st.data())
def test_commands_refuse_outputs_and_masks_in_one_line(good, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("outputs")
    bad = str(data.draw(bad_inputs(folder)))
    (folder / "file").write_text("")
    place = data.draw(
        st.sampled_from([str(folder / "file"), str(folder / "file" / "below"), str(folder / ("x" * 300))])
    )
    mask = ["inpaint", str(good), "--mask", bad, "-o", str(folder / "out")]
    commands = [[*arguments_of(name, good, folder)[:-1], place] for name in ("degrade", "align", "sample")]
    given_ = data.draw(st.sampled_from([mask, mask, *commands]))
    assert_refused(*spoken(given_), given_)


def test_processes_end_in_one_line(good, tmp_path):
    """As the same words in this process do."""
    commands = [
        ["difface", "degrade", str(good), "--blur", "1,1", "-o", str(tmp_path / "out")],
        ["eval", "table", "XII", "-o", str(tmp_path / "out")],
    ]
    options = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=Path(cli.__file__).parent.parent)
    running = [subprocess.Popen([sys.executable, "-m", *command], **options) for command in commands]
    for command, process in zip(commands, running, strict=True):
        lines = process.communicate()[1].splitlines()
        assert_refused(process.returncode, lines, command)
        same = command if command[0] == "eval" else command[1:]
        assert (process.returncode, lines) == spoken(same)
