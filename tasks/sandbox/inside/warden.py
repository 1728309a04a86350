"""The process between the grader and a program: forks once for each input, watches the program, and reports.

It never runs a line of the program itself and holds no secrets: it receives the source and the inputs, and sends back
the output. Frames on its stdin and stdout are 8 bytes of length, then as many bytes:

    job      {"source", "level", "folder", "readable", "libraries", "limits"}, once
    input    UTF-8 text, which asks for one run
    run      {"status", "exit_code", "seconds", "asleep", "stdout", "stderr"}, the answer, or {"fault"}

The job and the run are JSON. A run has the numbers of bytes of stdout and stderr, which follow the frame as they are.

It ends when its stdin is closed, and ends a program that is still running.
"""

import gc
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, final

from uniopd_mm.tasks.sandbox.inside import confine, kernel, reaper
from uniopd_mm.tasks.sandbox.inside.launch import Launch, fork_program
from uniopd_mm.tasks.sandbox.inside.looks import Look, asleep, look, open_processes

_CHUNK = 1 << 16
_STDERR_KEPT = 4000
_LOOK = 0.25  # seconds between two looks at the program's threads
_FOLDER_LOOK = 0.02  # and at the size of its folder


def main() -> None:
    """Serve runs until stdin is closed. A forked child runs its program instead."""
    requests, replies = _own_channel()
    job = json.loads(_receive(requests) or b"{}")
    try:
        launch = Launch.of(job)
        if launch.apart:
            namespace, processes = confine.enter_namespaces(job["folder"], job["readable"])
        else:
            namespace, processes = None, open_processes()
            kernel.adopt_orphans()
        events = Events(_wakeup_on_child(), requests, processes)
    except OSError as error:
        _send(replies, {"fault": f"{job['level']}: {error}"})
        return
    gc.freeze()  # a collection in a child would touch, and so copy, all objects of this process
    number = 0
    while (text := _receive(requests)) is not None:
        number += 1
        try:
            numbered = launch.numbered(number)
            pid, streams = fork_program(numbered, text, namespace)
            if pid == 0:
                break
            _send(replies, *Watch(pid, streams, events, numbered).result())
            if not launch.apart:
                reaper.remove_folder(numbered.folder)
        except OSError as error:
            _send(replies, {"fault": f"{job['level']}: {error}"})
    else:
        os._exit(0)  # an orderly end of the interpreter would take as long again
    launch.run_program()


def _own_channel() -> tuple[int, int]:
    """Move the grader's pipes from descriptors 0 and 1 to others."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return requests, replies


def _wakeup_on_child() -> int:
    """A descriptor that becomes readable when a child ends."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _receive(requests: int) -> bytes | None:
    """The next frame, None after the last."""
    header = _read_exactly(requests, 8)
    return None if header is None else _read_exactly(requests, struct.unpack("<Q", header)[0])


def _read_exactly(descriptor: int, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _send(replies: int, content: Mapping[str, Any], *raw: bytes) -> None:
    body = json.dumps(content).encode()
    for part in (struct.pack("<Q", len(body)), body, *raw):
        view = memoryview(part)
        while view:
            view = view[os.write(replies, view) :]


class Events(NamedTuple):
    """What all runs are watched with: descriptors that become readable when a child ends and when the grader closes
    the connection, and the folder of processes."""

    wakeup: int
    requests: int
    processes: int | None


@final
class Watch:
    """One run, from the fork to the report."""

    def __init__(self, pid: int, streams: tuple[int, int], events: Events, launch: Launch) -> None:
        self._pid = pid
        self._streams = {descriptor: bytearray() for descriptor in streams}
        self._stdout, self._stderr = streams
        self._events = events
        self._launch = launch
        self._exceeded = ""
        self._exit_code: int | None = None
        self._seconds = self._asleep = 0.0
        self._seen: Look | None = None
        self._next_folder_look = 0.0

    def result(self) -> tuple[dict[str, Any], bytes, bytes]:
        """Wait until the program and everything it started have ended. The run, stdout, and the end of stderr."""
        self._follow()
        stdout, stderr = bytes(self._streams[self._stdout]), bytes(self._streams[self._stderr][-_STDERR_KEPT:])
        for descriptor in self._streams:
            os.close(descriptor)
        code = self._exit_code if self._exit_code is not None else -signal.SIGKILL
        run = {
            "status": self._status(code, stderr.decode("utf-8", "replace")),
            "exit_code": code,
            "seconds": self._seconds,
            "asleep": self._asleep,
            "stdout": len(stdout),
            "stderr": len(stderr),
        }
        return run, stdout, stderr

    def _status(self, code: int, stderr: str) -> str:
        if self._exceeded:
            return self._exceeded
        if code == 0:
            return "ok"
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and self._seconds >= self._launch.limits["cpu_seconds"]):
            return "time"
        if "MemoryError" in stderr.rpartition("Traceback")[2] or "can't allocate memory" in stderr:
            return "memory"
        return "error"

    def _follow(self) -> None:
        poll = select.poll()
        for descriptor in (*self._streams, self._events.wakeup):
            poll.register(descriptor, select.POLLIN)
        poll.register(self._events.requests, 0)  # reports only a closed connection, not the next request
        began = time.monotonic()
        next_look = began + _LOOK
        while self._exit_code is None and not self._exceeded:
            for descriptor, event in poll.poll((_LOOK if self._launch.apart else _FOLDER_LOOK) * 1000):
                self._take(poll, descriptor, event)
            self._check_folder()
            if self._exit_code is None and time.monotonic() >= next_look:
                self._check_time(time.monotonic() - began)
                next_look = time.monotonic() + _LOOK
        self._end()

    def _check_time(self, elapsed: float) -> None:
        limits = self._launch.limits
        seen = look(self._events.processes, self._pid, alone=limits["processes"] == 1)
        self._asleep += asleep(self._seen, seen)
        self._seen = seen
        if seen is not None and seen.cpu > limits["cpu_seconds"]:
            self._exceeded = "time"
        elif self._asleep > limits["wall_seconds"]:
            self._exceeded = "slept"
        elif elapsed > limits["longest_seconds"]:
            self._exceeded = "stalled"

    def _check_folder(self) -> None:
        """A folder that is no file system of its own has no size limit, so its size is checked from time to time."""
        if self._launch.apart or time.monotonic() < self._next_folder_look:
            return
        self._next_folder_look = time.monotonic() + _FOLDER_LOOK
        folder = self._launch.folder
        written = reaper.folder_bytes(folder) + reaper.unnamed_bytes(self._events.processes, self._pid, folder)
        if written > self._launch.limits["file_bytes"]:
            self._exceeded = self._exceeded or "output"

    def _take(self, poll: select.poll, descriptor: int, event: int) -> None:
        if descriptor == self._events.requests:
            self._end()
            sys.exit()
        if descriptor == self._events.wakeup:
            os.read(self._events.wakeup, _CHUNK)
            self._reap()
        elif not self._read(descriptor):
            poll.unregister(descriptor)

    def _read(self, descriptor: int) -> bool:
        """Read what a stream holds; False at its end or at the limit."""
        part = os.read(descriptor, _CHUNK)
        taken = self._streams[descriptor]
        limit = self._launch.limits["output_bytes"]
        taken += part[: limit - len(taken)]
        if part and len(taken) >= limit:
            self._exceeded = self._exceeded or "output"
            return False
        return bool(part)

    def _reap(self) -> None:
        if self._exit_code is None:
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
                self._seconds = usage.ru_utime + usage.ru_stime

    def _end(self) -> None:
        """End everything that belongs to the run, and read what it has written."""
        if self._exit_code is None:
            os.kill(self._pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._pid, 0)
            self._exit_code = os.waitstatus_to_exitcode(status)
            self._seconds = usage.ru_utime + usage.ru_stime
        if not self._launch.apart:
            reaper.end_descendants(self._launch.user)
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
            try:
                while self._read(descriptor):
                    pass
            except BlockingIOError:
                pass
