"""Several visitors at once, and a server that was killed: `load.py`, for seconds."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import load
import pytest

ROOT = Path(__file__).parents[2]
ASKED = ("restore", "mask", "invent", "worsen", "contraction")
"""What these visitors ask for: of five tabs, and quick."""


def test_visitors_at_once_get_what_each_gets_alone(server, tmp_path, monkeypatch):
    client = load.client_of(server[0], tmp_path)
    wanted = {name: call for name, call in load.calls(client).items() if name in ASKED}
    monkeypatch.setattr(load, "calls", lambda client: wanted)
    alone = {name: load.digest(client.predict(**call)) for name, call in wanted.items()}
    assert len(set(alone.values())) == len(ASKED)
    counts, until = Counter(), time.monotonic() + 4
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(load.visit, server[0], tmp_path, alone, k, until, counts) for k in range(4)]
    assert [text for job in jobs for text in job.result()] == []
    assert counts["answered"] >= 4


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")
def test_the_folder_of_a_killed_server_goes_with_the_next_and_that_of_a_living_one_stays(tmp_path):
    hold = (
        "import os, sys, time, app\n"
        "with app.own_folder():\n"
        "    open(os.path.join(os.environ['GRADIO_TEMP_DIR'], 'photo.png'), 'w').close()\n"
        "    print(os.environ['GRADIO_TEMP_DIR'], flush=True)\n"
        "    time.sleep(600)\n"
    )
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", hold], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        killed, living = (Path(process.stdout.readline().strip()) for process in started)
        started[0].send_signal(signal.SIGKILL)
        started[0].wait()
        assert (killed / "photo.png").exists() and (living / "photo.png").exists()
        third = subprocess.run(
            [sys.executable, "-c", hold.replace("600", "0")], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert third.returncode == 0, third.stderr
        assert not killed.exists() and (living / "photo.png").exists() and not Path(third.stdout.strip()).exists()
    finally:
        for process in started:
            process.kill()
            process.wait()
