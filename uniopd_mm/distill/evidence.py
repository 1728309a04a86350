"""What calibration, balancing and diagnostics see of a step: per token on one process, per trajectory over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from uniopd_mm.distill.advantages import k3
from uniopd_mm.distill.calibration import distillation_return
from uniopd_mm.types import Failure, FinishReason, TeacherScores, Trajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a recipe sees of N trajectories, aligned to their responses.

    `old_logprobs` f32[N, R], and `teacher_logprobs` and `base_logprobs` where asked for, are zero outside `mask`
    bool[N, R], which is all False where a teacher failed: there `teachable` bool[N] is False. `correct` and `incorrect`
    bool[N], both False where the outcome is unknown; `outcome_rewards` f32[N]; `group_ids` i64[N].
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

    @property
    def log_ratio(self) -> Tensor:
        """log pi_T - log pi_old f32[N, R]; -inf where the teacher rules a token out."""
        assert self.teacher_logprobs is not None
        return self.teacher_logprobs - self.old_logprobs


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSamples:
    """One entry for each trajectory of a step, over all processes: what statistics are made of.

    `correct`, `incorrect`, `truncated`, `scored` (a teacher's reward of one token at least is finite) and `failed` (a
    teacher did not score it) are bool[N]; `group_ids`, `prompt_lengths` and `lengths` (prompt
    and response tokens) and `ruled_out` (tokens the teacher
    gives no probability) i64[N]. `returns` f64[N] is the distillation return G, 0 where there are no scores.
    `reverse_kl`, `reverse_kl_k3` and `teacher_entropy` f64[N] are sums over a response's scored tokens that are not
    ruled out. `domains` and `teachers` have N names; a teacher is None where none was asked.
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
    ruled_out: Tensor
    returns: Tensor
    reverse_kl: Tensor
    reverse_kl_k3: Tensor
    teacher_entropy: Tensor
    domains: tuple[str, ...]
    teachers: tuple[str | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Supervision:
    """What calibration and balancing decided for the trajectories of `StepSamples`: `shift` f64[N] is added to every
    token reward; `representative` bool[N] is False where a margin mask dropped the sample, `kept` bool[N] where that
    or balancing did."""

    shift: Tensor
    representative: Tensor
    kept: Tensor


def line_up(trajectories: Sequence[Trajectory]) -> Evidence:
    """A step's trajectories as tensors; at least one."""
    rollouts = [trajectory.rollout for trajectory in trajectories]
    outcomes = [trajectory.outcome for trajectory in trajectories]
    drawn = _padded([rollout.logprobs for rollout in rollouts])
    teachable = torch.tensor([trajectory.teachable for trajectory in trajectories])
    mask = (torch.arange(drawn.shape[1]) < _lengths(trajectories)[:, None]) & teachable[:, None]
    return Evidence(
        mask=mask,
        old_logprobs=drawn.masked_fill(~mask, 0),
        teacher_logprobs=_logprobs(trajectories, [trajectory.scores for trajectory in trajectories]),
        base_logprobs=_logprobs(trajectories, [trajectory.base for trajectory in trajectories]),
        teachable=teachable,
        correct=torch.tensor([outcome.correct is True for outcome in outcomes]),
        incorrect=torch.tensor([outcome.correct is False for outcome in outcomes]),
        outcome_rewards=torch.tensor([outcome.reward for outcome in outcomes], dtype=torch.float32),
        group_ids=torch.tensor([rollout.group_id for rollout in rollouts]),
    )


def step_samples(trajectories: Sequence[Trajectory], evidence: Evidence, rewards: Tensor) -> StepSamples:
    """This process's trajectories, one entry each, with token rewards f32[N, R]."""
    scores = [trajectory.scores for trajectory in trajectories]
    answered = evidence.mask & torch.tensor([isinstance(entry, TeacherScores) for entry in scores])[:, None]
    rewarded = answered & rewards.isfinite()  # a token that the teacher rules out is no measure of a response
    ratio = torch.zeros_like(evidence.old_logprobs) if evidence.teacher_logprobs is None else evidence.log_ratio
    told = answered & ratio.isfinite()
    log_ratio = ratio.double().masked_fill(~told, 0)
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
        ruled_out=(answered & ~told).sum(-1),
        returns=distillation_return(rewards, rewarded).double(),
        reverse_kl=-log_ratio.sum(-1),
        reverse_kl_k3=k3(log_ratio).sum(-1),
        teacher_entropy=_entropy(trajectories).double().masked_fill(~told, 0).sum(-1),
        domains=tuple(trajectory.rollout.prompt.sample.domain for trajectory in trajectories),
        teachers=tuple(entry.teacher if entry else None for entry in scores),
    )


def merged(parts: Sequence[StepSamples]) -> tuple[StepSamples, list[Tensor]]:
    """The samples of all processes ordered by group, as one process would have them, and where each part's own samples
    stand in it (i64[n] a part)."""
    order = torch.argsort(torch.cat([part.group_ids for part in parts]), stable=True)
    columns: dict[str, Any] = {field.name: _joined(parts, field.name, order) for field in fields(StepSamples)}
    places = torch.argsort(order)
    return StepSamples(**columns), list(places.split([len(part.group_ids) for part in parts]))


def spread(parts: Sequence[tuple[Tensor, Mapping[str, Tensor]]]) -> Mapping[str, Tensor]:
    """Values [n] of each part's samples, put at their places i64[n] among all [N]."""
    order = torch.argsort(torch.cat([places for places, _ in parts]))
    return {name: torch.cat([values[name] for _, values in parts])[order] for name in parts[0][1]}


def _joined(parts: Sequence[StepSamples], name: str, order: Tensor) -> Tensor | tuple[str | None, ...]:
    columns = [getattr(part, name) for part in parts]
    if isinstance(columns[0], Tensor):
        return torch.cat(columns)[order]
    names = [entry for column in columns for entry in column]
    return tuple(names[index] for index in order.tolist())


def _logprobs(trajectories: Sequence[Trajectory], scores: Sequence[TeacherScores | Failure | None]) -> Tensor | None:
    """f32[N, R], zero for a failure; None where nobody was asked."""
    if all(entry is None for entry in scores):
        return None
    rows = [
        entry.logprobs if isinstance(entry, TeacherScores) and trajectory.teachable else torch.zeros_like(rollout)
        for trajectory, entry in zip(trajectories, scores, strict=True)
        for rollout in (trajectory.rollout.logprobs,)
    ]
    return _padded(rows)


def _entropy(trajectories: Sequence[Trajectory]) -> Tensor:
    """The teachers' f32[N, R], zero where it is not known."""
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
