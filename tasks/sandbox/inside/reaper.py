"""What is left after a program without namespaces: its processes, which must end, and the size of its folder."""

import contextlib
import itertools
import os
import signal
import time

_PATIENCE = 10.0  # seconds
_MOST_FOLDERS, _MOST_ENTRIES = 200, 1000  # looked at, and in each


def end_descendants(user: int | None) -> None:
    """End every descendant of this process, whatever session or group it is in. This process must adopt orphans:
    then it has no child only when it has no descendant.

    Raises:
        TimeoutError: some are still there (waiting for a device, say).
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
    """One kill for all processes of a user: a fork cannot slip through."""
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
    """Bytes on disk beneath a folder, of the first entries found; what cannot be read counts nothing."""
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
