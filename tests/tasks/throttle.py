"""A CPU quota for the programs of this process, made with signals: whoever has no control groups can have it too."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PERIOD = 0.1  # seconds, the kernel's own


@contextlib.contextmanager
def throttled(share: float) -> Iterator[None]:
    """While this lasts, wardens and their programs run for `share` of each period, and are stopped for the rest."""
    done = threading.Event()

    def throttle() -> None:
        while not done.wait(PERIOD * share):
            stopped = _below(os.getpid())
            _signal(stopped, signal.SIGSTOP)
            time.sleep(PERIOD * (1 - share))
            _signal(stopped, signal.SIGCONT)

    thread = threading.Thread(target=throttle)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _below(pid: int) -> list[int]:
    """All descendants of a process, parents first."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_below(int(child))]
    return found
