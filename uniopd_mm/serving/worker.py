"""The loop that owns the engine: it takes a batch of jobs, calls the engine once, and splits the answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any, final

from uniopd_mm.interfaces import RolloutEngine, Teacher
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.serving.jobs import Generate, Job, Jobs, Score
from uniopd_mm.serving.metrics import Metrics
from uniopd_mm.types import UserError

POLL_SECONDS = 0.1  # how soon a shutdown is noticed


class EngineFailed(Exception):
    """The engine raised an error on this request by itself. `refused`: it would do so again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(in_short(f"{type(error).__name__}: {error}"))
        self.refused = isinstance(error, UserError)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """Answers jobs with a teacher's scorer and engine, in the calling thread."""

    scorer: Teacher
    engine: RolloutEngine
    jobs: Jobs
    metrics: Metrics

    def run(self) -> None:
        """Return when the queue is draining and empty."""
        while True:
            draining = self.jobs.draining  # read first: later jobs are refused
            batch = self.jobs.take(POLL_SECONDS)
            if batch:
                self._answer(batch)
            elif draining:
                return

    def _answer(self, batch: Sequence[Job]) -> None:
        started = monotonic()
        try:
            self._run_batch(batch)
        except Exception as error:  # noqa: BLE001 - the server survives any error of any engine
            if len(batch) == 1:
                batch[0].answer.set_exception(EngineFailed(error))
            else:
                self._run_one_by_one(batch)
        self.metrics.engine_seconds.observe(monotonic() - started)

    def _run_one_by_one(self, batch: Sequence[Job]) -> None:
        for job in batch:
            try:
                self._run_batch([job])
            except Exception as error:  # noqa: BLE001 - as above
                job.answer.set_exception(EngineFailed(error))

    def _run_batch(self, batch: Sequence[Job]) -> None:
        """One call of the engine; raises its errors."""
        first = batch[0].request
        if isinstance(first, Score):
            rollouts = [job.request.rollouts for job in batch if isinstance(job.request, Score)]
            flattened = [rollout for part in rollouts for rollout in part]
            answers: Sequence[Any] = self.scorer.score(flattened, first.temperature)
            sizes = [len(part) for part in rollouts]
        else:
            prompts = [job.request.prompts for job in batch if isinstance(job.request, Generate)]
            flat = [prompt for part in prompts for prompt in part]
            answers = self.engine.generate(flat, first.num_samples, first.sampling)
            sizes = [len(part) for part in prompts]
        self.metrics.batch_requests.observe(len(batch))
        remaining = iter(answers)
        for job, size in zip(batch, sizes, strict=True):
            job.answer.set_result(list(islice(remaining, size)))
