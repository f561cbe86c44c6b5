"""What every tab shares: networks loaded once, one-line errors, pictures in and out, and a place for results."""

import hashlib
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread

import gradio as gr
import requests
import torch
from PIL import Image

from difface import (
    DifFacePipeline,
    build_scheduler,
    faces,
    images,
    metadata,
    profiles,
    routing,
    weights,
)
from difface.weights import WeightError

try:
    import spaces  # on Hugging Face's ZeroGPU a function borrows a GPU while it runs
except ImportError:
    spaces = None

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = profiles.ASSETS / "examples"
SHOWN = 512
"""Side in pixels to which faces are enlarged on the page."""
MAX_CROP = 1024
"""Largest side in pixels of a face that is cut out of a photo."""
MAX_NAME = 50
"""Letters of an upload's name that its result takes on."""
MAX_SEED = 2**32 - 1 - 8
"""So that eight answers have seeds of their own."""
DETECTOR = "det_10g.onnx"
"""What a hosted Space fetches to find faces with; CenterFace serves until it is there."""
SURE = 0.6
"""Score of a face below which it is doubtful that it is one: of 69 in real photos the least was 0.76."""
REMEMBERED = 32
"""Pictures of which it is known which faces are in them."""
QUEUE = dict(concurrency_id="networks", concurrency_limit=1)
"""Of every event that runs a network: one at a time, whatever its tab, so that memory stays flat."""

CLEANING = (300, 1800)
"""Files older than the second number of seconds are deleted, looked for as often as the first says."""

_loading = Lock()


def on_gpu(function: Callable) -> Callable:
    """ZeroGPU's decorator where there is one."""
    return function if spaces is None else spaces.GPU(function)


@cache
def _unet(profile: str, device: str):
    return profiles.load_unet(profile, device, "auto")


@cache
def _estimator(profile: str, estimator: str | None, device: str):
    return profiles.load_estimator(profile, estimator, device, "auto")


def pipeline_for(
    profile: str,
    estimator: str | None = None,
    scheduler: str | None = None,
    start: int | None = None,
    device: str = "auto",
) -> DifFacePipeline:
    """A light pipeline for one request: the shared networks, loaded by the first that asks, with a scheduler of its
    own.

    Args:
        profile: see `difface.profiles`.
        estimator: None for the profile's first.
        scheduler: see `difface.schedulers`; None for the profile's fast one.
        start: N; None for the profile's.
        device: as for `difface.profiles.load`.
    """
    chosen = profiles.profile(profile)
    estimator, scheduler = estimator or next(iter(chosen.estimators)), scheduler or chosen.fast
    place = str(profiles.resolve_device(device))  # so that "auto" and its device share the networks
    with _loading:
        networks = _unet(profile, place), build_scheduler(scheduler), _estimator(profile, estimator, place)
    pipeline = DifFacePipeline(*networks, begin_index=chosen.begin_index if start is None else start)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _in_background(work: Callable[[], None], name: str) -> Thread:
    thread = Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def fetch_detector() -> Thread:
    """Get the face detector of a hosted Space, where nobody can run `python -m difface fetch`, in the background."""

    def work() -> None:
        if os.environ.get("SPACE_ID"):
            with suppress(WeightError):
                weights.fetch(DETECTOR, progress=False)

    return _in_background(work, "detector")


def warm_up(profile: str) -> Thread:
    """Look for faces and call the networks, in the background, so that the first visitor waits as long as the tenth.

    Weights that cannot be had are no error here: who asks for a restoration is told.
    """

    def work() -> None:
        try:
            pipeline = pipeline_for(profile)
        except WeightError:
            return
        size = profiles.profile(profile).size
        pipeline(torch.zeros(1, 3, size, size), 2, generator=generators(0))
        faces.find_faces(Image.new("RGB", (4 * size, 4 * size)))

    return _in_background(work, "warm-up")


@contextmanager
def one_line() -> Iterator[None]:
    """Show what was not accepted as one message on the page, without a traceback."""
    try:
        yield
    except (ValueError, WeightError, MemoryError) as error:
        text = error.message if isinstance(error, gr.Error) else str(error)  # one is a ValueError, too
        raise gr.Error(" ".join(text.split()), print_exception=False) from None


def there(path: str | None) -> str:
    """The path of the visitor's picture.

    Raises:
        ImageError: there is none (any more).
    """
    if not path:
        raise images.ImageError(f"no picture is chosen; {images.ACCEPTED} are accepted: upload one.")
    if not Path(path).is_file():
        raise images.ImageError(
            "this picture has been deleted from the server, as all are after a while: upload it again."
        )
    return path


def read(path: str | None, least: int | None = None) -> Image.Image:
    """The visitor's picture, upright and RGB; errors call it by its own name.

    Args:
        path: of the file.
        least: see `difface.images.read`.

    Raises:
        ImageError: there is none (any more), or it cannot be used.
    """
    path = there(path)
    return images.read(path, Path(path).name, least)


def whole(value: float | None, name: str, low: int, high: int) -> int:
    """A whole number from a field.

    Raises:
        ValueError: it is empty, not whole, or outside `low`..`high`.
    """
    if value is None:
        raise ValueError(f"the {name} is empty; a whole number in {low}..{high} is accepted: type one.")
    if value != int(value) or not low <= value <= high:
        raise ValueError(f"the {name} is {value:g}; a whole number in {low}..{high} is accepted: change it.")
    return int(value)


def seed_of(value: float | None, name: str = "seed") -> int:
    """A seed from its field; errors as of `whole`."""
    return whole(value, name, 0, MAX_SEED)


def generators(seed: int, count: int = 1) -> list[torch.Generator]:
    """Answer k has seed + k."""
    return [torch.Generator().manual_seed(seed + k) for k in range(count)]


def routed(picture: Image.Image, is_aligned: bool, size: int) -> list[faces.Face] | None:
    """The faces of a photo, or None for one aligned face, as `difface.routing` tells them apart; but a picture in which
    no face is found is an aligned face only where the visitor says so.

    Raises:
        ImageError: there is no face.
    """
    if is_aligned:
        return None
    found, note = remembered(routing.route, picture, size)
    if found is None and note:
        raise images.ImageError(
            f"no face was found by {faces.detector_name()}; a picture with a face is accepted: put a square on it, "
            "or tick Already aligned to take the whole picture."
        )
    return found


_remembered: OrderedDict = OrderedDict()
"""What was found in the last pictures, not the pictures."""


def remembered(function: Callable, picture: Image.Image, *arguments):
    """`function(picture, *arguments)`, asked once for a picture that is looked at and then restored."""
    digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
    key = function, arguments, faces.detector_name(), picture.size, digest
    if key not in _remembered:
        _remembered[key] = function(picture, *arguments)
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[key]


def aligned_face(
    picture: Image.Image, is_aligned: bool, size: int, *, has_holes: bool = False
) -> tuple[Image.Image, str]:
    """The face to restore, and a sentence on how it came about.

    Args:
        picture: as uploaded.
        is_aligned: the visitor says that it is one aligned face; nothing is looked for.
        size: side in pixels at which the model works.
        has_holes: parts of the face may be missing, so that a picture in which none is found is taken as it is.

    Returns:
        The picture itself where it is an aligned face (`difface.routing`), else its largest face, cut out and aligned
        at the size that it has in the picture.

    Raises:
        ImageError: it is neither an aligned face nor a photo with a face.
    """
    note = ""
    try:
        found = routed(picture, is_aligned, size)
    except images.ImageError:
        if not has_holes:
            raise
        found, note = None, "No face was found, so the whole picture was taken as one aligned face."
    if found is None:
        return picture, note
    face = faces.largest(found)
    side = int(min(max(face.side, images.MIN_SIDE), MAX_CROP))
    others = f" It is the largest of {len(found)}; the tab Whole photo restores all of them." if len(found) > 1 else ""
    note = (
        f"The face was found in the picture by {faces.detector_name()}, cut out and aligned; only it is in the result."
    )
    return faces.align(picture, face.points, side), note + others


def said(notes: list[str]) -> list[str]:
    """Sentences on what was done to a picture on the way in, each once.

    Args:
        notes: of the picture and of the pipeline.
    """
    return [f"The picture is {note}." for note in dict.fromkeys(notes)]


def enlarged(picture: torch.Tensor) -> Image.Image:
    """(3, H, W) in [0, 1] as a picture of `SHOWN` pixels; larger ones as they are."""
    side = max(SHOWN, *picture.shape[-2:])
    return images.to_pil(images.resize(picture[None], side, side)[0])


def pixels(picture: torch.Tensor) -> Image.Image:
    """(3, H, W) in [0, 1] enlarged to about `SHOWN` pixels so that each of its own is seen as a square."""
    times = max(SHOWN // max(picture.shape[-2:]), 1)
    image = images.to_pil(picture)
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def result_folder() -> Path:
    """A new folder where Gradio serves files from."""
    cache_folder = Path(gr.utils.get_upload_folder())
    cache_folder.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="result-", dir=cache_folder))


def delete_results() -> None:
    """Delete the results that were written more than `CLEANING[1]` seconds ago.

    Gradio does so with uploads, but forgets the files of a component whose properties an event has updated.
    """
    folder = Path(gr.utils.get_upload_folder())
    of_assistants = folder.glob("*/file.*")  # as Gradio's MCP server calls what they send
    for old in [*folder.glob("result-*"), *of_assistants]:
        with suppress(OSError):  # gone already, or being sent: next time
            if time.time() - old.stat().st_mtime >= CLEANING[1]:
                shutil.rmtree(old) if old.is_dir() else old.unlink()


def keep_clean(ended: Event) -> Thread:
    """`delete_results` every `CLEANING[0]` seconds, in the background, until the server has `ended`."""

    def work() -> None:
        while not ended.wait(CLEANING[0]):
            delete_results()

    return _in_background(work, "cleaning")


def save(
    result: Image.Image,
    source: str,
    info: dict,
    profile: str,
    seed: int,
    comment: str = metadata.RESTORED,
    picture: Image.Image | None = None,
) -> str:
    """Write a picture with its settings and what it is in its metadata; the path.

    Args:
        result: the picture.
        source: file that it was made from, for the name.
        info: of the pipeline.
        profile, seed: what made it.
        comment: what it is.
        picture: of `read`, whose date and resolution go on.
    """
    path = result_folder() / f"{Path(source).stem[:MAX_NAME]}_restored.png"
    images.write(result, path, metadata.restored_text(info, profile, seed, comment), picture)
    return str(path)


def best_profile() -> str:
    """The paper's models where a GPU is and their weights are or can be fetched, else the embedded ones."""
    needed = profiles.profile("ffhq512").files
    return "ffhq512" if torch.cuda.is_available() and all(_can_be_had(name) for name in needed) else profiles.DEFAULT


def _can_be_had(name: str) -> bool:
    if weights.is_converted(name):
        return True
    try:
        return bool(weights.find(name))
    except WeightError:
        pass
    try:
        return requests.head(weights.lookup(name).url, allow_redirects=True, timeout=5).ok
    except requests.RequestException:
        return False
