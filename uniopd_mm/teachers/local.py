"""A teacher that lives in this process: one forward pass over exactly the sampled ids and the prompt's media."""

from collections.abc import Sequence
from typing import final

import torch

from uniopd_mm.backbone import Backbone
from uniopd_mm.data.collate import collate_rollouts, to_device
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.types import Failure, Rollout, TeacherScores, UserError, Vocabulary


@final
class LocalTeacher:
    """Scores with a local checkpoint that reads the student's token ids.

    Args:
        name: stands in records and tables.
        backbone: the expert; its distribution is taken at temperature 1, as an inference server would report it.
        vocabulary: of the expert's processor, compared with the student's by `check_vocabulary`.
        max_tokens: padded tokens scored at a time.
    """

    def __init__(self, name: str, backbone: Backbone, vocabulary: Vocabulary, *, max_tokens: int = 16384) -> None:
        self._name = name
        self.backbone = backbone.eval().requires_grad_(False)
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens

    @property
    def name(self) -> str:
        return self._name

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """See `Teacher.score`."""
        unknown = {index: self._unknown_id(rollout) for index, rollout in enumerate(rollouts)}
        scores: dict[int, TeacherScores | Failure] = {i: failure for i, failure in unknown.items() if failure}
        readable = [index for index in unknown if index not in scores]
        lengths = [len(rollouts[index].prompt.token_ids) + len(rollouts[index].response_ids) for index in readable]
        for part in by_token_budget(lengths, self.max_tokens):
            indices = [readable[place] for place in part]
            scores |= dict(zip(indices, self._score_or_fail([rollouts[i] for i in indices]), strict=True))
        return [scores[index] for index in range(len(rollouts))]

    def _unknown_id(self, rollout: Rollout) -> Failure | None:
        """The padded rows of an embedding can be sampled, and a family's sizes pad differently."""
        unknown = rollout.response_ids[rollout.response_ids >= self.backbone.vocab_size]
        if not len(unknown):
            return None
        reason = f"id {int(unknown[0])} is beyond the teacher's {self.backbone.vocab_size} ids"
        return Failure(teacher=self.name, reason=reason)

    def _score_or_fail(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        try:
            return self._score_batch(rollouts)
        except torch.OutOfMemoryError:
            reason = f"out of memory on {len(rollouts)} sequences; lower teacher.max_tokens={self.max_tokens}"
            return [Failure(teacher=self.name, reason=reason) for _ in rollouts]

    @torch.no_grad()
    def _score_batch(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        tokens = to_device(collate_rollouts(rollouts, self.vocabulary.pad_id), self.backbone.device)
        logprobs, _ = self.backbone(tokens, temperature=1.0)
        return [
            self._scores(ids[mask].cpu(), values[mask].cpu())
            for ids, values, mask in zip(tokens.input_ids, logprobs, tokens.loss_mask, strict=True)
        ]

    def _scores(self, ids: torch.Tensor, logprobs: torch.Tensor) -> TeacherScores | Failure:
        if logprobs.isnan().any():
            return Failure(teacher=self.name, reason="NaN log-probs")
        return TeacherScores(teacher=self.name, token_ids=ids, logprobs=logprobs)


def check_vocabulary(student: Vocabulary, teacher: Vocabulary, teacher_name: str) -> None:
    """Refuse a teacher that would read the student's ids as other tokens.

    Raises:
        UserError: a token of the student's that the teacher lacks or numbers otherwise.
    """
    differing = [token for token, index in student.tokens.items() if teacher.tokens.get(token) != index]
    if differing:
        token = differing[0]
        raise UserError(
            f"teacher={teacher_name}: {len(differing)} tokens differ from the student's vocabulary, first {token!r} "
            f"({student.tokens[token]} for the student, {teacher.tokens.get(token)} for the teacher); "
            "choose a teacher with the student's tokenizer"
        )
