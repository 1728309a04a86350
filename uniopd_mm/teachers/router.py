"""Sends every rollout to its teachers, checks that what came back speaks of what was sent, and puts several teachers'
scores of one rollout together."""

from collections.abc import Mapping, Sequence
from typing import final

import torch

from uniopd_mm.interfaces import Teacher
from uniopd_mm.teachers.routes import Routes
from uniopd_mm.types import Failure, Rollout, TeacherScores


@final
class TeacherRouter:
    """The teachers of a run as one.

    Args:
        teachers: by name.
        routes: who teaches what.
    """

    def __init__(self, teachers: Mapping[str, Teacher], routes: Routes) -> None:
        self.teachers = teachers
        self.routes = routes

    def overlaps(self, rollout: Rollout) -> bool:
        """Whether all who teach it compute elsewhere."""
        return all(self.teachers[name].overlaps for name in self.routes.of(rollout.prompt.sample))

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """One entry per rollout, in order; scores of other tokens than the sampled ones become failures.

        Raises:
            UserError: a rollout that nobody teaches.
        """
        weights = [self.routes.of(rollout.prompt.sample) for rollout in rollouts]
        scores: list[dict[str, TeacherScores | Failure]] = [{} for _ in rollouts]
        for name, teacher in self.teachers.items():
            indices = [index for index, wanted in enumerate(weights) if name in wanted]
            chosen = [rollouts[index] for index in indices]
            for index, rollout, answer in zip(indices, chosen, teacher.score(chosen) if chosen else (), strict=True):
                scores[index][name] = verified(rollout, answer)
        return [combined(answers, wanted) for answers, wanted in zip(scores, weights, strict=True)]


def combined(scores: Mapping[str, TeacherScores | Failure], weights: Mapping[str, float]) -> TeacherScores | Failure:
    """Scores of one response by several teachers: the weighted mean of their log-probs, whose reward is the weighted
    mean of their rewards and whose gradient is that of sum_k w_k KL(pi || pi_k). Of distributions only the mean
    entropy is kept. One that failed fails all: the others' mean would be another objective."""
    if len(scores) == 1:
        return next(iter(scores.values()))
    answers: list[TeacherScores] = []
    for answer in scores.values():
        if isinstance(answer, Failure):
            return answer
        answers.append(answer)
    shares = torch.tensor([weights[name] for name in scores])
    entropies = [answer.entropy for answer in answers if answer.entropy is not None]
    return TeacherScores(
        teacher="+".join(answer.teacher for answer in answers),
        token_ids=answers[0].token_ids,
        logprobs=shares @ torch.stack([answer.logprobs for answer in answers]),
        entropy=shares @ torch.stack(entropies) if len(entropies) == len(answers) else None,
    )


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
