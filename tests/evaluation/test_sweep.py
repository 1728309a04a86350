"""A sweep's workers and what becomes of its jobs when they go wrong, without a model."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.evaluation import sweep
from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.jobs import Job, Limits
from uniopd_mm.evaluation.protocol import Failed, Finished, ModelSpec, ProgressReport, Ready
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.evaluation.sweep import Sweep, Worker, WorkerLost

GOOD, BAD = Checkpoint(name="good", path="/good"), Checkpoint(name="bad", path="/bad")


def jobs(*checkpoints: Checkpoint, tasks: int = 3) -> list[Job]:
    return [
        Job(
            checkpoint=checkpoint,
            task=SuiteTask(task=f"task_{index}", title="", domain=""),
            limits=Limits(),
            folder=Path(),
        )
        for checkpoint in checkpoints
        for index in range(tasks)
    ]


def spec_of(checkpoint: Checkpoint) -> ModelSpec:
    return ModelSpec(
        path=checkpoint.path,
        engine="hf",
        dtype=None,
        options=VLLMOptions(),
        processor={},
        seed=0,
        prompts_per_chunk=None,
        max_batch_size=1,
        data_root=None,
        run=None,
    )


@dataclass
class Scripted:
    """In the place of a worker: `loads(path)` and `does(job)` say what it answers, or raise WorkerLost."""

    loads: Callable[[str], object]
    does: Callable[[Job], object]
    started: list[str] = field(default_factory=list)
    alive: int = 0

    def __call__(self, gpus: str | None, log: Path) -> "Scripted":
        self.alive += 1
        return self

    def send(self, message: ModelSpec | Job) -> None:
        if isinstance(message, ModelSpec):
            self.started.append(message.path)
            self.coming = self.loads(message.path)
        else:
            self.coming = self.does(message)

    def receive(self, deadline: float | None = None) -> object:
        if isinstance(self.coming, Exception):
            raise self.coming
        return self.coming

    def close(self) -> None:
        self.alive -= 1

    kill = close


def swept(monkeypatch: pytest.MonkeyPatch, worker: Scripted, todo: list[Job]) -> dict[tuple[str, str], str]:
    monkeypatch.setattr(sweep, "Worker", worker)
    specs = {checkpoint.name: spec_of(checkpoint) for checkpoint in (GOOD, BAD)}
    failures = Sweep(jobs=todo, specs=specs, slots=[None], logs=Path("logs")).run()
    assert worker.alive == 0
    return failures


def loads(path: str) -> object:
    return Failed(reason="no weights") if path == BAD.path else Ready()


def test_a_checkpoint_that_cannot_be_loaded_costs_two_tries_and_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Scripted(loads, lambda job: Finished())
    failures = swept(monkeypatch, worker, jobs(BAD, GOOD))
    assert failures == {("bad", f"task_{index}"): "no weights" for index in range(3)}
    assert worker.started == ["/bad", "/bad", "/good"]
    said = capsys.readouterr().out
    assert said.count("bad cannot be loaded: no weights") == 2
    assert "3 of its evaluations are skipped" in said


def test_loading_has_its_own_tries_beside_those_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may kill its worker, and memory not be free at once for the next one: that costs nothing else."""
    answers = iter([Ready(), Failed(reason="out of memory"), Ready(), Ready()])
    worker = Scripted(
        lambda path: next(answers),
        lambda job: WorkerLost("ended by signal 9") if job.task.task == "task_0" else Finished(),
    )
    assert swept(monkeypatch, worker, jobs(GOOD)) == {("good", "task_0"): "ended by signal 9"}
    assert len(worker.started) == 4


def test_a_failure_that_nobody_foresaw_is_named_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Scripted(loads, lambda job: ValueError("odd") if job.task.task == "task_1" else Finished())
    assert swept(monkeypatch, worker, jobs(GOOD)) == {("good", "task_1"): "ValueError: odd"}


def test_a_job_is_tried_twice_on_the_same_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Failed(reason="once"), Finished(), Finished(), Finished()])
    worker = Scripted(loads, lambda job: next(answers))
    assert swept(monkeypatch, worker, jobs(GOOD)) == {}
    assert worker.started == ["/good"]


def test_a_task_that_answers_all_the_time_is_given_up_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Scripted(loads, lambda job: ProgressReport(num_answered=1, total=9))
    monkeypatch.setattr(sweep, "Worker", worker)
    todo = Sweep(
        jobs=jobs(GOOD, tasks=1), specs={"good": spec_of(GOOD)}, slots=[None], logs=Path(), task_minutes=0.0005
    )
    assert list(todo.run().values()) == ["it took longer than task_minutes"]


def test_two_slots_share_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=300)

    def does(job: Job) -> object:
        if job.task.task != "task_2":
            together.wait()
        return Finished()

    monkeypatch.setattr(sweep, "Worker", lambda gpus, log: Scripted(loads, does)(gpus, log))
    specs = {checkpoint.name: spec_of(checkpoint) for checkpoint in (GOOD, BAD)}
    todo = Sweep(jobs=jobs(GOOD, BAD), specs=specs, slots=["0", "1"], logs=Path())
    assert {name for name, _ in todo.run()} == {"bad"}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    """A real process that behaves as it is told."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(sweep, "MODULE", "worker_stub")
    started: list[Worker] = []

    def start(behaviour: str) -> Worker:
        monkeypatch.setenv("STUB", behaviour)
        started.append(Worker(None, tmp_path / "logs" / "worker.log"))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def test_the_end_of_a_worker_is_noticed_though_its_child_lives_and_the_child_ends_with_it(
    stub: Callable[[str], Worker],
) -> None:
    worker = stub("dies and leaves a child")
    child = worker.receive()
    with pytest.raises(WorkerLost, match="ended with status 3"):
        worker.receive()
    worker.kill()
    assert ended(int(str(child)))


def test_a_silent_worker_is_given_up_in_time(stub: Callable[[str], Worker]) -> None:
    with pytest.raises(WorkerLost, match="task_minutes"):
        stub("sleeps").receive(time.monotonic() + 0.1)


def test_a_worker_hears_nothing_of_the_keyboard(stub: Callable[[str], Worker]) -> None:
    """An interrupt goes to the group of the terminal, and the sweep ends its workers itself."""
    worker = stub("talks")
    worker.receive()
    assert os.getsid(worker._process.pid) == worker._process.pid


def ended(process: int) -> bool:
    """Whether it has, or does within a minute."""
    for _ in range(1200):
        stat = Path(f"/proc/{process}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
