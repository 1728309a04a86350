"""Translation between the student's tokens and those of a teacher with its own processor.

The teacher's prompt is encoded from the sample, with media kept, replaced by their captions, or dropped. The response
is translated token by token, if both vocabularies have the token's string (`TokenTranslation`), or as text that the
teacher's tokenizer encodes again (`TextTranslation`). Scores are translated back. Leaves out: scoring.
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

MIN_SHARED = 0.5  # of the student's tokens; with fewer, token by token nearly every response would fail


class Untranslatable(ValueError):
    """A response that the other vocabulary cannot express, and why."""


class Translation(Protocol):
    """Between the student's tokens and the teacher's."""

    def teacher_ids(self, rollout: Rollout) -> Tensor:
        """The student's response in the teacher's ids i64[S]. Raises Untranslatable."""
        ...

    def student_scores(self, rollout: Rollout, teacher_ids: Tensor, scores: TeacherScores) -> TeacherScores:
        """Scores of `teacher_ids`, the translated response, as scores of the student's ids."""
        ...

    def student_ids(self, teacher_ids: Tensor) -> Tensor:
        """A response of the teacher, i64[S], in the student's ids. Raises Untranslatable."""
        ...


def replace_media(sample: Sample, media: MediaFor) -> Sample:
    """The sample with its media as they are, replaced by their captions, or dropped."""
    if media is MediaFor.AS_IS:
        return sample
    captions = media is MediaFor.CAPTION
    return replace(sample, messages=tuple(_text_only(message, captions) for message in sample.messages))


def _text_only(message: Message, captions: bool) -> Message:
    parts = [
        (f"{part.caption}\n" if captions and part.caption else "") if isinstance(part, Media) else part
        for part in message.content
    ]
    return Message(role=message.role, content=tuple(part for part in parts if part))


@final
@dataclass(frozen=True)
class TokenTranslation:
    """By token string. An end-of-turn token that the other vocabulary lacks becomes its own end-of-turn token.

    Raises:
        UserError: the vocabularies have too little in common.
    """

    student: Processor
    teacher: Processor
    name: str

    def __post_init__(self) -> None:
        shared = int((self._to_teacher >= 0).sum()) / max(1, len(self.student.vocabulary.tokens))
        if shared < MIN_SHARED:
            raise UserError(
                f"teacher={self.name}: only {shared:.0%} of the student's tokens are in its vocabulary; set its "
                "reads=TEXT, which aligns another tokenizer by bytes"
            )

    def teacher_ids(self, rollout: Rollout) -> Tensor:
        return self._translated(self._to_teacher, rollout.response_ids, "the teacher")

    def student_ids(self, teacher_ids: Tensor) -> Tensor:
        return self._translated(self._to_student, teacher_ids, "the student")

    def student_scores(self, rollout: Rollout, teacher_ids: Tensor, scores: TeacherScores) -> TeacherScores:
        table = self._to_student
        top_ids = None if scores.top_ids is None else table[scores.top_ids.clamp(max=len(table) - 1)]
        same = torch.equal(scores.token_ids, teacher_ids)
        ids = rollout.response_ids if same else scores.token_ids  # the router rejects scores of other ids
        return replace(scores, token_ids=ids, top_ids=top_ids)

    def _translated(self, table: Tensor, ids: Tensor, target: str) -> Tensor:
        translated = table[ids.clamp(max=len(table) - 1)].masked_fill(ids >= len(table), -1)
        if len(unknown := ids[translated < 0]):
            raise Untranslatable(f"{target} has no token for id {int(unknown[0])}")
        return translated

    @cached_property
    def _to_teacher(self) -> Tensor:
        return _table(self.student.vocabulary, self.teacher)

    @cached_property
    def _to_student(self) -> Tensor:
        return _table(self.teacher.vocabulary, self.student)


def _table(source: Vocabulary, target: Processor) -> Tensor:
    """From source ids to target ids, i64[largest id + 2]; -1 if there is none."""
    known: Mapping[str, int] = target.vocabulary.tokens
    table = torch.full((max(source.tokens.values()) + 2,), -1)
    table[torch.tensor(list(source.tokens.values()))] = torch.tensor([known.get(token, -1) for token in source.tokens])
    stops = torch.tensor(source.stop_ids)
    table[stops] = torch.where(table[stops] < 0, target.encode_response("")[-1], table[stops])
    return table


@final
@dataclass(frozen=True)
class TextTranslation:
    """By text: the response is encoded again, and log-probs are aligned where both tokenizers have a boundary."""

    student: Processor
    teacher: Processor

    def teacher_ids(self, rollout: Rollout) -> Tensor:
        """Raises Untranslatable if the two ids do not stand for the same bytes: a response that ends inside a
        character, or whose text contains a special token of the teacher."""
        ids = self.teacher.encode_response(self.student.decode(rollout.response_ids))
        ids = ids if rollout.finish_reason is FinishReason.STOP else ids[:-1]
        if b"".join(self.student.token_bytes(rollout.response_ids)) != b"".join(self.teacher.token_bytes(ids)):
            raise Untranslatable("the teacher's tokens cannot express the response's bytes")
        return ids

    def student_ids(self, teacher_ids: Tensor) -> Tensor:
        ids = self.student.encode_response(self.teacher.decode(teacher_ids))
        if torch.isin(ids, torch.tensor(self.student.vocabulary.banned_ids, dtype=torch.int64)).any():
            raise Untranslatable("the response contains a token that the student reads as a media placeholder")
        stopped = len(teacher_ids) and int(teacher_ids[-1]) in self.teacher.vocabulary.stop_ids
        return ids if stopped else ids[:-1]

    def student_scores(self, rollout: Rollout, teacher_ids: Tensor, scores: TeacherScores) -> TeacherScores:
        if not torch.equal(scores.token_ids, teacher_ids):
            return scores  # the router rejects scores of other ids
        ended = rollout.finish_reason is FinishReason.STOP
        student_lengths = _lengths(self.student.token_bytes(rollout.response_ids), ended)
        teacher_lengths = _lengths(self.teacher.token_bytes(teacher_ids), ended)
        logprobs = aligned_logprobs(rollout.logprobs, scores.logprobs, student_lengths, teacher_lengths)
        return TeacherScores(teacher=scores.teacher, token_ids=rollout.response_ids, logprobs=logprobs)


def _lengths(pieces: list[bytes], ended: bool) -> Tensor:
    """Bytes of each token. An end of turn counts as one more byte, so that it is its own span."""
    lengths = torch.tensor([len(piece) for piece in pieces], dtype=torch.int64)
    if ended and len(lengths):
        lengths[-1] += 1
    return lengths
