"""The on-policy distillation objective: token rewards as advantages of a clipped policy loss.

Reverse KL on the student's own trajectories, min E_{tau ~ pi} KL(pi || pi_T), through its policy gradient
(arXiv 2605.03677, section 3): the reward of token t is r_t = log pi_T(o_t) - log pi_old(o_t), detached. Leaves out
calibration and balancing, which change advantages and masks before they come here.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Never

import torch
from torch import Tensor


class Reduction(StrEnum):
    """How token losses become one number: the mean over samples of each one's token mean (the reference), or the mean
    over all tokens."""

    SAMPLE_MEAN = "sample_mean"
    TOKEN_MEAN = "token_mean"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise ValueError(f"reduction={value!r} must be one of {', '.join(cls)}")


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
    ratio = torch.exp((logprobs - old_logprobs).masked_fill(~mask, 0))
    kept = mask & ((logprobs - teacher_logprobs).abs() < gate)
    advantages = advantages.masked_fill(~kept, 0)
    bounded = ratio.clamp(1 - clip_low, 1 + clip_high)
    losses = torch.maximum(-ratio * advantages, -bounded * advantages)
    metrics = {
        "clipped": ((-bounded * advantages > -ratio * advantages) & kept).sum(),
        "gated": (mask & ~kept).sum(),
        "ratio": (ratio.detach() * mask).sum(),
        "tokens": mask.sum(),
    }
    return reduce(losses, mask, reduction), metrics


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
