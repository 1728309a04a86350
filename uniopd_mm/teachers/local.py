"""A teacher in this process: one forward pass over exactly the sampled ids and the prompt's media."""

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from uniopd_mm.data.collate import collate_rollouts, to_device
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.distill.likeliest import likeliest_tokens
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.teachers.router import impossible
from uniopd_mm.types import Failure, Head, Rollout, TeacherScores, UserError, Vocabulary


@final
class LocalTeacher:
    """Scores with a local checkpoint that reads the student's token ids.

    Args:
        name: of the teacher, in records and tables.
        backbone: its model.
        vocabulary: of its processor; `check_vocabulary` compares it with the student's.
        max_tokens: padded tokens scored at a time.
        top_k: likeliest tokens that each score includes; 0 for none.
        keep_hidden: whether scores include the hidden states of whole distributions, in the dtype of the backbone.
    """

    def __init__(
        self,
        name: str,
        backbone: Backbone,
        vocabulary: Vocabulary,
        *,
        max_tokens: int = 16384,
        top_k: int = 0,
        keep_hidden: bool = False,
    ) -> None:
        self._name = name
        self.backbone = backbone.eval().requires_grad_(False)
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens
        self.top_k = top_k
        self.keep_hidden = keep_hidden

    @property
    def name(self) -> str:
        return self._name

    @property
    def overlaps(self) -> bool:
        return False

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        """See `Teacher.score`."""
        unknown = {index: self._unknown_id(rollout) for index, rollout in enumerate(rollouts)}
        scores: dict[int, TeacherScores | Failure] = {i: failure for i, failure in unknown.items() if failure}
        readable = [index for index in unknown if index not in scores]
        lengths = [rollouts[index].num_tokens for index in readable]
        for batch in by_token_budget(lengths, self.max_tokens):
            indices = [readable[position] for position in batch]
            scored = self._score_or_fail([rollouts[index] for index in indices], temperature)
            scores |= dict(zip(indices, scored, strict=True))
        return [scores[index] for index in range(len(rollouts))]

    def _unknown_id(self, rollout: Rollout) -> Failure | None:
        """A student can sample padding rows of its embedding, and models of one family pad to different sizes."""
        unknown = rollout.response_ids[rollout.response_ids >= self.backbone.vocab_size]
        if not len(unknown):
            return None
        reason = f"id {int(unknown[0])} is beyond the teacher's {self.backbone.vocab_size} ids"
        return Failure(teacher=self.name, reason=reason)

    def _score_or_fail(self, rollouts: Sequence[Rollout], temperature: float) -> list[TeacherScores | Failure]:
        try:
            return self._score_batch(rollouts, temperature)
        except torch.OutOfMemoryError:
            reason = f"out of memory on {len(rollouts)} sequences; lower teacher.max_tokens={self.max_tokens}"
            return [Failure(teacher=self.name, reason=reason) for _ in rollouts]

    @torch.no_grad()
    def _score_batch(self, rollouts: Sequence[Rollout], temperature: float) -> list[TeacherScores | Failure]:
        tokens = to_device(collate_rollouts(rollouts, self.vocabulary.pad_id), self.backbone.device)
        columns = [tokens.input_ids[tokens.loss_mask], *self.backbone(tokens, temperature, self._read)]
        lengths = tokens.loss_mask.sum(-1).tolist()
        return [self._scores(*row) for row in zip(*(values.cpu().split(lengths) for values in columns), strict=True)]

    def _read(self, states: Tensor, head: Head, targets: Tensor, **settings: Any) -> tuple[Tensor, ...]:
        """Log-probs and entropies f32[M], likeliest tokens i64[M, K] and their log-probs f32[M, K], states [M, G]."""
        kept = states if self.keep_hidden else states[:, :0]
        return *likeliest_tokens(states, head, targets, top_k=max(1, self.top_k), **settings), kept

    def _scores(
        self, ids: Tensor, logprobs: Tensor, entropy: Tensor, top_ids: Tensor, top_logprobs: Tensor, hidden: Tensor
    ) -> TeacherScores | Failure:
        if fault := impossible(logprobs):
            return Failure(teacher=self.name, reason=fault)
        return TeacherScores(
            teacher=self.name,
            token_ids=ids,
            logprobs=logprobs,
            entropy=entropy,
            top_ids=top_ids[:, 0],
            topk_ids=top_ids if self.top_k else None,
            topk_logprobs=top_logprobs if self.top_k else None,
            hidden=hidden if self.keep_hidden else None,
            head=self.backbone.head if self.keep_hidden else None,
        )


def check_vocabulary(student: Vocabulary, teacher: Vocabulary, teacher_name: str) -> None:
    """Refuse a teacher that would read the student's ids as other tokens.

    Raises:
        UserError: the teacher lacks a token of the student, or gives it another id.
    """
    differing = [token for token, index in student.tokens.items() if teacher.tokens.get(token) != index]
    if differing:
        token = differing[0]
        raise UserError(
            f"teacher={teacher_name}: {len(differing)} tokens differ from the student's vocabulary, first {token!r} "
            f"({student.tokens[token]} for the student, {teacher.tokens.get(token)} for the teacher); "
            "choose a teacher with the student's tokenizer"
        )
