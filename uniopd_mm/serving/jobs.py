"""Requests that wait for the engine: in order, no more than fit, and those that can share one call together."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import Any, final

from uniopd_mm.types import Prompt, Rollout, Sampling


class Full(Exception):
    """As many wait as may."""


class Draining(Exception):
    """The server is about to end, and takes nothing new."""


class Expired(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Score these responses, and name the `top_k` likeliest tokens."""

    rollouts: Sequence[Rollout]
    top_k: int = 0

    @property
    def num_tokens(self) -> int:
        return sum(rollout.num_tokens for rollout in self.rollouts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Generate:
    """Answer these prompts."""

    prompts: Sequence[Prompt]
    num_samples: int
    sampling: Sampling

    @property
    def num_tokens(self) -> int:
        each = [len(prompt.token_ids) + self.sampling.max_new_tokens for prompt in self.prompts]
        return self.num_samples * sum(each)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """A request on its way; `expires` is a time of `monotonic` after which nobody waits for its `answer`."""

    request: Score | Generate
    expires: float
    answer: Future[Any] = field(default_factory=Future)

    @property
    def wanted(self) -> bool:
        return not self.answer.cancelled() and monotonic() < self.expires


def compatible(one: Score | Generate, other: Score | Generate) -> bool:
    """Whether one call of the engine can answer both."""
    if isinstance(one, Generate) and isinstance(other, Generate):
        return (one.num_samples, one.sampling) == (other.num_samples, other.sampling)
    return isinstance(one, Score) and isinstance(other, Score)


@final
class Jobs:
    """The queue between the threads that take requests and the one that owns the engine.

    Args:
        max_waiting: requests.
        batch_tokens: prompt and response tokens of one call of the engine; a larger request goes alone.
    """

    def __init__(self, max_waiting: int, batch_tokens: int) -> None:
        self.max_waiting = max_waiting
        self.batch_tokens = batch_tokens
        self.draining = False  # set by a signal's handler, hence a plain flag
        self._waiting: deque[Job] = deque()
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Raises Full or Draining."""
        with self._changed:
            if self.draining:
                raise Draining
            if len(self._waiting) >= self.max_waiting:
                raise Full
            self._waiting.append(job)
            self._changed.notify()

    def take(self, seconds: float) -> list[Job]:
        """The one that came first and those behind it that fit into its call; [] where none comes in time."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(seconds)
            self._drop_unwanted()
            if not self._waiting:
                return []
            taken = self._batch(self._waiting[0].request)
            self._waiting = deque(job for job in self._waiting if job not in taken)
        # From here on nobody can cancel it, so that its answer can be set.
        return [job for job in taken if job.answer.set_running_or_notify_cancel()]

    def _batch(self, first: Score | Generate) -> list[Job]:
        taken: list[Job] = []
        room = max(self.batch_tokens, first.num_tokens)
        for job in self._waiting:
            if compatible(first, job.request) and job.request.num_tokens <= room:
                room -= job.request.num_tokens
                taken.append(job)
        return taken

    def _drop_unwanted(self) -> None:
        expired = {job for job in self._waiting if not job.wanted}
        self._waiting = deque(job for job in self._waiting if job not in expired)
        for job in expired:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(Expired())
