"""Worker processes that decode videos. A decoder that crashes, hangs or takes too much memory ends its worker alone.

A worker is started when a video comes and all others are at work, up to the number of CPUs. It is used for one video
at a time, and again for the next; one that has ended is replaced. Not here: what a worker does (decode_worker.py).
"""

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from threading import Condition
from typing import Any, cast, final

MAX_WORKERS = 8
MAX_THREADS = 4
MAX_REPLY_BYTES = 2**31
WORN_BYTES = 2**29  # decoders do not give back all memory; a worker that keeps more than this is replaced
ENDING_SECONDS = 10.0


class WorkerDiedError(Exception):
    """The worker has ended; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits on one worker: bytes of memory, seconds without progress, and seconds that one request may take."""

    memory: int = 2 * 2**30
    stall: float = 60.0
    total: float = 900.0


@final
class Worker:
    """One worker process. `threads` is the number of threads that its decoder may use; `reusable` tells whether it can
    take another request."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.threads = 1
        self.reusable = True
        arguments = [str(limits.memory), str(limits.stall), str(limits.total)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "uniopd_mm.processors.decode_worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the command, which then ends its workers
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, request: Mapping[str, Any], content: bytes = b"") -> None:
        """Raises WorkerDiedError."""
        self.reusable = False
        assert self._process.stdin is not None
        header = {**request, "num_bytes": len(content)} if content else request
        try:
            self._process.stdin.write(json.dumps(header).encode() + b"\n" + content)
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerDiedError(self._cause()) from error

    def receive(self) -> tuple[Mapping[str, Any], bytearray]:
        """The next reply and the bytes that belong to it. Raises WorkerDiedError."""
        replies = cast(BufferedReader, self._process.stdout)
        line = replies.readline()
        if not line.endswith(b"\n"):
            raise WorkerDiedError(self._cause())
        header = json.loads(line)
        content = bytearray(min(header["num_bytes"], MAX_REPLY_BYTES))
        if replies.readinto(content) != header["num_bytes"]:
            raise WorkerDiedError(self._cause())
        self.reusable = header["last"] and header["memory"] < WORN_BYTES
        return header, content

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _cause(self) -> str:
        """Why the process has ended, in words. It has closed its pipe, so that it cannot take long."""
        try:
            status = self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return "its decoder does not answer"
        if status == -signal.SIGALRM:
            limits = self.limits
            return f"decoding it hung for {limits.stall:g} seconds, or took more than {limits.total:g} seconds"
        if status < 0:
            return f"decoding it crashed ({signal.Signals(-status).name})"
        return f"decoding it ended with status {status}"


@final
class DecodePool:
    """The workers of this process. Threads may use it at the same time.

    Args:
        limits: on each worker.
        size: the greatest number of workers.
    """

    def __init__(self, limits: Limits, size: int) -> None:
        self.limits = limits
        self.size = size
        self._changed = Condition()
        self._idle: list[Worker] = []
        self._in_use = 0
        self._owner = os.getpid()

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """A worker for one video; waits while all are in use."""
        worker = self._taken()
        try:
            yield worker
        finally:
            self._returned(worker)

    def end(self) -> None:
        """End the workers that are not in use. Nothing happens in a forked process, whose parent has these workers."""
        if os.getpid() != self._owner:
            return
        with self._changed:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.end()

    def _taken(self) -> Worker:
        with self._changed:
            self._changed.wait_for(lambda: self._in_use < self.size)
            self._in_use += 1
            threads = max(1, min(num_cpus() // self._in_use, MAX_THREADS))
            idle = self._idle.pop() if self._idle else None
        try:
            worker = idle if idle and idle.is_alive() else Worker(self.limits)
        except BaseException:
            self._returned(None)
            raise
        worker.threads = threads
        return worker

    def _returned(self, worker: Worker | None) -> None:
        if worker and not worker.reusable:  # it has died, or grown, or its replies have not all been read
            worker.end()
        with self._changed:
            self._in_use -= 1
            if worker and worker.reusable:
                self._idle.append(worker)
            self._changed.notify()


def num_cpus() -> int:
    return len(os.sched_getaffinity(0))


@cache
def decode_pool() -> DecodePool:
    """The pool of this process."""
    pool = DecodePool(Limits(), min(num_cpus(), MAX_WORKERS))
    atexit.register(pool.end)
    return pool


def _environment() -> dict[str, str]:
    """Ours, without the allocator and the threads that vLLM preloads: they take memory from the worker's limit."""
    own = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return own | {"PYTHONPATH": _import_path(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _import_path() -> str:
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


# A forked process must not talk to its parent's workers.
os.register_at_fork(after_in_child=decode_pool.cache_clear)
