"""Files are written whole or not at all, by many threads at once, under any name; nothing is left of dead runs."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from difface import files
from difface.files import scratch_folder, whole_file


@pytest.fixture(params=[0o022, 0o027])
def umask(request):
    """The umask of this process while a test runs."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def current_umask() -> int:
    """As the kernel says, without changing it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("Umask:")).split()[1], 8)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the umask can only be read where /proc is")
def test_four_threads_leave_the_umask_alone(tmp_path, umask):
    seen = set()

    def write(k: int) -> None:
        with whole_file(tmp_path / f"{k}.txt") as temporary:
            seen.add(current_umask())
            temporary.write_text(str(k))
        seen.add(current_umask())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(400)))
    assert seen == {umask} and current_umask() == umask
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == sorted(map(str, range(400)))


@pytest.mark.parametrize("name", ["a" * 246 + ".png", "ü" * 125, "." + "x" * 249])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    assert len(name.encode()) == 250
    with whole_file(tmp_path / name) as temporary:
        assert len(temporary.name) < 60
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "whole"


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "kept").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "kept") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path) as scratch:
        (scratch / "half").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "old"


KILLED = """
import os, signal, sys
from difface.files import scratch_folder, whole_file
with whole_file(sys.argv[1] + "/one") as temporary, scratch_folder(sys.argv[1]) as scratch:
    temporary.write_text("half")
    (scratch / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (tmp_path / ".difface-notes").write_text("")
    assert len(list(tmp_path.glob(".difface-*.part"))) == 2
    with whole_file(tmp_path / "mine") as mine:  # a living process's own
        files._sweep.cache_clear()
        with whole_file(tmp_path / "two") as temporary:
            temporary.write_text("whole")
        assert mine.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".difface-notes", "mine", "two"]


def test_digests_are_sha256(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 10_000)
    assert files.sha256(tmp_path / "file") == hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()
