"""Runs jobs in worker processes, each with one model, in parallel if there are several GPUs.

A worker keeps its model for all tasks of a checkpoint, so that start-up is paid once. If a job fails or its worker
dies, the error is reported, and the job is tried once more and then skipped. The same holds for loading a checkpoint.
Neither ends the sweep.
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
from uniopd_mm.evaluation.protocol import Failed, Finished, ModelSpec, ProgressReport, Ready
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.tracking.console import interactive, progress, terminal, warning

ATTEMPTS = 2
POLL_SECONDS = 0.5
EXIT_SECONDS = 10.0  # for a worker to exit by itself
MODULE = "uniopd_mm.evaluation.worker"


class JobFailed(Exception):
    """A job failed; its worker is still usable. The message is the reason."""


class WorkerLost(Exception):
    """A worker died or was ended. The message is the reason."""


class LoadFailed(Exception):
    """A checkpoint could not be loaded. The message is the reason."""


@final
class Worker:
    """One process with one model, which it loads when it receives a `ModelSpec`.

    It leads its own process group, so its child processes end with it, and an interrupt from the keyboard does not
    reach it. The sweep handles interrupts for all workers.

    Args:
        gpus: the GPUs it may use, None for all.
        log: the file for its output.
    """

    def __init__(self, gpus: str | None, log: Path) -> None:
        self._log = log
        connection, child_connection = Pipe()
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | ({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})
        command = [sys.executable, "-m", MODULE, str(child_connection.fileno()), str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[child_connection.fileno()],
                env=environment,
                start_new_session=True,
            )
        child_connection.close()
        self._connection: Connection = connection

    def receive(self, deadline: float | None = None) -> object:
        """The next message.

        Raises:
            WorkerLost: the process has ended, or the deadline has passed.
        """
        try:
            while not self._connection.poll(POLL_SECONDS):
                if self._process.poll() is not None and not self._connection.poll():
                    raise EOFError  # one of its child processes still holds the connection open
                check_time(deadline)
            return self._connection.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            end = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
            raise WorkerLost(f"its process {end}; see the end of {self._log}") from None

    def send(self, message: ModelSpec | Job) -> None:
        """Raises WorkerLost if the process is gone."""
        try:
            self._connection.send(message)
        except OSError:
            raise WorkerLost(f"its process is gone; see the end of {self._log}") from None

    def close(self) -> None:
        """End the process. An idle one gets some time to exit by itself."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=EXIT_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the process, if it still runs, and its child processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def check_time(deadline: float | None) -> None:
    """Raises WorkerLost after the deadline."""
    if deadline is not None and monotonic() > deadline:
        raise WorkerLost("it took longer than task_minutes")


@final
@dataclass
class Sweep:
    """The jobs to run, shared by slots with room for one model each.

    Args:
        specs: the model specification of each checkpoint, by name.
        slots: the GPUs of each slot in the format of CUDA_VISIBLE_DEVICES; [None] without GPUs.
        task_minutes: time limit of a job; None for no limit.
        logs: folder for the workers' logs.
    """

    jobs: Sequence[Job]
    specs: dict[str, ModelSpec]
    slots: Sequence[str | None]
    logs: Path
    task_minutes: float | None = None
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def run(self) -> dict[tuple[str, str], str]:
        """Run all jobs. Returns the reasons of those that failed, by checkpoint and task."""
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
                with self._lock:  # no worker starts after this
                    self._stopped.set()
                    running = list(self._workers.values())
                for worker in running:
                    worker.kill()
        return self.failures

    def _serve(self, slot: int, gpus: str | None) -> None:
        """Run jobs in one slot until none are waiting."""
        loaded: Checkpoint | None = None
        while not self._stopped.is_set() and (taken := self._take(loaded)):
            job, attempt = taken
            try:
                if loaded != job.checkpoint or slot not in self._workers:
                    self._close(slot)
                    loaded = job.checkpoint
                    self._load(slot, gpus, job)
                self._run_job(slot, job)
            except JobFailed as failed:
                self._failed(job, attempt, str(failed))
            except WorkerLost as lost:
                self._kill(slot)
                self._failed(job, attempt, str(lost))
            except LoadFailed as reason:
                self._kill(slot)
                self._not_loaded(job, attempt, str(reason))
            except Exception as error:  # noqa: BLE001 - otherwise all waiting jobs would be lost silently
                self._kill(slot)
                self._failed(job, attempt, in_short(f"{type(error).__name__}: {error}"))
        self._close(slot)

    def _take(self, loaded: Checkpoint | None) -> tuple[Job, int] | None:
        """The next job: of the loaded checkpoint if it has any left, otherwise of any checkpoint."""
        with self._lock:
            if not self._waiting:
                return None
            entry = next((entry for entry in self._waiting if entry[0].checkpoint == loaded), self._waiting[0])
            self._waiting.remove(entry)
            return entry

    def _load(self, slot: int, gpus: str | None, job: Job) -> None:
        self._show(slot, f"{job.checkpoint.name}: loading")
        try:
            worker = self._start(slot, gpus)
            worker.send(self.specs[job.checkpoint.name])
            answer = worker.receive()
        except (WorkerLost, OSError) as lost:
            raise LoadFailed(str(lost)) from lost
        if isinstance(answer, Failed):
            raise LoadFailed(answer.reason)
        assert isinstance(answer, Ready)
        self._unloaded.pop(job.checkpoint.name, None)

    def _start(self, slot: int, gpus: str | None) -> Worker:
        with self._lock:
            if self._stopped.is_set():
                raise WorkerLost("the sweep has ended")
            worker = self._workers[slot] = Worker(gpus, self.logs / f"worker_{slot}.log")
            return worker

    def _run_job(self, slot: int, job: Job) -> None:
        worker, deadline = self._workers[slot], None
        if self.task_minutes is not None:
            deadline = monotonic() + 60 * self.task_minutes
        self._show(slot, job.label)
        worker.send(job)
        done = 0
        while not isinstance(answer := worker.receive(deadline), Finished):
            if isinstance(answer, Failed):
                raise JobFailed(answer.reason)
            assert isinstance(answer, ProgressReport)
            check_time(deadline)
            done += answer.num_answered
            self._show(slot, f"{job.label} {done}/{answer.total}")
        with self._lock:
            self.failures.pop((job.checkpoint.name, job.task.task), None)
            self._bar.advance(1, self._shown())

    def _failed(self, job: Job, attempt: int, reason: str) -> None:
        if self._stopped.is_set():
            return  # killed with the sweep
        with self._lock:
            if attempt < ATTEMPTS:
                warning(f"{job.label}: {reason}; trying once more")
                self._waiting.appendleft((job, attempt + 1))
                return
            warning(f"{job.label}: {reason}; skipped")
            self.failures[job.checkpoint.name, job.task.task] = reason
            self._bar.advance(1, self._shown())

    def _not_loaded(self, job: Job, attempt: int, reason: str) -> None:
        """Loading has its own number of attempts. After the last one, all waiting jobs of the checkpoint fail."""
        if self._stopped.is_set():
            return
        name = job.checkpoint.name
        with self._lock:
            self._unloaded[name] += 1
            self._waiting.appendleft((job, attempt))
            if self._unloaded[name] < ATTEMPTS:
                warning(f"{name} cannot be loaded: {reason}; trying once more")
                return
            lost = [waiting for waiting, _ in self._waiting if waiting.checkpoint == job.checkpoint]
            self._waiting = deque(entry for entry in self._waiting if entry[0].checkpoint != job.checkpoint)
            warning(f"{name} cannot be loaded: {reason}; {len(lost)} of its evaluations are skipped")
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
