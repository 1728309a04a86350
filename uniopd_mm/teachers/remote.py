"""A teacher on servers elsewhere, as scorer and as writer: nothing raises, nothing is lost, nothing hangs."""

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
Answer = TypeVar("Answer")
Part = Sequence[Sequence[int]]  # units that travel together, each the places of rollouts or prompts that must


class Dialect(Protocol):
    """What servers speak: requests written, and answers read."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def identity(self) -> Identity | None: ...

    @property
    def one_by_one(self) -> bool:
        """Whether a request holds one response only."""
        ...

    def score(self, rollouts: Sequence[Rollout]) -> RemoteRequest[list[TeacherScores | Failure]]: ...

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling
    ) -> RemoteRequest[list[list[Rollout]]]: ...


@final
class RemoteTeacher:
    """Asks a pool of servers; from several threads at once.

    Args:
        name: stands in records and tables.
        pool: of servers that run the same teacher.
        dialect: that they speak.
        max_tokens: of prompts and responses in one request, where they fit together.
    """

    def __init__(self, name: str, pool: Pool, dialect: Dialect, *, max_tokens: int) -> None:
        self._name = name
        self.pool = pool
        self.dialect = dialect
        self.max_tokens = max_tokens

    @classmethod
    def connect(
        cls, plan: TeacherConfig, key: str, top_k: int = 0, vocabulary: Vocabulary | None = None
    ) -> "RemoteTeacher":
        """The teacher that `plan.urls` serve. `vocabulary` is of what it will be sent; None where it is not compared.

        Raises:
            UserError: none can be reached, they are not the same teacher, or do not say what is asked; `key` names the
                configuration's place.
        """
        token = os.environ.get(plan.remote.token_env)
        pool = Pool(plan.urls, plan.remote, {"authorization": f"Bearer {token}".encode()} if token else {})
        try:
            dialect = handshake(pool, plan, key, top_k, vocabulary)
        except UserError:
            pool.close()
            raise
        return cls(plan.name, pool, dialect, max_tokens=plan.max_tokens)

    @property
    def name(self) -> str:
        return self._name

    @property
    def overlaps(self) -> bool:
        return True

    @property
    def vocab_size(self) -> int:
        """How many ids the model knows."""
        return self.dialect.vocab_size

    @property
    def identity(self) -> Identity | None:
        """What the servers say of themselves; None where they cannot."""
        return self.dialect.identity

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """See `Teacher.score`."""
        scores: dict[int, TeacherScores | Failure] = {}
        for wave in self._waves(rollouts):
            for places, answers in self._delivered(
                wave,
                lambda places: self.dialect.score([rollouts[place] for place in places]),
                lambda _, reason: Failure(teacher=self.name, reason=reason),
            ):
                scores |= zip(places, answers, strict=True)
        return [scores[place] for place in range(len(rollouts))]

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`. A prompt that nobody answers has empty responses of reason ABORT."""
        groups: dict[int, list[Rollout]] = {}
        tokens = [num_samples * (len(prompt.token_ids) + sampling.max_new_tokens) for prompt in prompts]
        for places, answers in self._delivered(
            self._packed([[place] for place in range(len(prompts))], tokens),
            lambda places: self.dialect.generate([prompts[place] for place in places], num_samples, sampling),
            lambda place, reason: [_nothing(prompts[place], place, sampling, reason)] * num_samples,
        ):
            for place, group in zip(places, answers, strict=True):
                groups[place] = [replace(rollout, group_id=place) for rollout in group]
                if finished:
                    finished(groups[place])
        return [groups[place] for place in range(len(prompts))]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Teachers do not change."""

    def close(self) -> None:
        """End all connections."""
        self.pool.close()

    def _delivered(
        self,
        parts: Iterable[Part],
        request: Callable[[Sequence[int]], RemoteRequest[list[Answer]]],
        failed: Callable[[int, str], Answer],
        seconds: float | None = None,
    ) -> Iterator[tuple[Sequence[int], list[Answer]]]:
        """Answers as they come, with the places they are for. What is refused together is tried apart."""
        sent: dict[Future[list[Answer]], Part] = {}
        for part in parts:
            future = self._sent(lambda part=part: request(_places(part)), seconds)  # type: ignore[misc]
            sent[future] = part
        for future in as_completed(sent):
            part = sent[future]
            try:
                yield _places(part), future.result()
            except Refused as error:
                if error.alone and len(part) > 1:
                    yield from self._delivered([[unit] for unit in part], request, failed, error.seconds_left)
                else:
                    yield _places(part), [failed(place, str(error)) for place in _places(part)]

    def _sent(self, request: Callable[[], RemoteRequest[list[Answer]]], seconds: float | None) -> Future[list[Answer]]:
        try:
            return self.pool.send(request(), seconds)
        except Refused as error:  # what cannot even be asked
            future: Future[list[Answer]] = Future()
            future.set_exception(error)
            return future

    def _waves(self, rollouts: Sequence[Rollout]) -> Iterator[Iterable[Part]]:
        """Parts that travel together, each wave after the one before it. Rollouts of a prompt stay together; where
        each goes alone, its first brings the media for the others."""
        groups: dict[int, list[int]] = {}
        for place, rollout in enumerate(rollouts):
            groups.setdefault(id(rollout.prompt), []).append(place)
        if self.dialect.one_by_one:
            yield [[group[:1]] for group in groups.values()]
            yield [[[place]] for group in groups.values() for place in group[1:]]
        else:
            yield self._packed(list(groups.values()), [rollout.num_tokens for rollout in rollouts])

    def _packed(self, units: Sequence[Sequence[int]], tokens: Sequence[int]) -> Iterator[Part]:
        """Units, end to end, in parts of `max_tokens`, or less where there are servers without one."""
        size = min(self.max_tokens, -(-sum(tokens) // len(self.pool.servers)))
        part: list[Sequence[int]] = []
        room = size
        for unit in units:
            cost = sum(tokens[place] for place in unit)
            if part and (cost > room or self.dialect.one_by_one):
                yield part
                part, room = [], size
            part.append(unit)
            room -= cost
        if part:
            yield part


def _places(part: Part) -> list[int]:
    return [place for unit in part for place in unit]


def _nothing(prompt: Prompt, place: int, sampling: Sampling, reason: str) -> Rollout:
    logger.warning("%s: no teacher answers the prompt: %s", prompt.sample.source, reason)
    return Rollout(
        prompt=prompt,
        group_id=place,
        response_ids=torch.zeros(0, dtype=torch.int64),
        logprobs=torch.zeros(0),
        finish_reason=FinishReason.ABORT,
        policy_step=sampling.policy_step,
    )
