"""Sends every rollout to its teachers, checks that the scores are of the tokens that were sent, and combines the scores
of several teachers."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from uniopd_mm.interfaces import Teacher
from uniopd_mm.teachers.routes import Routes
from uniopd_mm.types import Failure, Rollout, TeacherScores

ROUNDING = 1e-3  # nats above 0 that rounding may give a log-prob
NAN = "NaN log-probs"


@final
class TeacherRouter:
    """Several teachers as one.

    Args:
        teachers: by name.
        routes: which teachers teach which sample.
        temperature: of their distributions.
    """

    def __init__(self, teachers: Mapping[str, Teacher], routes: Routes, temperature: float) -> None:
        self.teachers = teachers
        self.routes = routes
        self.temperature = temperature

    def overlaps(self, rollout: Rollout) -> bool:
        """Whether all teachers of the rollout run outside this process (see `Teacher.overlaps`)."""
        return all(self.teachers[name].overlaps for name in self.routes.weights(rollout.prompt.sample))

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """One entry per rollout, in order; scores of other tokens than the sampled ones become failures.

        Raises:
            UserError: a rollout without a teacher.
        """
        weights = [self.routes.weights(rollout.prompt.sample) for rollout in rollouts]
        scores: list[dict[str, TeacherScores | Failure]] = [{} for _ in rollouts]
        for name, teacher in self.teachers.items():
            indices = [index for index, by_teacher in enumerate(weights) if name in by_teacher]
            chosen = [rollouts[index] for index in indices]
            found = teacher.score(chosen, self.temperature) if chosen else ()
            for index, rollout, score in zip(indices, chosen, found, strict=True):
                scores[index][name] = verified(rollout, score)
        return [combined(*pair) for pair in zip(scores, weights, strict=True)]


def combined(scores: Mapping[str, TeacherScores | Failure], weights: Mapping[str, float]) -> TeacherScores | Failure:
    """Scores of one response by several teachers, by name: the weighted mean of their log-probs. Its reward is the
    weighted mean of their rewards, its gradient that of sum_k w_k KL(pi || pi_k). Of their distributions only the mean
    entropy is kept; spans end where those of all teachers do. If one teacher failed, the result is its failure: the
    mean of the others is another objective."""
    if len(scores) == 1:
        return next(iter(scores.values()))
    valid: list[TeacherScores] = []
    for score in scores.values():
        if isinstance(score, Failure):
            return score
        valid.append(score)
    shares = torch.tensor([weights[name] for name in scores])
    entropies = [score.entropy for score in valid if score.entropy is not None]
    ends = [score.span_ends for score in valid if score.span_ends is not None]
    return TeacherScores(
        teacher="+".join(score.teacher for score in valid),
        token_ids=valid[0].token_ids,
        logprobs=shares @ torch.stack([score.logprobs for score in valid]),
        entropy=shares @ torch.stack(entropies) if len(entropies) == len(valid) else None,
        span_ends=torch.stack(ends).all(0) if ends else None,
        normalized=False,
    )


def verified(rollout: Rollout, scores: TeacherScores | Failure) -> TeacherScores | Failure:
    """The scores, if they are of exactly the sampled ids and can be log-probs; otherwise a failure that names the first
    difference. Of log-probs only the sum is checked: that of a text span is spread over its tokens, where one may be
    above 0. The engines check each log-prob of a teacher's own tokens (`impossible`)."""
    if isinstance(scores, Failure):
        return scores
    if len(scores.token_ids) != len(rollout.response_ids):
        reason = f"scored {len(scores.token_ids)} tokens of {len(rollout.response_ids)}"
        return Failure(teacher=scores.teacher, reason=reason)
    differing = (scores.token_ids != rollout.response_ids).nonzero()
    if len(differing):
        first = int(differing[0])
        scored, sampled = int(scores.token_ids[first]), int(rollout.response_ids[first])
        reason = f"token {first} scored as id {scored}, sampled as {sampled}"
        return Failure(teacher=scores.teacher, reason=reason)
    if len(scores.logprobs) != len(scores.token_ids):
        return Failure(teacher=scores.teacher, reason="log-probs are missing")
    total = scores.logprobs.double().sum()
    if total.isnan():
        return Failure(teacher=scores.teacher, reason=NAN)
    if total > ROUNDING * len(scores.logprobs):
        return Failure(teacher=scores.teacher, reason=f"log-probs add up to {float(total):.3g}, above 0")
    return scores


def verified_tokens(rollout: Rollout, scores: TeacherScores | Failure) -> TeacherScores | Failure:
    """Like `verified`, for a teacher's scores of its own tokens: each log-prob is checked."""
    checked = verified(rollout, scores)
    fault = impossible(checked.logprobs) if isinstance(checked, TeacherScores) else None
    return Failure(teacher=scores.teacher, reason=fault) if fault else checked


def impossible(logprobs: Tensor) -> str | None:
    """Why f32[R] cannot be log-probs of a teacher's own tokens, or None if they can. -inf can: probability 0."""
    if logprobs.isnan().any():
        return NAN
    above = (logprobs > ROUNDING).nonzero()
    return f"log-prob {float(logprobs[above[0, 0]]):.3g} of token {int(above[0, 0])} is above 0" if len(above) else None
