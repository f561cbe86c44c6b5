"""Many visitors at once on a server of their own: is every answer that of the same call alone, and is memory flat?

    python tests/space/load.py --minutes 10 --clients 20

It prints a line a minute and at the end the figures; exit status 1 if an answer differed, a call failed or memory grew.
"""

import argparse
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from gradio_client import Client, handle_file
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"
GROWTH = 200
"""Megabytes by which memory may grow after warm-up."""
LONGEST = 600
"""Seconds after which a call counts as never answered."""


@contextmanager
def served(folder: Path, profile: str = "tiny") -> Iterator[tuple[str, subprocess.Popen]]:
    """A server with its files in a folder: its address and process; ended in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "app.py", "--profile", profile, "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
    try:
        began = time.monotonic()
        while not _answers(port):
            if process.poll() is not None or time.monotonic() - began > LONGEST:
                raise ChildProcessError((folder / "log").read_text())
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def client_of(address: str, downloads: Path) -> Client:
    return Client(address, verbose=False, analytics_enabled=False, download_files=str(downloads))


def calls(client: Client) -> dict[str, dict]:
    """What visitors ask for: name -> an endpoint and its fields; of every tab."""
    clean, bad = sorted((EXAMPLES / "clean").glob("*.png"))[0], sorted(EXAMPLES.glob("*.png"))[0]
    face = dict(face=handle_file(bad), aligned=True)
    whole = dict(face=handle_file(clean), aligned=True)
    photo = handle_file(EXAMPLES / "photos" / "wall.png")
    mask = client.predict(**whole, kind="box", mask_seed=1, api_name="/mask")
    return {
        "restore": dict(api_name="/restore", seed=1, **face),
        "restore by DDIM": dict(api_name="/restore", scheduler="ddim", steps=20, **face),
        "look": dict(api_name="/look", face=photo),
        "photo": dict(api_name="/restore_photo", photo=photo),
        "mask": dict(api_name="/mask", kind="irregular", mask_seed=2, **whole),
        "inpaint": dict(api_name="/inpaint", painted=mask, steps=20, **whole),
        "answers": dict(api_name="/answers", count=2, **face),
        "worsen": dict(api_name="/worsen", **whole),
        "restore worse": dict(api_name="/restore_worse", **whole),
        "invent": dict(api_name="/invent", seed=3),
        "figure": dict(api_name="/figure", number="4"),
        "table": dict(api_name="/table", number="II"),
        "contraction": dict(api_name="/contraction", start=300),
    }


def digest(answer) -> str:
    """Of the pixels of every picture in an answer, or of its text where it has none."""
    pictures = [Path(file) for file in _files(answer) if file.endswith(".png")]
    found = hashlib.blake2b(b"" if pictures else json.dumps(answer).encode())
    for path in pictures:
        with Image.open(path) as picture:
            found.update(picture.convert("RGB").tobytes())
    for file in _files(answer):
        Path(file).unlink(missing_ok=True)
    return found.hexdigest()


def _files(answer) -> list[str]:
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return [file for part in answer for file in _files(part)]
    return [answer] if isinstance(answer, str) and answer.startswith("/") else []


def visit(address: str, downloads: Path, alone: dict[str, str], seed: int, until: float, counts: Counter) -> list[str]:
    """Ask for one thing after the other until a time; what went wrong. One in ten runs is left in the middle."""
    client, chance, wrong = client_of(address, downloads), random.Random(seed), []
    wanted = calls(client)
    while time.monotonic() < until:
        name = chance.choice([*wanted])
        if chance.random() < 0.1:
            job = client.submit(**wanted["restore"] | dict(scheduler="ddim", steps=1000, start=1000))
            while not job.outputs() and not job.done():
                time.sleep(0.1)
            time.sleep(chance.uniform(0, 2))
            job.cancel()
            counts["left in the middle"] += 1
            continue
        try:
            same = digest(client.submit(**wanted[name]).result(LONGEST)) == alone[name]
        except Exception as error:  # whatever it is, it is told and counted
            wrong.append(f"{name}: {error!r}")
        else:
            counts["answered"] += 1
            if not same:
                wrong.append(f"{name}: another answer than alone")
    return wrong


def memory(process: subprocess.Popen) -> float:
    """Resident megabytes of the server."""
    return psutil.Process(process.pid).memory_info().rss / 2**20


def run(clients: int, seconds: float, warm: float, tell=lambda text: None) -> tuple[list[str], Counter, list[float]]:
    """Load a server.

    Args:
        clients: how many.
        seconds: how long.
        warm: seconds after which memory is to be flat.
        tell: is told how it goes.

    Returns:
        What went wrong; how many calls were answered and left; megabytes of the server every second after `warm`.
    """
    counts, held = Counter(), []
    with (
        TemporaryDirectory() as folder,
        served(Path(folder)) as (address, process),
        ThreadPoolExecutor(clients) as pool,
    ):
        downloads = Path(folder, "downloads")
        client = client_of(address, downloads)
        alone = {name: digest(client.predict(**call)) for name, call in calls(client).items()}
        began, said = time.monotonic(), 0.0
        jobs = [pool.submit(visit, address, downloads, alone, k, began + seconds, counts) for k in range(clients)]
        while not all(job.done() for job in jobs):
            time.sleep(1)
            passed = time.monotonic() - began
            if passed >= warm:
                held.append(memory(process))
            if passed >= said + 60:
                said = passed
                tell(f"{passed:.0f} s: {dict(counts)}, {memory(process):.0f} MB")
        return [text for job in jobs for text in job.result()], counts, held


def leave_in_the_middle(address: str, downloads: Path) -> float:
    """Seconds until another visitor is answered after one's process vanished in a run of 1000 calls."""
    path = sorted(EXAMPLES.glob("*.png"))[0]
    code = (
        "import os, sys, time; from gradio_client import Client, handle_file\n"
        "client = Client(sys.argv[1], verbose=False, analytics_enabled=False)\n"
        "job = client.submit(face=handle_file(sys.argv[2]), aligned=True, scheduler='ddim', steps=1000, start=1000,"
        " api_name='/restore')\n"
        "while len(job.outputs()) < 3: time.sleep(0.05)\n"
        "os._exit(0)"
    )
    client = client_of(address, downloads)
    subprocess.run([sys.executable, "-c", code, address, str(path)], check=True)
    began = time.monotonic()
    client.predict(face=handle_file(path), aligned=True, api_name="/restore")
    return time.monotonic() - began


def main() -> int:
    """Parse, load, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    seconds = 60 * given.minutes
    wrong, counts, held = run(given.clients, seconds, seconds / 5, lambda text: print(text, flush=True))  # noqa: T201
    growth = max(held) - held[0]
    told = f"{dict(counts)}; {held[0]:.0f} MB when warm, {max(held):.0f} at most, {held[-1]:.0f} at last"
    print("\n".join([*wrong, f"{given.clients} clients, {given.minutes:g} minutes: {told}"]))  # noqa: T201
    return int(bool(wrong) or growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
