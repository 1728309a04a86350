"""What a step's trajectories say of student and teacher, as plain numbers. Means per token are over the tokens of
scored responses of the whole step; `None` outcomes and failed teachers are counted, never averaged in."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from uniopd_mm.types import Failure, FinishReason, TeacherScores, Trajectory


def describe(trajectories: Sequence[Trajectory]) -> Mapping[str, float]:
    """Metrics of one step; what has no value (an accuracy without a known outcome) is left out."""
    outcomes = [trajectory.outcome.correct for trajectory in trajectories]
    known = [outcome for outcome in outcomes if outcome is not None]
    lengths = [len(trajectory.rollout.response_ids) for trajectory in trajectories]
    values: dict[str, float] = {
        "reward": _mean(trajectory.outcome.reward for trajectory in trajectories),
        "response_length": _mean(lengths),
        "response_tokens": sum(lengths),
        "truncated": _mean(trajectory.rollout.finish_reason is FinishReason.LENGTH for trajectory in trajectories),
        "unknown_outcomes": len(outcomes) - len(known),
        "teacher_failures": sum(isinstance(trajectory.scores, Failure) for trajectory in trajectories),
    }
    if known:
        values["accuracy"] = _mean(known)
    return {**values, **_divergence(trajectories)}


def _divergence(trajectories: Sequence[Trajectory]) -> Mapping[str, float]:
    """Reverse KL per token, estimated on the sampled tokens as -log ratio (k1)."""
    ratios = [log_ratio(t) for t in trajectories if isinstance(t.scores, TeacherScores)]
    tokens = torch.cat(ratios) if ratios else torch.empty(0)
    finite = tokens[tokens.isfinite()]
    if not len(finite):
        return {}
    return {"reverse_kl": -finite.double().mean().item(), "ruled_out_tokens": float(len(tokens) - len(finite))}


def log_ratio(trajectory: Trajectory) -> Tensor:
    """log pi_T - log pi_old of a scored response's tokens, f32[R]."""
    assert isinstance(trajectory.scores, TeacherScores)
    return trajectory.scores.logprobs - trajectory.rollout.logprobs


def _mean(values: Iterable[float]) -> float:
    entries = [float(value) for value in values]
    return sum(entries) / len(entries)
