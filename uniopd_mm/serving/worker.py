"""The loop that owns the engine: takes what waits, asks once for all of it, and gives everybody their part."""

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

POLL_SECONDS = 0.1  # how soon a wish to end is seen


class EngineFailed(Exception):
    """The engine raised on this request alone, and what; `refused`: it would do so again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(in_short(f"{type(error).__name__}: {error}"))
        self.refused = isinstance(error, UserError)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """Answers jobs with a teacher's scorer and writer, in the thread that calls it."""

    scorer: Teacher
    writer: RolloutEngine
    jobs: Jobs
    metrics: Metrics

    def run(self) -> None:
        """Until the queue drains and nothing waits any more."""
        while True:
            draining = self.jobs.draining  # before looking: what comes later is refused
            batch = self.jobs.take(POLL_SECONDS)
            if batch:
                self._answer(batch)
            elif draining:
                return

    def _answer(self, batch: Sequence[Job]) -> None:
        started = monotonic()
        try:
            self._together(batch)
        except Exception as error:  # noqa: BLE001 - of whatever engine: the server outlives every request
            if len(batch) == 1:
                batch[0].answer.set_exception(EngineFailed(error))
            else:
                self._alone(batch)
        self.metrics.engine_seconds.observe(monotonic() - started)

    def _alone(self, batch: Sequence[Job]) -> None:
        for job in batch:
            try:
                self._together([job])
            except Exception as error:  # noqa: BLE001 - as above
                job.answer.set_exception(EngineFailed(error))

    def _together(self, batch: Sequence[Job]) -> None:
        """One call; raises what the engine raises."""
        first = batch[0].request
        if isinstance(first, Score):
            parts = [job.request.rollouts for job in batch if isinstance(job.request, Score)]
            answers: Sequence[Any] = self.scorer.score([rollout for part in parts for rollout in part])
            sizes = [len(part) for part in parts]
        else:
            asked = [job.request.prompts for job in batch if isinstance(job.request, Generate)]
            prompts = [prompt for part in asked for prompt in part]
            answers = self.writer.generate(prompts, first.num_samples, first.sampling)
            sizes = [len(part) for part in asked]
        self.metrics.batch_requests.observe(len(batch))
        remaining = iter(answers)
        for job, size in zip(batch, sizes, strict=True):
            job.answer.set_result(list(islice(remaining, size)))
