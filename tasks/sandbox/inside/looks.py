"""How a running program is getting on, as the kernel counts it: its CPU time, and the time in which it slept.

Wall time alone says nothing about a program: on a busy machine, or under a container's CPU quota, it waits for a
processor. The kernel counts for each thread the time on a processor and the time spent waiting for one. What remains is
time in which the program waited for something else. If all its threads slept both before and after, it waited of its
own accord: it has no network, no other program and no input to wait for. A thread that waits for a disk, or is stopped
from outside, does not count as asleep.
"""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

_NANOSECOND = 1e-9
_LONGEST_GAP = 0.5  # seconds; if more lie between two looks, this process was held up itself
_AT_REST = (b"S", b"Z", b"X")  # sleeping, or ended


class Look(NamedTuple):
    """One look at all threads of a run.

    `at` is the time, `cpu` the seconds that existing threads have spent on processors. `busy` has the seconds on a
    processor or waiting for one, by thread, also of the process that looks. `resting` says whether every thread of the
    run sleeps.
    """

    at: float
    cpu: float
    busy: dict[str, float]
    resting: bool


def open_processes(path: str = "/proc") -> int | None:
    """A descriptor of the kernel's folder of processes, for `look`; None if there is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def look(processes: int | None, pid: int, *, alone: bool) -> Look | None:
    """Look at a process and, unless it is `alone`, at all descendants of this one. None if nothing can be seen."""
    if processes is None:
        return None
    at, cpu, busy, resting = time.monotonic(), 0.0, {}, True
    try:
        for task in [f"{pid}/task"] if alone else _descendants(processes):
            for thread in _names(processes, task):
                state, on, waiting = _read(processes, f"{task}/{thread}")
                cpu += on
                busy[thread] = on + waiting
                resting = resting and state in _AT_REST
        own = f"self/task/{os.getpid()}"
        busy["own"] = sum(_read(processes, own)[1:], 0.0)
    except (OSError, ValueError, IndexError):  # a thread that has ended meanwhile
        return None
    return Look(at, cpu, busy, resting)


def asleep(before: Look | None, now: Look | None) -> float:
    """How long the run slept between two looks, at least."""
    if before is None or now is None or not (before.resting and now.resting):
        return 0.0
    busy = sum(seconds - before.busy.get(thread, 0.0) for thread, seconds in now.busy.items())
    return max(0.0, min(now.at - before.at, _LONGEST_GAP) - busy)


def _descendants(processes: int) -> Iterator[str]:
    """The threads' folders of all processes below this one."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, _names(processes, ".")):
        try:
            parent = int(_content(processes, f"{name}/stat").rpartition(b")")[2].split()[1])
        except FileNotFoundError:
            continue
        children.setdefault(parent, []).append(int(name))
    ends = [os.getpid()]
    while ends:
        below = children.get(ends.pop(), [])
        ends += below
        yield from (f"{pid}/task" for pid in below)


def _read(processes: int, thread: str) -> tuple[bytes, float, float]:
    """The state of a thread, and its seconds on a processor and waiting for one."""
    state = _content(processes, f"{thread}/stat").rpartition(b")")[2].split()[0]
    on, waiting = _content(processes, f"{thread}/schedstat").split()[:2]
    return state, int(on) * _NANOSECOND, int(waiting) * _NANOSECOND


def _names(processes: int, folder: str) -> list[str]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=processes)
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def _content(processes: int, path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY, dir_fd=processes)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
