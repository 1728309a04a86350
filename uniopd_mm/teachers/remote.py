"""A teacher on remote servers, as scorer and as engine. Network faults never raise, lose a sample or hang a run."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import replace
from typing import Protocol, TypeVar, final

import torch
from torch import Tensor

from uniopd_mm.config.parts import TeacherConfig
from uniopd_mm.interfaces import Finished
from uniopd_mm.models.identity import Identity
from uniopd_mm.teachers.handshake import handshake
from uniopd_mm.teachers.pool import Pool
from uniopd_mm.teachers.requests import Refused, RemoteRequest
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, Sampling, TeacherScores, UserError, Vocabulary

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
Batch = Sequence[Sequence[int]]  # one request: indices of rollouts or prompts, in groups that are never split


class RemoteApi(Protocol):
    """Makes the requests for one kind of server, and parses their replies."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def identity(self) -> Identity | None: ...

    @property
    def one_per_request(self) -> bool:
        """Whether a request holds a single rollout or prompt."""
        ...

    def score(
        self, rollouts: Sequence[Rollout], temperature: float
    ) -> RemoteRequest[list[TeacherScores | Failure]]: ...

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling
    ) -> RemoteRequest[list[list[Rollout]]]: ...


@final
class RemoteTeacher:
    """Scores and generates on a pool of servers. Several threads may call it at once.

    Args:
        name: of the teacher, in records and tables.
        pool: of servers that serve the same teacher.
        api: of these servers.
        max_tokens: prompt and response tokens in one request; a larger group of rollouts is sent by itself.
    """

    def __init__(self, name: str, pool: Pool, api: RemoteApi, *, max_tokens: int) -> None:
        self._name = name
        self.pool = pool
        self.api = api
        self.max_tokens = max_tokens

    @classmethod
    def connect(
        cls, plan: TeacherConfig, key: str, top_k: int = 0, vocabulary: Vocabulary | None = None
    ) -> "RemoteTeacher":
        """The teacher that `plan.urls` serve. `vocabulary` is that of the ids it will be sent; None skips the check.

        Raises:
            UserError: no server can be reached, two serve different teachers, or they do not return what is needed;
                `key` is the configuration key to name.
        """
        token = os.environ.get(plan.remote.token_env)
        pool = Pool(plan.urls, plan.remote, {"authorization": f"Bearer {token}".encode()} if token else {})
        try:
            api = handshake(pool, plan, key, top_k, vocabulary)
        except UserError:
            pool.close()
            raise
        return cls(plan.name, pool, api, max_tokens=plan.max_tokens)

    @property
    def name(self) -> str:
        return self._name

    @property
    def overlaps(self) -> bool:
        return True

    @property
    def vocab_size(self) -> int:
        """Number of ids of the model."""
        return self.api.vocab_size

    @property
    def identity(self) -> Identity | None:
        """The servers' description of their model; None if they have none."""
        return self.api.identity

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        """See `Teacher.score`."""
        scores: dict[int, TeacherScores | Failure] = {}
        for batches in self._rounds(rollouts):
            for indices, results in self._results(
                batches,
                lambda indices: self.api.score([rollouts[index] for index in indices], temperature),
                lambda _, reason: Failure(teacher=self.name, reason=reason),
            ):
                scores |= zip(indices, results, strict=True)
        return [scores[index] for index in range(len(rollouts))]

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`. If no server answers a prompt, its responses are empty, with reason ABORT."""
        groups: dict[int, list[Rollout]] = {}
        tokens = [num_samples * (len(prompt.token_ids) + sampling.max_new_tokens) for prompt in prompts]
        for indices, results in self._results(
            self._batches([[index] for index in range(len(prompts))], tokens),
            lambda indices: self.api.generate([prompts[index] for index in indices], num_samples, sampling),
            lambda index, reason: [_empty_response(prompts[index], index, sampling, reason)] * num_samples,
        ):
            for index, group in zip(indices, results, strict=True):
                groups[index] = [replace(rollout, group_id=index) for rollout in group]
                if finished:
                    finished(groups[index])
        return [groups[index] for index in range(len(prompts))]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """A teacher's weights never change."""

    def close(self) -> None:
        """Close all connections."""
        self.pool.close()

    def _results(
        self,
        batches: Iterable[Batch],
        request: Callable[[Sequence[int]], RemoteRequest[list[Result]]],
        failed: Callable[[int, str], Result],
        seconds: float | None = None,
    ) -> Iterator[tuple[Sequence[int], list[Result]]]:
        """Send all batches, then yield indices and results of each as it arrives. If a batch is refused, its groups are
        sent one by one."""
        sent: dict[Future[list[Result]], Batch] = {}
        for batch in batches:
            future = self._send(lambda batch=batch: request(_indices(batch)), seconds)  # type: ignore[misc]
            sent[future] = batch
        for future in as_completed(sent):
            batch = sent[future]
            try:
                yield _indices(batch), future.result()
            except Refused as error:
                if error.splittable and len(batch) > 1:
                    yield from self._results([[group] for group in batch], request, failed, error.seconds_left)
                else:
                    yield _indices(batch), [failed(index, str(error)) for index in _indices(batch)]

    def _send(self, request: Callable[[], RemoteRequest[list[Result]]], seconds: float | None) -> Future[list[Result]]:
        try:
            return self.pool.send(request(), seconds)
        except Refused as error:  # the request cannot be built
            future: Future[list[Result]] = Future()
            future.set_exception(error)
            return future

    def _rounds(self, rollouts: Sequence[Rollout]) -> Iterator[Iterable[Batch]]:
        """Batches to send at the same time, round by round. Rollouts of one prompt go into one batch. If a request
        holds one rollout, the first of each prompt is sent a round ahead and brings the media for the others."""
        groups: dict[int, list[int]] = {}
        for index, rollout in enumerate(rollouts):
            groups.setdefault(id(rollout.prompt), []).append(index)
        if self.api.one_per_request:
            yield [[group[:1]] for group in groups.values()]
            yield [[[index]] for group in groups.values() for index in group[1:]]
        else:
            yield self._batches(list(groups.values()), [rollout.num_tokens for rollout in rollouts])

    def _batches(self, groups: Sequence[Sequence[int]], tokens: Sequence[int]) -> Iterator[Batch]:
        """The groups, in order, in batches of at most `max_tokens`, or fewer so that every server gets a batch."""
        size = min(self.max_tokens, -(-sum(tokens) // len(self.pool.servers)))
        batch: list[Sequence[int]] = []
        remaining = size
        for group in groups:
            cost = sum(tokens[index] for index in group)
            if batch and (cost > remaining or self.api.one_per_request):
                yield batch
                batch, remaining = [], size
            batch.append(group)
            remaining -= cost
        if batch:
            yield batch


def _indices(batch: Batch) -> list[int]:
    return [index for group in batch for index in group]


def _empty_response(prompt: Prompt, group_id: int, sampling: Sampling, reason: str) -> Rollout:
    logger.warning("%s: no teacher answers the prompt: %s", prompt.sample.source, reason)
    return Rollout(
        prompt=prompt,
        group_id=group_id,
        response_ids=torch.zeros(0, dtype=torch.int64),
        logprobs=torch.zeros(0),
        finish_reason=FinishReason.ABORT,
        policy_step=sampling.policy_step,
    )
