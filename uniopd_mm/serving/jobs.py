"""The queue of requests for the engine: limited in length, and batched if one call of the engine can answer several."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import Any, final

from uniopd_mm.types import Prompt, Rollout, Sampling


class QueueFull(Exception):
    """The maximum number of requests is waiting."""


class Draining(Exception):
    """The server is shutting down and accepts no new requests."""


class Expired(Exception):
    """The client no longer waits for the answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Score these responses at this temperature, and return the `top_k` likeliest tokens."""

    rollouts: Sequence[Rollout]
    temperature: float
    top_k: int = 0

    @property
    def num_tokens(self) -> int:
        return sum(rollout.num_tokens for rollout in self.rollouts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Generate:
    """Generate `num_samples` responses to each prompt."""

    prompts: Sequence[Prompt]
    num_samples: int
    sampling: Sampling

    @property
    def num_tokens(self) -> int:
        per_sample = sum(len(prompt.token_ids) + self.sampling.max_new_tokens for prompt in self.prompts)
        return self.num_samples * per_sample


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """A request and its future `answer`. The client waits for it until `expires`, a time of `monotonic`."""

    request: Score | Generate
    expires: float
    answer: Future[Any] = field(default_factory=Future)

    @property
    def is_awaited(self) -> bool:
        """Whether the client still waits for the answer."""
        return not self.answer.cancelled() and monotonic() < self.expires


def compatible(one: Score | Generate, other: Score | Generate) -> bool:
    """Whether one call of the engine can answer both requests."""
    if isinstance(one, Generate) and isinstance(other, Generate):
        return (one.num_samples, one.sampling) == (other.num_samples, other.sampling)
    return isinstance(one, Score) and isinstance(other, Score) and one.temperature == other.temperature


@final
class Jobs:
    """The queue between the threads that receive requests and the one that owns the engine.

    Args:
        max_waiting: maximum number of requests in the queue.
        batch_tokens: prompt and response tokens in one call of the engine; a larger request gets its own call.
    """

    def __init__(self, max_waiting: int, batch_tokens: int) -> None:
        self.max_waiting = max_waiting
        self.batch_tokens = batch_tokens
        self.draining = False  # a plain flag, because a signal handler sets it
        self._waiting: deque[Job] = deque()
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Raises QueueFull or Draining."""
        with self._changed:
            if self.draining:
                raise Draining
            if len(self._waiting) >= self.max_waiting:
                raise QueueFull
            self._waiting.append(job)
            self._changed.notify()

    def take(self, seconds: float) -> list[Job]:
        """The first job and those behind it that fit into the same call; [] if none arrives in time."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(seconds)
            self._drop_expired()
            if not self._waiting:
                return []
            batch = self._batch(self._waiting[0].request)
            self._waiting = deque(job for job in self._waiting if job not in batch)
        # From here on it cannot be cancelled, so its answer can be set.
        return [job for job in batch if job.answer.set_running_or_notify_cancel()]

    def _batch(self, first: Score | Generate) -> list[Job]:
        batch: list[Job] = []
        remaining = max(self.batch_tokens, first.num_tokens)
        for job in self._waiting:
            if compatible(first, job.request) and job.request.num_tokens <= remaining:
                remaining -= job.request.num_tokens
                batch.append(job)
        return batch

    def _drop_expired(self) -> None:
        expired = {job for job in self._waiting if not job.is_awaited}
        self._waiting = deque(job for job in self._waiting if job not in expired)
        for job in expired:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(Expired())
