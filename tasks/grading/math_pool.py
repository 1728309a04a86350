"""Worker processes that compare mathematical expressions. A worker whose comparison takes too long is replaced. Its CPU
time counts: on a busy machine it may take PATIENCE times as long.

Each of our processes has one pool, made on first use and again after a fork. A worker is started if all others are
busy, up to this rank's share of the CPU cores. Each worker serves one thread at a time. Workers end with the process
that started them, even if that is killed.

They are plain subprocesses. A `multiprocessing` pool would run the user's main script again in each worker, is refused
in daemonic processes, and with a fork server does not survive a fork.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from enum import StrEnum
from typing import final

from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank

START_SECONDS = 60.0
PATIENCE = 10.0
GRACE = 0.5  # seconds in which a worker may stop by itself, which spares the start of another
PROGRAM = "from uniopd_mm.tasks.grading.math_worker import main; main()"


_LOOK = 0.05  # seconds between two looks at a worker's CPU time


class Verdict(StrEnum):
    """A worker's verdict on a reference and an answer."""

    EQUAL = "equal"
    DIFFERENT = "different"
    BAD_REFERENCE = "bad reference"
    BAD_ANSWER = "bad answer"
    FAILED = "failed"
    UNPROVED = "unproved"
    TIME = "time"


class TimeUp(Exception):
    """A comparison exceeded its time limit, and its worker is to be ended."""


class WorkerLost(Exception):
    """A worker ended unexpectedly: out of memory, or it could not start."""


@final
class Worker:
    """One worker process. May serve only one thread at a time."""

    def __init__(self) -> None:
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
        self._ready = False

    def compare(self, reference: str, answer: str, seconds: float) -> tuple[Verdict, float]:
        """The verdict and the CPU seconds it took, without the start of the process. Raises TimeUp or WorkerLost; after
        either, the worker can no longer be used."""
        try:
            if not self._ready:
                self._read_verdict(START_SECONDS)
                self._ready = True
            request = json.dumps({"reference": reference, "answer": answer, "seconds": seconds})
            assert self._process.stdin is not None
            began = self._cpu_seconds()
            self._process.stdin.write(request.encode() + b"\n")
            verdict = self._read_verdict(seconds + GRACE)
            return verdict, self._cpu_seconds() - began
        except OSError as error:
            raise WorkerLost(str(error)) from error

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _cpu_seconds(self) -> float:
        """What all threads of the worker have computed so far."""
        return time.clock_gettime(~self._process.pid << 3 | 2)  # as clock_getcpuclockid(3) makes it, on Linux

    def _read_verdict(self, seconds: float) -> Verdict:
        deadline, enough = time.monotonic() + PATIENCE * seconds, self._cpu_seconds() + seconds
        assert self._process.stdout is not None
        received = b""
        waiting = select.poll()  # `select.select` refuses the file numbers of a process with many files
        waiting.register(self._process.stdout, select.POLLIN)
        while not received.endswith(b"\n"):
            if not waiting.poll(_LOOK * 1000):
                if self._cpu_seconds() > enough or time.monotonic() > deadline:
                    raise TimeUp
                continue
            piece = os.read(self._process.stdout.fileno(), 4096)
            if not piece:
                raise WorkerLost(f"exit status {self._process.wait()}")
            received += piece
        return Verdict(received.decode().strip())


@final
class WorkerPool:
    """At most `size` workers at a time."""

    def __init__(self, size: int) -> None:
        self._free = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed = False

    def compare(self, reference: str, answer: str, seconds: float) -> tuple[Verdict, float]:
        """A worker's verdict and the CPU seconds it took, without the wait for a free worker. Raises TimeUp or
        WorkerLost."""
        with self._free:
            worker = self._take()
            try:
                verdict, used = worker.compare(reference, answer, seconds)
            except BaseException:  # also Ctrl-C: the next caller would get this worker's unread answer
                self._drop(worker)
                raise
            with self._lock:
                self._idle.append(worker)
        if verdict is Verdict.TIME:
            raise TimeUp
        return verdict, used

    def close(self) -> None:
        """End all workers, even busy ones."""
        with self._lock:
            self._closed = True
            workers, self._all = self._all, set()
            self._idle.clear()
        for worker in workers:
            worker.end()

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise WorkerLost("the pool is closed")
            if self._idle:
                return self._idle.pop()
            worker = Worker()
            self._all.add(worker)
            return worker

    def _drop(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.end()


class _Shared:
    """The pool of this process."""

    pool = WorkerPool(cores_of_this_rank())


def shared_pool() -> WorkerPool:
    return _Shared.pool


def _forget() -> None:
    """After a fork: the workers belong to the parent, and a thread that no longer exists may have held a lock."""
    _Shared.pool = WorkerPool(cores_of_this_rank())


os.register_at_fork(after_in_child=_forget)
atexit.register(lambda: shared_pool().close())
