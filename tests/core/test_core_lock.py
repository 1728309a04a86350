"""Locks between processes: one at a time, freed by any death, and the refusal names who holds it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from uniopd_mm.runtime.lock import locked
from uniopd_mm.types import UserError

HOLD = """
import os, signal, sys, time
from pathlib import Path
from uniopd_mm.runtime.lock import locked
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background inherits as ignored
with locked(Path(sys.argv[1]), "taken"):
    if "fork" in sys.argv:
        child = os.fork()
        if child:
            os.write(1, b"%d\\n" % child)  # in one piece, beside what the child writes
    os.write(1, b"held\\n")
    time.sleep(60)
"""
REFUSAL = "resume={odd}: {holder} is running it"


def holder(path: Path, *words: str) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    while process.stdout.readline() != "held\n":
        pass
    return process


def taken(path: Path) -> str:
    with pytest.raises(UserError) as caught, locked(path, REFUSAL):
        pass
    return str(caught.value)


def test_the_second_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = holder(path)
    assert taken(path) == f"resume={{odd}}: process {first.pid} on {socket.gethostname()} is running it"
    assert taken(path), "being refused frees nothing"
    first.terminate()
    first.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whoever_dies_holds_nothing(tmp_path: Path, number: int) -> None:
    path = tmp_path / "lock"
    first = holder(path)
    first.send_signal(number)
    first.wait()
    with locked(path, REFUSAL) as held:
        assert held and path.read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"
    assert not path.exists()


def test_a_child_that_outlives_its_parent_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), "fork"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    child = next(int(line) for line in process.stdout if line.strip().isdigit())
    process.kill()
    process.wait()
    os.kill(child, 0)
    with locked(path, REFUSAL) as held:
        assert held
    os.kill(child, signal.SIGKILL)


def test_a_lock_file_of_someone_else_stays(tmp_path: Path) -> None:
    """Ours was removed with its folder, and another process made its own there."""
    path = tmp_path / "lock"
    with locked(path, REFUSAL):
        path.unlink()
        path.write_text("theirs")
    assert path.read_text() == "theirs"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), locked(tmp_path / "lock", REFUSAL):
        pass
    assert not (tmp_path / "elsewhere").exists()
