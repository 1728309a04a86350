"""The parts of an objective: token rewards, the clipped policy loss, and the reduction of token losses to one number.

Reverse KL on the student's own trajectories, min E_{tau ~ pi} KL(pi || pi_T), through its policy gradient (arXiv
2605.03677, section 3). The reward of token t is r_t = log pi_T(o_t) - log pi_old(o_t), detached. Not here: calibration
and balancing, which change advantages and weights beforehand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.choices import Gradient, Reduction
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.spans import clipped

# A backbone: called with a token batch, a temperature and a reader, it returns what the reader makes of the M loss
# tokens.
StudentForward = Callable[..., tuple[Tensor, ...]]


RATIO_SETTINGS = frozenset({"clip_low", "clip_high", "correction", "correction_cap"})
"""The settings of a recipe that the importance ratio of the policy loss reads."""

REWARD_SETTINGS = frozenset({"gate", "advantage_clip"})
"""The settings of a recipe that token rewards read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """The inputs that an objective learns from.

    These are a teacher's scores (with its `top_k` most likely tokens, or the hidden states of its whole distribution),
    a base model's scores, and outcomes. `calibrates`: it has distillation rewards, whose margins can leave out
    rollouts; `shifts`: a shift of these rewards reaches its advantages. `gradient`: how its loss reaches the student;
    the other way has no effect. `settings`: which of `RATIO_SETTINGS` and `REWARD_SETTINGS` it reads; where one of the
    others is set, the run is refused.
    """

    teacher: bool = True
    base: bool = False
    outcome: bool = False
    top_k: int = 0
    hidden: bool = False
    calibrates: bool = False
    shifts: bool = True
    settings: frozenset[str] = RATIO_SETTINGS | REWARD_SETTINGS
    gradient: Gradient = Gradient.ADVANTAGE


class Objective(Protocol):
    """The loss that the student is trained with. Implementations are frozen dataclasses, one file each."""

    @property
    def needs(self) -> Needs: ...

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """Distillation rewards f32[N, R], detached. Margins are measured on them, and shifts are added to them."""
        ...

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        """Advantages f32[N, R] from calibrated token rewards."""
        ...

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The batch's reduced loss, and sums f64[N] over each sample's tokens: their number as `tokens`, and what else
        is to be measured. Each of the others becomes a metric, a mean per token (see `diagnostics.describe`)."""
        ...

    def denominator(self, batch: Batch) -> Tensor:
        """The number that `loss` divides by. It gives a micro-batch's weight within the whole batch."""
        ...


def token_rewards(
    teacher_logprobs: Tensor, old_logprobs: Tensor, clip: float | None = None, span_ends: Tensor | None = None
) -> Tensor:
    """r_t = log pi_T(o_t) - log pi_old(o_t), any shape, detached; each span's sum clamped to [-clip, clip] if a clip is
    given (see `spans.clipped`).

    A token of teacher probability 0 has reward -inf, whatever the clip. It counts in no return, and the gate drops it
    from the loss.
    """
    return clipped((teacher_logprobs - old_logprobs).detach(), clip, span_ends)


def clipped_policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    teacher_logprobs: Tensor,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    gate: float,
    reduction: str,
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """PPO-clipped policy loss, with the reference's gate on tokens where student and teacher are far apart.

    l_t = max(-rho_t A_t, -clip(rho_t, 1 - clip_low, 1 + clip_high) A_t) with rho_t = exp(logprobs - old_logprobs). l_t
    is dropped where |logprobs - teacher_logprobs| >= gate. Dropped tokens still count in the denominator. It is
    therefore known before the update and does not depend on how a batch is split.

    Args:
        logprobs, old_logprobs, advantages, teacher_logprobs: f32[N, T]; only the first carries a gradient.
        mask: bool[N, T], the response tokens of samples that take part.
        reduction: a `Reduction`.

    Returns:
        The loss, and metrics as sums over the mask: `clipped`, `gated`, `ratio`, `tokens`.

    Raises:
        ValueError: unknown reduction.
    """
    ratio, losses, cut, gated = clipped_token_losses(
        logprobs,
        old_logprobs,
        advantages,
        teacher_logprobs,
        mask,
        clip_low=clip_low,
        clip_high=clip_high,
        gate=gate,
    )
    counts = {"clipped": cut, "gated": gated, "ratio": ratio.detach() * mask, "tokens": mask}
    return reduce(losses, mask, reduction), {name: value.sum() for name, value in counts.items()}


def clipped_token_losses(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    teacher_logprobs: Tensor | None,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    gate: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The terms of `clipped_policy_loss` before reduction: ratio and losses f[N, T], clipped and gated bool[N, T].
    Without a teacher there is no gate."""
    ratio = torch.exp((logprobs - old_logprobs).masked_fill(~mask, 0))
    kept = mask if teacher_logprobs is None else mask & ((logprobs - teacher_logprobs).abs() < gate)
    advantages = advantages.masked_fill(~kept, 0)
    bounded = ratio.clamp(1 - clip_low, 1 + clip_high)
    losses = torch.maximum(-ratio * advantages, -bounded * advantages)
    cut = (-bounded * advantages > -ratio * advantages) & kept
    return ratio, losses, cut, mask & ~kept


def reduce(losses: Tensor, mask: Tensor, reduction: str) -> Tensor:
    """Reduce f32[N, T] to a scalar; 0 for a batch without tokens.

    A part of a batch contributes reduce(part) * denominator(part) / denominator(whole).
    """
    if Reduction(reduction) is Reduction.TOKEN_MEAN:
        return losses.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)
    per_sample = losses.masked_fill(~mask, 0).sum(-1) / mask.sum(-1).clamp(min=1)
    return per_sample.sum() / denominator(mask, reduction).clamp(min=1)


def denominator(mask: Tensor, reduction: str) -> Tensor:
    """The number that a reduction divides by: samples with at least one token, or tokens."""
    if Reduction(reduction) is Reduction.TOKEN_MEAN:
        return mask.sum()
    return mask.any(-1).sum()
