"""Runs jobs in worker processes, one model in each, side by side where there are GPUs.

A worker keeps its model for all tasks of a checkpoint, so that start-up is paid once. What goes wrong with a job, up to
the death of its worker, is named, tried once more and then left; it never ends the sweep. So is loading a checkpoint.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from time import monotonic
from typing import final

from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.jobs import Job
from uniopd_mm.evaluation.protocol import Asked, Failed, Finished, Opening, Ready
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.tracking.console import interactive, progress, terminal, warning

ATTEMPTS = 2
POLL_SECONDS = 0.5
PATIENCE = 10.0  # seconds for a worker to end by itself
MODULE = "uniopd_mm.evaluation.worker"


class JobFailed(Exception):
    """Why nothing came of a job; its worker is as good as before."""


class WorkerLost(Exception):
    """A worker ended or was ended, and why."""


class Unloadable(Exception):
    """Why a checkpoint could not be loaded."""


@final
class Worker:
    """One process with one model, which it loads when it is sent an `Opening`.

    It leads a group of processes of its own: what it starts ends with it, and an interrupt from the keyboard, which
    the sweep answers for all, does not reach it.

    Args:
        gpus: what it may see, None for all there is.
        log: where all that it prints goes.
    """

    def __init__(self, gpus: str | None, log: Path) -> None:
        self._log = log
        here, there = Pipe()
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | ({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})
        command = [sys.executable, "-m", MODULE, str(there.fileno()), str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[there.fileno()],
                env=environment,
                start_new_session=True,
            )
        there.close()
        self._connection: Connection = here

    def answer(self, deadline: float | None = None) -> object:
        """The next message.

        Raises:
            WorkerLost: the process has ended, or it is late.
        """
        try:
            while not self._connection.poll(POLL_SECONDS):
                if self._process.poll() is not None and not self._connection.poll():
                    raise EOFError  # a process that it has started holds the other end open
                check_time(deadline)
            return self._connection.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            said = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
            raise WorkerLost(f"its process {said}; {self._log} has its last words") from None

    def send(self, message: Opening | Job) -> None:
        """Raises WorkerLost where nobody is there."""
        try:
            self._connection.send(message)
        except OSError:
            raise WorkerLost(f"its process is gone; {self._log} has its last words") from None

    def close(self) -> None:
        """End the process: by itself, if it is idle and quick about it."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End whatever is left of it and of what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def check_time(deadline: float | None) -> None:
    """Raises WorkerLost after it."""
    if deadline is not None and monotonic() > deadline:
        raise WorkerLost("it took longer than task_minutes")


@final
@dataclass
class Sweep:
    """The jobs still to do, shared by slots that each have room for one model.

    Args:
        openings: how to load each checkpoint, by name.
        slots: the GPUs of each slot as CUDA_VISIBLE_DEVICES has them; [None] without any.
        task_minutes: after which a job is given up, None for never.
        logs: folder of the workers' logs.
    """

    jobs: Sequence[Job]
    openings: dict[str, Opening]
    slots: Sequence[str | None]
    logs: Path
    task_minutes: float | None = None
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def run(self) -> dict[tuple[str, str], str]:
        """Do all jobs; why those that came to nothing did, by checkpoint and task."""
        self._waiting = deque((job, 1) for job in self.jobs)
        self._unloaded = Counter[str]()
        self._lock = threading.Lock()
        self._status: dict[int, str] = {}
        self._stopped = threading.Event()
        self._workers: dict[int, Worker] = {}
        with progress("evaluating", len(self.jobs)) as bar:
            self._bar = bar
            threads = [threading.Thread(target=self._serve, args=entry, daemon=True) for entry in enumerate(self.slots)]
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            finally:
                with self._lock:  # none is started afterwards
                    self._stopped.set()
                    left = list(self._workers.values())
                for worker in left:
                    worker.kill()
        return self.failures

    def _serve(self, slot: int, gpus: str | None) -> None:
        """One slot, until nothing waits."""
        held: Checkpoint | None = None
        while not self._stopped.is_set() and (taken := self._take(held)):
            job, attempt = taken
            try:
                if held != job.checkpoint or slot not in self._workers:
                    self._close(slot)
                    held = job.checkpoint
                    self._open(slot, gpus, job)
                self._do(slot, job)
            except JobFailed as failed:
                self._failed(job, attempt, str(failed))
            except WorkerLost as lost:
                self._kill(slot)
                self._failed(job, attempt, str(lost))
            except Unloadable as reason:
                self._kill(slot)
                self._not_loaded(job, attempt, str(reason))
            except Exception as error:  # noqa: BLE001 - else all that waits would be lost without a word
                self._kill(slot)
                self._failed(job, attempt, in_short(f"{type(error).__name__}: {error}"))
        self._close(slot)

    def _take(self, held: Checkpoint | None) -> tuple[Job, int] | None:
        """The next job of the checkpoint that a slot holds, of any where it holds none or its own are done."""
        with self._lock:
            if not self._waiting:
                return None
            entry = next((entry for entry in self._waiting if entry[0].checkpoint == held), self._waiting[0])
            self._waiting.remove(entry)
            return entry

    def _open(self, slot: int, gpus: str | None, job: Job) -> None:
        self._show(slot, f"{job.checkpoint.name}: loading")
        try:
            worker = self._start(slot, gpus)
            worker.send(self.openings[job.checkpoint.name])
            answer = worker.answer()
        except (WorkerLost, OSError) as lost:
            raise Unloadable(str(lost)) from lost
        if isinstance(answer, Failed):
            raise Unloadable(answer.reason)
        assert isinstance(answer, Ready)
        self._unloaded.pop(job.checkpoint.name, None)

    def _start(self, slot: int, gpus: str | None) -> Worker:
        with self._lock:
            if self._stopped.is_set():
                raise WorkerLost("the sweep has ended")
            worker = self._workers[slot] = Worker(gpus, self.logs / f"worker_{slot}.log")
            return worker

    def _do(self, slot: int, job: Job) -> None:
        worker, deadline = self._workers[slot], None
        if self.task_minutes is not None:
            deadline = monotonic() + 60 * self.task_minutes
        self._show(slot, job.label)
        worker.send(job)
        done = 0
        while not isinstance(answer := worker.answer(deadline), Finished):
            if isinstance(answer, Failed):
                raise JobFailed(answer.reason)
            assert isinstance(answer, Asked)
            check_time(deadline)
            done += answer.questions
            self._show(slot, f"{job.label} {done}/{answer.total}")
        with self._lock:
            self.failures.pop((job.checkpoint.name, job.task.task), None)
            self._bar.advance(1, self._shown())

    def _failed(self, job: Job, attempt: int, reason: str) -> None:
        if self._stopped.is_set():
            return  # it was ended with the sweep
        with self._lock:
            if attempt < ATTEMPTS:
                warning(f"{job.label}: {reason}; tried once more")
                self._waiting.appendleft((job, attempt + 1))
                return
            warning(f"{job.label}: {reason}; left")
            self.failures[job.checkpoint.name, job.task.task] = reason
            self._bar.advance(1, self._shown())

    def _not_loaded(self, job: Job, attempt: int, reason: str) -> None:
        """Loading has tries of its own: after the last, all that waits for the checkpoint has failed."""
        if self._stopped.is_set():
            return
        name = job.checkpoint.name
        with self._lock:
            self._unloaded[name] += 1
            self._waiting.appendleft((job, attempt))
            if self._unloaded[name] < ATTEMPTS:
                warning(f"{name} cannot be loaded: {reason}; tried once more")
                return
            lost = [waiting for waiting, _ in self._waiting if waiting.checkpoint == job.checkpoint]
            self._waiting = deque(entry for entry in self._waiting if entry[0].checkpoint != job.checkpoint)
            warning(f"{name} cannot be loaded: {reason}; {len(lost)} of its evaluations are left")
            self.failures |= {(name, waiting.task.task): reason for waiting in lost}
            self._bar.advance(len(lost), self._shown())

    def _show(self, slot: int, text: str) -> None:
        with self._lock:
            self._status[slot] = text
            if interactive(terminal()):
                self._bar.advance(0, self._shown())

    def _shown(self) -> str:
        return "  ".join(self._status.values())

    def _close(self, slot: int) -> None:
        if worker := self._workers.pop(slot, None):
            worker.close()

    def _kill(self, slot: int) -> None:
        if worker := self._workers.pop(slot, None):
            worker.kill()
