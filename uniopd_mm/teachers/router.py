"""Which teacher scores which rollout, and the check that what came back speaks of what was sent."""

from collections.abc import Mapping, Sequence
from typing import final

import torch

from uniopd_mm.interfaces import Teacher
from uniopd_mm.types import Failure, Rollout, TeacherScores, UserError


@final
class TeacherRouter:
    """Sends each rollout to the expert of its prompt's domain.

    Args:
        teachers: by domain.
    """

    def __init__(self, teachers: Mapping[str, Teacher]) -> None:
        self.teachers = teachers

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """One entry per rollout, in order; scores of other tokens than the sampled ones become failures.

        Raises:
            UserError: a domain without a teacher.
        """
        scores: dict[int, TeacherScores | Failure] = {}
        for domain, indices in self._by_domain(rollouts).items():
            chosen = [rollouts[index] for index in indices]
            answers = self._teacher(domain).score(chosen)
            scores |= {i: verified(r, s) for i, r, s in zip(indices, chosen, answers, strict=True)}
        return [scores[index] for index in range(len(rollouts))]

    def _by_domain(self, rollouts: Sequence[Rollout]) -> Mapping[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for index, rollout in enumerate(rollouts):
            groups.setdefault(rollout.prompt.sample.domain, []).append(index)
        return groups

    def _teacher(self, domain: str) -> Teacher:
        if domain not in self.teachers:
            known = ", ".join(sorted(self.teachers))
            raise UserError(f"teacher: no teacher for domain {domain!r}; the configured domains are {known}")
        return self.teachers[domain]


def verified(rollout: Rollout, scores: TeacherScores | Failure) -> TeacherScores | Failure:
    """The scores, if they are of the sampled ids one by one; else a failure that says where they part."""
    if isinstance(scores, Failure):
        return scores
    if len(scores.token_ids) != len(rollout.response_ids):
        reason = f"scored {len(scores.token_ids)} tokens of {len(rollout.response_ids)}"
        return Failure(teacher=scores.teacher, reason=reason)
    differing = (scores.token_ids != rollout.response_ids).nonzero()
    if len(differing):
        at = int(differing[0])
        reason = f"token {at} scored as id {int(scores.token_ids[at])}, sampled as {int(rollout.response_ids[at])}"
        return Failure(teacher=scores.teacher, reason=reason)
    if len(scores.logprobs) != len(scores.token_ids) or torch.isnan(scores.logprobs).any():
        return Failure(teacher=scores.teacher, reason="log-probs are missing or NaN")
    return scores
