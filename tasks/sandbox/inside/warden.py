"""The process between the grader and a program: forks once for each input, watches the program, and reports.

It never runs a line of the program itself and holds no secrets: it receives the source and the inputs, and sends back
the output. Frames on its stdin and stdout are 8 bytes of length, then JSON:

    job      {"source", "level", "folder", "readable", "libraries", "limits"}     first, once
    input    "text"                                                               asks for one run
    run      {"status", "exit_code", "stdout", "stderr", "seconds"} or {"fault"}  the answer

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
from typing import Any, final

from uniopd_mm.tasks.sandbox.inside import confine, kernel, reaper
from uniopd_mm.tasks.sandbox.inside.launch import Launch, fork_program

_CHUNK = 1 << 16
_STDERR_KEPT = 4000
_TICK = 0.5  # seconds between two looks at the folder's size


def main() -> None:
    """Serve runs until stdin is closed. A forked child runs its program instead."""
    requests, replies = _own_channel()
    job = _receive(requests)
    try:
        launch = Launch.of(job)
        namespace = confine.enter_namespaces(job["folder"], job["readable"]) if launch.apart else None
        if namespace is None:
            kernel.adopt_orphans()
        wakeup = _wakeup_on_child()
    except OSError as error:
        _send(replies, {"fault": f"{job['level']}: {error}"})
        return
    gc.freeze()  # a collection in a child would touch, and so copy, all objects of this process
    number = 0
    while (text := _receive(requests)) is not None:
        number += 1
        try:
            pid, streams = fork_program(launch.numbered(number), text, namespace)
            run = Watch(pid, streams, wakeup, requests, launch).result() if pid else None
        except OSError as error:
            run = {"fault": f"{job['level']}: {error}"}
        if run is None:
            break
        _send(replies, run)
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


def _receive(requests: int) -> Any:
    """The next frame, None after the last."""
    header = _read_exactly(requests, 8)
    if header is None:
        return None
    body = _read_exactly(requests, struct.unpack("<Q", header)[0])
    return None if body is None else json.loads(body)


def _read_exactly(descriptor: int, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _send(replies: int, content: Mapping[str, Any]) -> None:
    body = json.dumps(content).encode()
    view = memoryview(struct.pack("<Q", len(body)) + body)
    while view:
        view = view[os.write(replies, view) :]


@final
class Watch:
    """One run, from the fork to the report."""

    def __init__(self, pid: int, streams: tuple[int, int], wakeup: int, requests: int, launch: Launch) -> None:
        self._pid = pid
        self._streams = {descriptor: bytearray() for descriptor in streams}
        self._stdout, self._stderr = streams
        self._wakeup, self._requests = wakeup, requests
        self._launch = launch
        self._exceeded = ""
        self._exit_code: int | None = None
        self._seconds = 0.0
        self._next_look = time.monotonic() + _TICK

    def result(self) -> dict[str, Any]:
        """Wait until the program and everything it started have ended, and describe the run."""
        self._follow()
        kept = {descriptor: bytes(self._streams[descriptor]) for descriptor in self._streams}
        for descriptor in kept:
            os.close(descriptor)
        stderr = kept[self._stderr][-_STDERR_KEPT:].decode("utf-8", "replace")
        code = self._exit_code if self._exit_code is not None else -signal.SIGKILL
        return {
            "status": self._status(code, stderr),
            "exit_code": code,
            "stdout": kept[self._stdout].decode("utf-8", "replace"),
            "stderr": stderr,
            "seconds": self._seconds,
        }

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
        for descriptor in (*self._streams, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        poll.register(self._requests, 0)  # reports only a closed connection, not the next request
        deadline = time.monotonic() + self._launch.limits["wall_seconds"]
        while self._exit_code is None and not self._exceeded:
            left = deadline - time.monotonic()
            if left <= 0:
                self._exceeded = "time"
                break
            for descriptor, event in poll.poll(min(left, _TICK) * 1000):
                self._take(poll, descriptor, event)
            self._check_folder()
        self._end()

    def _take(self, poll: select.poll, descriptor: int, event: int) -> None:
        if descriptor == self._requests:
            self._end()
            sys.exit()
        if descriptor == self._wakeup:
            os.read(self._wakeup, _CHUNK)
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

    def _check_folder(self) -> None:
        """A folder on the machine's disk has no size limit, so its size is checked from time to time."""
        if self._launch.apart or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _TICK
        if reaper.folder_bytes(self._launch.folder) > 4 * self._launch.limits["file_bytes"]:
            self._exceeded = "output"
