"""What a program without namespaces leaves behind: processes, which must be ended, and a folder, which is measured."""

import contextlib
import itertools
import os
import signal
import time

_PATIENCE = 10.0  # seconds
_MOST_FOLDERS, _MOST_ENTRIES = 200, 1000  # folders to look at, and entries in each


def end_descendants(user: int | None) -> None:
    """End every descendant of this process, whatever its session or group. This process must adopt orphans, so that it
    has children as long as it has descendants.

    Raises:
        TimeoutError: some do not end, for example because they wait for a device.
    """
    deadline = time.monotonic() + _PATIENCE
    while _has_children():
        if user is not None:
            _end_user(user)
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError("processes of the program do not end")
        time.sleep(0.001)


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_user(user: int) -> None:
    """End all processes of a user with one signal, so that no fork can escape."""
    if (pid := os.fork()) == 0:
        with contextlib.suppress(OSError):
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    open_ends = [os.getpid()]
    while open_ends:
        below = children.get(open_ends.pop(), [])
        found += below
        open_ends += below
    return found


def folder_bytes(folder: str) -> int:
    """Bytes on disk below a folder, counting only the first entries and those that can be read."""
    total = 0
    waiting = [folder]
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            break
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in itertools.islice(entries, _MOST_ENTRIES):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total
