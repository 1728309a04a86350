"""The inputs of calibration, balancing and diagnostics: per token on one process, per trajectory over all processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from uniopd_mm.distill.advantages import k3
from uniopd_mm.distill.calibration import distillation_return
from uniopd_mm.distill.spans import span_sums
from uniopd_mm.types import Failure, FinishReason, TeacherScores, Trajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """The tensors that a recipe computes with, for N trajectories, aligned to their responses.

    `old_logprobs` f32[N, R] (the trainer's or the engine's), and `teacher_logprobs` and `base_logprobs` where needed,
    are zero outside `mask` bool[N, R]. Where a teacher failed, the row of `mask` is all False and `teachable` bool[N]
    is False. `correct` and
    `incorrect` bool[N] are both False for an unknown outcome; `outcome_rewards` f32[N]; `group_ids` i64[N]. `span_ends`
    bool[N, R] has the spans of all teachers (see `TeacherScores`); None: every token is its own.
    """

    mask: Tensor
    old_logprobs: Tensor
    teacher_logprobs: Tensor | None
    base_logprobs: Tensor | None
    teachable: Tensor
    correct: Tensor
    incorrect: Tensor
    outcome_rewards: Tensor
    group_ids: Tensor
    span_ends: Tensor | None = None

    def over_spans(self, rewards: Tensor) -> Tensor:
        """Token rewards f32[N, R] as advantages: each token gets the reward of its whole span."""
        return rewards if self.span_ends is None else span_sums(rewards, self.span_ends)

    @property
    def log_ratio(self) -> Tensor:
        """log pi_T - log pi_old f32[N, R]; -inf for tokens of teacher probability 0."""
        assert self.teacher_logprobs is not None
        return self.teacher_logprobs - self.old_logprobs


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSamples:
    """One entry per trajectory of a step, over all processes: the input of all statistics.

    bool[N]: `correct`, `incorrect`, `truncated`, `scored` (the teacher's reward is finite for at least one token),
    `failed` (a teacher did not score it) and `normalized` (k3 estimates a KL). i64[N]: `group_ids`, `prompt_lengths`,
    `lengths` (response tokens) and `ruled_out` (tokens of teacher probability 0). f64[N]: `returns` is the distillation
    return G, 0 without scores. `reverse_kl`, `reverse_kl_k3` and `teacher_entropy` are sums over a response's scored
    tokens, without those ruled out. k3 is unbiased only for tokens drawn from one distribution and scored by another:
    not for a mean of several teachers' log-probs, for spans of text, or where the trainer's log-probs replace those of
    the engine that drew the tokens. There its sum is 0.

    `domains` and `teachers` have N names; a teacher is None if the recipe uses none.
    """

    group_ids: Tensor
    correct: Tensor
    incorrect: Tensor
    outcome_rewards: Tensor
    prompt_lengths: Tensor
    lengths: Tensor
    truncated: Tensor
    scored: Tensor
    failed: Tensor
    normalized: Tensor
    ruled_out: Tensor
    returns: Tensor
    reverse_kl: Tensor
    reverse_kl_k3: Tensor
    teacher_entropy: Tensor
    domains: tuple[str, ...]
    teachers: tuple[str | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Supervision:
    """The decisions of calibration and balancing for the trajectories of `StepSamples`.

    `shift` f64[N] is added to every token reward. `representative` bool[N] is False where a margin mask dropped the
    sample, `kept` bool[N] where that mask or balancing dropped it.
    """

    shift: Tensor
    representative: Tensor
    kept: Tensor


def collect_evidence(trajectories: Sequence[Trajectory]) -> Evidence:
    """A step's trajectories as tensors; at least one."""
    rollouts = [trajectory.rollout for trajectory in trajectories]
    outcomes = [trajectory.outcome for trajectory in trajectories]
    old = _padded([_old_logprobs(trajectory) for trajectory in trajectories])
    teachable = torch.tensor([trajectory.teachable for trajectory in trajectories])
    mask = (torch.arange(old.shape[1]) < _lengths(trajectories)[:, None]) & teachable[:, None]
    return Evidence(
        mask=mask,
        old_logprobs=old.masked_fill(~mask, 0),
        teacher_logprobs=_logprobs(trajectories, [trajectory.scores for trajectory in trajectories]),
        base_logprobs=_logprobs(trajectories, [trajectory.base for trajectory in trajectories]),
        teachable=teachable,
        correct=torch.tensor([outcome.correct is True for outcome in outcomes]),
        incorrect=torch.tensor([outcome.correct is False for outcome in outcomes]),
        outcome_rewards=torch.tensor([outcome.reward for outcome in outcomes], dtype=torch.float32),
        group_ids=torch.tensor([rollout.group_id for rollout in rollouts]),
        span_ends=_span_ends(trajectories),
    )


def step_samples(trajectories: Sequence[Trajectory], evidence: Evidence, rewards: Tensor) -> StepSamples:
    """This process's trajectories as `StepSamples`; `rewards` f32[N, R] are their token rewards."""
    scores = [trajectory.scores for trajectory in trajectories]
    has_scores = evidence.mask & torch.tensor([isinstance(entry, TeacherScores) for entry in scores])[:, None]
    rewarded = has_scores & rewards.isfinite()  # a token of teacher probability 0 does not count towards a return
    ratio = torch.zeros_like(evidence.old_logprobs) if evidence.teacher_logprobs is None else evidence.log_ratio
    has_ratio = has_scores & ratio.isfinite()
    log_ratio = ratio.double().masked_fill(~has_ratio, 0)
    normalized = torch.tensor([_normalized(trajectory) for trajectory in trajectories])
    return StepSamples(
        group_ids=evidence.group_ids,
        correct=evidence.correct,
        incorrect=evidence.incorrect,
        outcome_rewards=evidence.outcome_rewards.double(),
        prompt_lengths=torch.tensor([len(trajectory.rollout.prompt.token_ids) for trajectory in trajectories]),
        lengths=_lengths(trajectories),
        truncated=torch.tensor([t.rollout.finish_reason is FinishReason.LENGTH for t in trajectories]),
        scored=rewarded.any(-1),
        failed=torch.tensor([not trajectory.teachable for trajectory in trajectories]),
        normalized=normalized,
        ruled_out=(has_scores & ~has_ratio).sum(-1),
        returns=distillation_return(rewards, rewarded).double(),
        reverse_kl=-log_ratio.sum(-1),
        reverse_kl_k3=k3(log_ratio).sum(-1).masked_fill(~normalized, 0),
        teacher_entropy=_entropy(trajectories).double().masked_fill(~has_ratio, 0).sum(-1),
        domains=tuple(trajectory.rollout.prompt.sample.domain for trajectory in trajectories),
        teachers=tuple(entry.teacher if entry else None for entry in scores),
    )


def merge_samples(parts: Sequence[StepSamples]) -> tuple[StepSamples, list[Tensor]]:
    """The samples of all processes ordered by group, as a single process would have them, and the indices of each
    part's samples in that order, i64[n] per part."""
    order = torch.argsort(torch.cat([part.group_ids for part in parts]), stable=True)
    columns: dict[str, Any] = {field.name: _merge_column(parts, field.name, order) for field in fields(StepSamples)}
    indices = torch.argsort(order)
    return StepSamples(**columns), list(indices.split([len(part.group_ids) for part in parts]))


def merge_values(parts: Sequence[tuple[Tensor, Mapping[str, Tensor]]]) -> Mapping[str, Tensor]:
    """Values [N] of all samples, from each part's indices i64[n] (see `merge_samples`) and values [n]."""
    order = torch.argsort(torch.cat([indices for indices, _ in parts]))
    return {name: torch.cat([values[name] for _, values in parts])[order] for name in parts[0][1]}


def _merge_column(parts: Sequence[StepSamples], name: str, order: Tensor) -> Tensor | tuple[str | None, ...]:
    columns = [getattr(part, name) for part in parts]
    if isinstance(columns[0], Tensor):
        return torch.cat(columns)[order]
    names = [entry for column in columns for entry in column]
    return tuple(names[index] for index in order.tolist())


def _logprobs(trajectories: Sequence[Trajectory], scores: Sequence[TeacherScores | Failure | None]) -> Tensor | None:
    """f32[N, R], zero for a failure; None if no scores were requested."""
    if all(entry is None for entry in scores):
        return None
    rows = [
        entry.logprobs if isinstance(entry, TeacherScores) and trajectory.teachable else torch.zeros_like(rollout)
        for trajectory, entry in zip(trajectories, scores, strict=True)
        for rollout in (trajectory.rollout.logprobs,)
    ]
    return _padded(rows)


def _old_logprobs(trajectory: Trajectory) -> Tensor:
    """The student's log-probs f32[R] before the update, which rewards are measured from."""
    own = trajectory.student_logprobs
    return trajectory.rollout.logprobs if own is None else own


def _span_ends(trajectories: Sequence[Trajectory]) -> Tensor | None:
    """bool[N, R], None if every token is its own span."""
    scores = [trajectory.scores for trajectory in trajectories]
    ends = [entry.span_ends if isinstance(entry, TeacherScores) else None for entry in scores]
    if all(row is None for row in ends):
        return None
    rows = [
        torch.ones_like(trajectory.rollout.response_ids, dtype=torch.bool) if row is None else row
        for trajectory, row in zip(trajectories, ends, strict=True)
    ]
    return pad_sequence(rows, batch_first=True, padding_value=True)


def _normalized(trajectory: Trajectory) -> bool:
    """Whether its tokens were drawn from the student's distribution and scored by another one."""
    scores = trajectory.scores
    return isinstance(scores, TeacherScores) and scores.normalized and trajectory.student_logprobs is None


def _entropy(trajectories: Sequence[Trajectory]) -> Tensor:
    """The teachers' entropy f32[N, R], zero where unknown."""
    scores = [trajectory.scores for trajectory in trajectories]
    known = [entry.entropy if isinstance(entry, TeacherScores) else None for entry in scores]
    return _padded(
        [
            torch.zeros_like(trajectory.rollout.logprobs) if entropy is None else entropy
            for trajectory, entropy in zip(trajectories, known, strict=True)
        ]
    )


def _lengths(trajectories: Sequence[Trajectory]) -> Tensor:
    return torch.tensor([len(trajectory.rollout.response_ids) for trajectory in trajectories])


def _padded(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True)
