"""Steps from which the student learns nothing, told from their metrics, and scores that say nothing.

A step is idle if its update was skipped, if no token takes part in the loss, or if the gradient is exactly zero. Some
steps are idle for good reasons: where every rollout of a prompt has the same outcome, an outcome reward has nothing to
compare. A run of such steps still ends as it began. Not here: when a warning is due (`watch`).
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite

import torch
from torch import Tensor

from uniopd_mm.types import TeacherScores, Trajectory

Values = Mapping[str, float]
Ranges = Mapping[str, tuple[float, float, int, int]]
"""By teacher: its lowest and highest finite log-prob [nats], the number of finite ones, and the number of tokens."""

FEW_TOKENS = 8  # fewer may have equal log-probs by chance

NOT_FINITE = (
    "the gradient is not finite, so the update is skipped. Look in rollouts/ for log-probs that are not finite, then "
    "lower trainer.learning_rate or set recipe.advantage_clip"
)
UNSCORED = "no rollout takes part in the loss, because teachers failed to score them. summary.json counts the reasons"
FILTERED = (
    "no rollout takes part in the loss: balancing or a margin mask leaves out every one of them. Draw more rollouts "
    "(rollout.num_samples), take prompts of other difficulty, or relax recipe.balancing and recipe.calibration"
)
GATED = (
    "recipe.gate drops every token, because student and teacher differ by that many nats or more. Check that the "
    "teacher reads what the student wrote, or raise recipe.gate"
)
ZERO = (
    "the gradient is exactly zero, as where all rollouts of each prompt have the same outcome, or where teacher and "
    "student agree on every token. Take prompts that the student sometimes gets right, or another teacher"
)


def idle_reason(values: Values) -> str | None:
    """Why the student learns nothing from a step with these metrics (see `diagnostics.describe`), or None if it learns.

    The reason is always the same text, so that those of several steps can be compared.
    """
    norm = values.get("grad_norm", 1.0)
    if not isfinite(norm):
        return NOT_FINITE
    if norm > 0 and not values.get("skipped_updates"):
        return None
    if not values.get("effective_samples", 1):
        return UNSCORED if values.get("teacher_failures") else FILTERED
    return GATED if values.get("gated") == 1 else ZERO


def idle_too_long(history: Sequence[Values], steps: int) -> str | None:
    """Why a run should stop: its last `steps` steps were idle, or the gradients of most of its last 2 * `steps` steps,
    the newest included, were not finite. None if it should go on; always None if `steps` is 0."""
    newest = [idle_reason(values) for values in history[-2 * steps :]] if steps else []
    if not newest or newest[-1] is None:
        return None
    idle = len(newest) >= steps and all(newest[-steps:])
    broken = newest[-1] == NOT_FINITE and newest.count(NOT_FINITE) >= steps
    return newest[-1] if idle or broken else None


def score_ranges(trajectories: Iterable[Trajectory]) -> Ranges:
    """The range of each teacher's log-probs in this process."""
    by_teacher: dict[str, list[Tensor]] = {}
    for trajectory in trajectories:
        if isinstance(trajectory.scores, TeacherScores):
            by_teacher.setdefault(trajectory.scores.teacher, []).append(trajectory.scores.logprobs)
    return {name: _range(torch.cat(rows)) for name, rows in by_teacher.items()}


def _range(logprobs: Tensor) -> tuple[float, float, int, int]:
    finite = logprobs[logprobs.isfinite()]
    lowest, highest = (finite.min().item(), finite.max().item()) if len(finite) else (inf, -inf)
    return lowest, highest, len(finite), len(logprobs)


def score_spreads(parts: Iterable[Ranges]) -> dict[str, float]:
    """`teacher/<teacher>/score_spread`: the highest minus the lowest finite log-prob over all processes [nats]. It is 0
    where none is finite; a teacher with few tokens has no entry."""
    merged: dict[str, tuple[float, float, int, int]] = {}
    for part in parts:
        for name, (low, high, finite, tokens) in part.items():
            lowest, highest, num_finite, num_tokens = merged.get(name, (low, high, 0, 0))
            merged[name] = min(low, lowest), max(high, highest), finite + num_finite, tokens + num_tokens
    return {
        f"teacher/{name}/score_spread": high - low if finite else 0.0
        for name, (low, high, finite, tokens) in merged.items()
        if tokens >= FEW_TOKENS
    }
