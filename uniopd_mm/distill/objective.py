"""What objectives are made of: token rewards, the clipped policy loss, and how token losses become one number.

Reverse KL on the student's own trajectories, min E_{tau ~ pi} KL(pi || pi_T), through its policy gradient
(arXiv 2605.03677, section 3): the reward of token t is r_t = log pi_T(o_t) - log pi_old(o_t), detached. Leaves out
calibration and balancing, which change advantages and weights before they come here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from uniopd_mm.distill.choices import Gradient, Reduction
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.types import Batch

# A backbone: token batch, temperature and a reader -> what it reads of the M tokens of the loss mask.
StudentForward = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What an objective learns from: a teacher's scores (with its `top_k` likeliest tokens, or the hidden states of its
    whole distribution), a base model's scores, outcomes. `calibrates` tells that it has distillation rewards which
    margin calibration can shift; `gradient` is the one way in which its loss is not void."""

    teacher: bool = True
    base: bool = False
    outcome: bool = False
    top_k: int = 0
    hidden: bool = False
    calibrates: bool = False
    gradient: Gradient = Gradient.ADVANTAGE


class Objective(Protocol):
    """What the student is taught. Implementations are frozen dataclasses, one file each."""

    @property
    def needs(self) -> Needs: ...

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """Distillation rewards f32[N, R], detached: what margins are measured on and shifts are added to."""
        ...

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        """Advantages f32[N, R] from calibrated token rewards."""
        ...

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The batch's reduced loss, and sums over each sample's tokens f64[N] (see `diagnostics.describe`)."""
        ...

    def denominator(self, batch: Batch) -> Tensor:
        """What `loss` divides by: the share of a part in a whole batch."""
        ...


def token_rewards(teacher_logprobs: Tensor, old_logprobs: Tensor, clip: float | None = None) -> Tensor:
    """r_t = log pi_T(o_t) - log pi_old(o_t), any shape, detached; held within [-clip, clip] where a clip is given.

    A token that the teacher rules out (-inf) gets -clip; without a clip it stays -inf, and the objective's gate drops
    it.
    """
    rewards = (teacher_logprobs - old_logprobs).detach()
    return rewards if clip is None else rewards.clamp(-clip, clip)


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
    """PPO-clipped policy loss, with the reference's gate on far-apart tokens.

    l_t = max(-rho_t A_t, -clip(rho_t, 1 - clip_low, 1 + clip_high) A_t) with rho_t = exp(logprobs - old_logprobs);
    l_t is dropped where |logprobs - teacher_logprobs| >= gate. Dropped tokens still count in the denominator, which is
    known before the update and so does not depend on how a batch is split.

    Args:
        logprobs, old_logprobs, advantages, teacher_logprobs: f32[N, T]; only the first carries a gradient.
        mask: bool[N, T], the response tokens of samples that take part.
        reduction: a `Reduction`.

    Returns:
        The loss, and metrics as sums over the mask: `clipped`, `gated`, `ratio`, `tokens`.

    Raises:
        ValueError: unknown reduction.
    """
    ratio, losses, clipped, gated = clipped_token_losses(
        logprobs,
        old_logprobs,
        advantages,
        teacher_logprobs,
        mask,
        clip_low=clip_low,
        clip_high=clip_high,
        gate=gate,
    )
    counts = {"clipped": clipped, "gated": gated, "ratio": ratio.detach() * mask, "tokens": mask}
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
    """`clipped_policy_loss` before it is reduced: ratio and losses f[N, T], clipped and gated bool[N, T]. Without a
    teacher there is no gate."""
    ratio = torch.exp((logprobs - old_logprobs).masked_fill(~mask, 0))
    kept = mask if teacher_logprobs is None else mask & ((logprobs - teacher_logprobs).abs() < gate)
    advantages = advantages.masked_fill(~kept, 0)
    bounded = ratio.clamp(1 - clip_low, 1 + clip_high)
    losses = torch.maximum(-ratio * advantages, -bounded * advantages)
    clipped = (-bounded * advantages > -ratio * advantages) & kept
    return ratio, losses, clipped, mask & ~kept


def reduce(losses: Tensor, mask: Tensor, reduction: str) -> Tensor:
    """f32[N, T] to a scalar; 0 for a batch without a token. A part of a batch contributes to the whole as
    reduce(part) * denominator(part) / denominator(whole)."""
    if Reduction(reduction) is Reduction.TOKEN_MEAN:
        return losses.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)
    per_sample = losses.masked_fill(~mask, 0).sum(-1) / mask.sum(-1).clamp(min=1)
    return per_sample.sum() / denominator(mask, reduction).clamp(min=1)


def denominator(mask: Tensor, reduction: str) -> Tensor:
    """What a reduction divides by: samples with at least one token, or tokens."""
    if Reduction(reduction) is Reduction.TOKEN_MEAN:
        return mask.sum()
    return mask.any(-1).sum()
