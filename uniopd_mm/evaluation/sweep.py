"""Runs jobs in worker processes, one model in each, side by side where there are GPUs.

A worker keeps its model for all tasks of a checkpoint, so that start-up is paid once. What goes wrong with a job, up to
the death of its worker, is named, tried once more and then left; it never ends the sweep.
"""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from time import monotonic
from typing import final

from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.jobs import Job
from uniopd_mm.evaluation.protocol import Asked, Failed, Finished, Opening, Ready
from uniopd_mm.tracking.console import interactive, progress, terminal, warning

ATTEMPTS = 2
POLL_SECONDS = 0.5
PATIENCE = 10.0  # seconds for a worker to end by itself


class JobFailed(Exception):
    """Why nothing came of a job; its worker is as good as before."""


class WorkerLost(Exception):
    """A worker ended or was ended, and why."""


class Unloadable(Exception):
    """Why a checkpoint could not be loaded."""


@final
class Worker:
    """One process with one model, which it loads when it is sent an `Opening`.

    Args:
        gpus: what it may see, None for all there is.
        log: where all that it prints goes.
    """

    def __init__(self, gpus: str | None, log: Path) -> None:
        self._log = log
        here, there = Pipe()
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | ({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})
        command = [sys.executable, "-m", "uniopd_mm.evaluation.worker", str(there.fileno())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, pass_fds=[there.fileno()], env=environment
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
                if deadline is not None and monotonic() > deadline:
                    raise WorkerLost("it took longer than task_minutes")
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
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


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
    finished: Callable[[Job], None] = lambda job: None

    def run(self) -> dict[tuple[str, str], str]:
        """Do all jobs; why those that came to nothing did, by checkpoint and task."""
        self._waiting = deque((job, 1) for job in self.jobs)
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
                self._stopped.set()
                for worker in list(self._workers.values()):
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
                self._failed(job, attempt, str(reason))
                if attempt == ATTEMPTS:
                    self._give_up(job.checkpoint, str(reason))
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
            worker = self._workers[slot] = Worker(gpus, self.logs / f"worker_{slot}.log")
            worker.send(self.openings[job.checkpoint.name])
            answer = worker.answer()
        except (WorkerLost, OSError) as lost:
            raise Unloadable(str(lost)) from lost
        if isinstance(answer, Failed):
            raise Unloadable(answer.reason)
        assert isinstance(answer, Ready)

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
            done += answer.questions
            self._show(slot, f"{job.label} {done}/{answer.total}")
        with self._lock:
            self.failures.pop((job.checkpoint.name, job.task.task), None)
            self._bar.advance(1, self._shown())
            self.finished(job)

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

    def _give_up(self, checkpoint: Checkpoint, reason: str) -> None:
        """What waits for a checkpoint that cannot be loaded has failed too."""
        with self._lock:
            lost = [entry for entry in self._waiting if entry[0].checkpoint == checkpoint]
            self._waiting = deque(entry for entry in self._waiting if entry not in lost)
        for job, _ in lost:
            self._failed(job, ATTEMPTS, reason)

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
