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
from uniopd_mm.distill.spans import aligned_logprobs, span_ends
from uniopd_mm.interfaces import Processor
from uniopd_mm.types import Media, Message, Rollout, Sample, TeacherScores, UserError, Vocabulary

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
        return replace(scores, token_ids=ids, top_ids=top_ids, normalized=self._one_to_one)

    def _translated(self, table: Tensor, ids: Tensor, target: str) -> Tensor:
        translated = table[ids.clamp(max=len(table) - 1)].masked_fill(ids >= len(table), -1)
        if len(unknown := ids[translated < 0]):
            raise Untranslatable(f"{target} has no token for id {int(unknown[0])}")
        return translated

    @cached_property
    def _one_to_one(self) -> bool:
        """Whether no two of the student's tokens become one of the teacher's, whose probability would count twice."""
        known = self._to_teacher[self._to_teacher >= 0]
        return len(known.unique()) == len(known)

    @cached_property
    def _to_teacher(self) -> Tensor:
        return _table(self.student.vocabulary, self.teacher)

    @cached_property
    def _to_student(self) -> Tensor:
        return _table(self.teacher.vocabulary, self.student)


def _table(source: Vocabulary, target: Processor) -> Tensor:
    """From source ids to target ids, i64[largest id + 2]; -1 if there is none. A token that ends a turn of the source
    becomes one that ends a turn of the target: the same string if it does, or else the target's own."""
    known: Mapping[str, int] = target.vocabulary.tokens
    table = torch.full((max(source.tokens.values()) + 2,), -1)
    table[torch.tensor(list(source.tokens.values()))] = torch.tensor([known.get(token, -1) for token in source.tokens])
    stops = torch.tensor(source.stop_ids)
    ends_turn = torch.isin(table[stops], torch.tensor(target.vocabulary.stop_ids))
    table[stops] = torch.where(ends_turn, table[stops], target.encode_response("")[-1])
    return table


@final
@dataclass(frozen=True)
class TextTranslation:
    """By text: the response is encoded again, and log-probs are aligned where both tokenizers have a boundary.

    Whether a response ends its turn is told by its last token alone, not by its finish reason: a stop string ends a
    response without an end-of-turn token, and a length limit may cut right behind one. Either side's own end-of-turn
    token stands for the other's, whichever of several it is.
    """

    student: Processor
    teacher: Processor

    def teacher_ids(self, rollout: Rollout) -> Tensor:
        """Raises Untranslatable if the two ids do not stand for the same bytes: a response that ends inside a
        character, that contains a special token of the student, or whose text contains one of the teacher."""
        body, ended = _without_end(rollout.response_ids, self.student.vocabulary)
        pieces = self.student.token_bytes(body)
        if (silent := self._silent(body, pieces)) is not None:
            raise Untranslatable(f"id {silent} of the student, inside the response, stands for no text")
        ids = self.teacher.encode_response(self.student.decode(body))
        if b"".join(pieces) != b"".join(self.teacher.token_bytes(ids[:-1])):
            raise Untranslatable("the teacher's tokens cannot express the response's bytes")
        return ids if ended else ids[:-1]

    def student_ids(self, teacher_ids: Tensor) -> Tensor:
        body, ended = _without_end(teacher_ids, self.teacher.vocabulary)
        ids = self.student.encode_response(self.teacher.decode(body))
        if torch.isin(ids, torch.tensor(self.student.vocabulary.banned_ids, dtype=torch.int64)).any():
            raise Untranslatable("the response contains a token that the student reads as a media placeholder")
        return ids if ended else ids[:-1]

    def student_scores(self, rollout: Rollout, teacher_ids: Tensor, scores: TeacherScores) -> TeacherScores:
        if not torch.equal(scores.token_ids, teacher_ids):
            return scores  # the router rejects scores of other ids
        body, ended = _without_end(rollout.response_ids, self.student.vocabulary)
        student_lengths = _lengths(self.student.token_bytes(body), ended)
        teacher_lengths = _lengths(self.teacher.token_bytes(teacher_ids[:-1] if ended else teacher_ids), ended)
        logprobs = aligned_logprobs(rollout.logprobs, scores.logprobs, student_lengths, teacher_lengths)
        return TeacherScores(
            teacher=scores.teacher,
            token_ids=rollout.response_ids,
            logprobs=logprobs,
            span_ends=span_ends(student_lengths, teacher_lengths),
            normalized=False,
        )

    def _silent(self, ids: Tensor, pieces: list[bytes]) -> int | None:
        """The first id that the text leaves out: a special token, or one without a token. A tokenizer may leave out the
        space that it puts before a text, too; that one belongs to the text."""
        shown = self.student.pieces(ids)
        return next(
            (
                index
                for index, piece, name in zip(ids.tolist(), pieces, shown, strict=True)
                if not piece and (name.strip() or index not in self._known)
            ),
            None,
        )

    @cached_property
    def _known(self) -> frozenset[int]:
        return frozenset(self.student.vocabulary.tokens.values())


def _without_end(ids: Tensor, vocabulary: Vocabulary) -> tuple[Tensor, bool]:
    """The ids before the end-of-turn token, and whether there is one."""
    ended = len(ids) > 0 and int(ids[-1]) in vocabulary.stop_ids
    return (ids[:-1] if ended else ids), ended


def _lengths(pieces: list[bytes], ended: bool) -> Tensor:
    """Bytes of each token. An end of turn counts as one byte, so that it is its own span."""
    return torch.tensor([*map(len, pieces), *([1] if ended else [])], dtype=torch.int64)
