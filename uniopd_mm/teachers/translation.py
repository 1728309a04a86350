"""A student's rollout as a teacher with a processor of its own reads it, and its scores in the student's tokens.

The prompt is made anew from the sample: media as they are, replaced by their captions, or left out. The response is
carried over token by token where both vocabularies have the token's string (`TokenTranslation`), or as text in the
teacher's own tokens (`TextTranslation`). Leaves out: scoring.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, final

import torch
from torch import Tensor

from uniopd_mm.config.parts import MediaFor
from uniopd_mm.distill.spans import aligned_logprobs
from uniopd_mm.interfaces import Processor
from uniopd_mm.types import FinishReason, Media, Message, Rollout, Sample, TeacherScores, UserError, Vocabulary

LEAST_SHARED = 0.5  # of the student's tokens; with fewer, a translation token by token would fail nearly everywhere


class Untranslatable(ValueError):
    """A response that the teacher cannot be shown, and why."""


class Translation(Protocol):
    """From the student's tokens to the teacher's and back."""

    def response(self, rollout: Rollout) -> Tensor:
        """The teacher's ids i64[S] of the response. Raises Untranslatable."""
        ...

    def scores(self, rollout: Rollout, response: Tensor, scores: TeacherScores) -> TeacherScores:
        """`scores` of the teacher's ids `response` as scores of the student's ids."""
        ...

    def written(self, response: Tensor) -> Tensor:
        """The student's ids of a response i64[S] that the teacher wrote. Raises Untranslatable."""
        ...


def described(sample: Sample, media: MediaFor) -> Sample:
    """The sample with its media as they are, or each replaced by its caption, which may be nothing."""
    if media is MediaFor.AS_IS:
        return sample
    keep = media is MediaFor.CAPTION
    return replace(sample, messages=tuple(_told(message, keep) for message in sample.messages))


def _told(message: Message, keep_captions: bool) -> Message:
    parts = [
        (f"{part.caption}\n" if keep_captions and part.caption else "") if isinstance(part, Media) else part
        for part in message.content
    ]
    return Message(role=message.role, content=tuple(part for part in parts if part))


@final
@dataclass(frozen=True)
class TokenTranslation:
    """By token string. The student's end-of-turn tokens that the teacher does not know become the teacher's own.

    Raises:
        UserError: the vocabularies have too little in common.
    """

    student: Processor
    teacher: Processor
    name: str

    def __post_init__(self) -> None:
        shared = int((self._forth >= 0).sum()) / max(1, len(self.student.vocabulary.tokens))
        if shared < LEAST_SHARED:
            raise UserError(
                f"teacher={self.name}: it knows {shared:.0%} of the student's tokens by their strings; set its "
                "reads=TEXT, which aligns another tokenizer by bytes"
            )

    def response(self, rollout: Rollout) -> Tensor:
        return self._carried(self._forth, rollout.response_ids, "the teacher")

    def written(self, response: Tensor) -> Tensor:
        return self._carried(self._back, response, "the student")

    def scores(self, rollout: Rollout, response: Tensor, scores: TeacherScores) -> TeacherScores:
        top_ids = None if scores.top_ids is None else self._back[scores.top_ids.clamp(max=len(self._back) - 1)]
        same = torch.equal(scores.token_ids, response)
        ids = rollout.response_ids if same else scores.token_ids  # what was not sent is for the router to refuse
        return replace(scores, token_ids=ids, top_ids=top_ids)

    def _carried(self, table: Tensor, ids: Tensor, reader: str) -> Tensor:
        known = table[ids.clamp(max=len(table) - 1)].masked_fill(ids >= len(table), -1)
        if len(unknown := ids[known < 0]):
            raise Untranslatable(f"{reader} has no token for id {int(unknown[0])}")
        return known

    @cached_property
    def _forth(self) -> Tensor:
        return _table(self.student.vocabulary, self.teacher)

    @cached_property
    def _back(self) -> Tensor:
        return _table(self.teacher.vocabulary, self.student)


def _table(source: Vocabulary, target: Processor) -> Tensor:
    """The target's id of each of the source's, i64[largest id + 2]; -1 where there is none."""
    known: Mapping[str, int] = target.vocabulary.tokens
    table = torch.full((max(source.tokens.values()) + 2,), -1)
    table[torch.tensor(list(source.tokens.values()))] = torch.tensor([known.get(token, -1) for token in source.tokens])
    stops = torch.tensor(source.stop_ids)
    table[stops] = torch.where(table[stops] < 0, target.encode_response("")[-1], table[stops])
    return table


@final
@dataclass(frozen=True)
class TextTranslation:
    """By text: the response is encoded anew, and log-probs are aligned where both tokenizers have a boundary."""

    student: Processor
    teacher: Processor

    def response(self, rollout: Rollout) -> Tensor:
        """Raises Untranslatable where the two do not spell the same bytes: a token cut inside a character, or a text
        that spells a special token of the teacher's."""
        ids = self.teacher.encode_response(self.student.decode(rollout.response_ids))
        ids = ids if rollout.finish_reason is FinishReason.STOP else ids[:-1]
        if b"".join(self.student.token_bytes(rollout.response_ids)) != b"".join(self.teacher.token_bytes(ids)):
            raise Untranslatable("the response's bytes are no text that the teacher can be given")
        return ids

    def written(self, response: Tensor) -> Tensor:
        ids = self.student.encode_response(self.teacher.decode(response))
        if torch.isin(ids, torch.tensor(self.student.vocabulary.banned_ids, dtype=torch.int64)).any():
            raise Untranslatable("the answer spells a token that the student reads as the place of a medium")
        stopped = len(response) and int(response[-1]) in self.teacher.vocabulary.stop_ids
        return ids if stopped else ids[:-1]

    def scores(self, rollout: Rollout, response: Tensor, scores: TeacherScores) -> TeacherScores:
        if not torch.equal(scores.token_ids, response):
            return scores  # of other ids than were sent: for the router to refuse
        ended = rollout.finish_reason is FinishReason.STOP
        mine = _lengths(self.student.token_bytes(rollout.response_ids), ended)
        theirs = _lengths(self.teacher.token_bytes(response), ended)
        logprobs = aligned_logprobs(rollout.logprobs, scores.logprobs, mine, theirs)
        return TeacherScores(teacher=scores.teacher, token_ids=rollout.response_ids, logprobs=logprobs)


def _lengths(pieces: list[bytes], ended: bool) -> Tensor:
    """Bytes of each token; an end of turn counts as one byte more, so that it is a span of its own."""
    lengths = torch.tensor([len(piece) for piece in pieces], dtype=torch.int64)
    if ended and len(lengths):
        lengths[-1] += 1
    return lengths
