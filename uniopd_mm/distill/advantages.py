"""Advantages beyond plain distillation, and importance weights for samples drawn by another engine.

Pure functions of log-probs and rewards. All results are detached, except `k3`. Not here: the loss (`objective`), and
the margin shifts and masks (`calibration`).
"""

import torch
from torch import Tensor

from uniopd_mm.distill.choices import Correction
from uniopd_mm.distill.segments import units_of

STD_FLOOR = 1e-6


def outcome_advantages(rewards: Tensor, known: Tensor, group_ids: Tensor, *, normalize: bool) -> Tensor:
    """GRPO advantages A_i = (r_i - mean) / (std + 1e-6), over the known samples of i's group (arXiv 2402.03300, section
    4.1).

    std is the population standard deviation (divided by the count). Without `normalize`, A_i = r_i - mean.

    Args:
        rewards: f[N]; entries where `known` (bool[N]) is False are never read.
        group_ids: i64[N], any numbers in any order.

    Returns:
        f[N]; 0 where the outcome is unknown, and where a group has fewer than two known rewards or all of them are
            equal.
    """
    units, num_units = units_of(group_ids, "group")
    rewards = rewards.detach().to(torch.promote_types(rewards.dtype, torch.float32))
    empty = rewards.new_zeros(num_units)

    def mean(values: Tensor) -> Tensor:
        sums = empty.index_add(0, units, values.masked_fill(~known, 0))
        return (sums / empty.index_add(0, units, known.to(values.dtype)).clamp(min=1))[units]

    def extreme(which: str, unknown: float) -> Tensor:
        values = rewards.masked_fill(~known, unknown)
        return empty.scatter_reduce(0, units, values, which, include_self=False)[units]

    # Compare the rewards themselves: with three rewards of 0.1 the deviations are rounding errors, and so is their std.
    differing = extreme("amax", -torch.inf) > extreme("amin", torch.inf)
    deviations = rewards - mean(rewards)
    advantages = deviations / (mean(deviations**2).sqrt() + STD_FLOOR) if normalize else deviations
    return advantages.masked_fill(~(known & differing), 0)


def extrapolated_rewards(
    teacher_logprobs: Tensor, base_logprobs: Tensor, old_logprobs: Tensor, *, scale: float
) -> Tensor:
    """ExOPD rewards r_t = scale (log pi_T - log pi_base) + log pi_base - log pi_old, any shape, detached.

    From G-OPD (arXiv 2602.12125), which maximises scale log(pi_T / pi_base) under a KL penalty to the base.

    Computed as (log pi_T - log pi_old) + (scale - 1) (log pi_T - log pi_base), so that a scale of 1 equals on-policy
    distillation bit for bit. A token with teacher probability 0 (-inf) gets -inf whatever the base's probability. If
    only the base's probability is 0, the extrapolation term is infinite; it is dropped and the distillation reward
    remains.
    """
    rewards = (teacher_logprobs - old_logprobs).detach()
    further = (teacher_logprobs - base_logprobs).detach()
    return rewards + (scale - 1) * further.masked_fill(~further.isfinite(), 0)


def importance_weights(
    logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor, *, correction: str, cap: float
) -> Tensor:
    """Weights f[N, T] for tokens drawn by the rollout engine, from rho = pi(o_t) / pi_rollout(o_t), detached.

    none: 1; truncate: min(rho, cap); mask: rho where 1 / cap <= rho <= cap, else 0. With an infinite cap the last two
    are rho, which turns expectations over the engine's tokens into expectations over the trainer's.

    Args:
        logprobs, rollout_logprobs: f[N, T] of the trainer and of the rollout engine.
        mask: bool[N, T]; weights are 1 outside it.
        correction: a `Correction`.

    Raises:
        ValueError: cap below 1, unknown correction.
    """
    if not cap >= 1:
        raise ValueError(f"cap={cap} must be at least 1, which is the ratio of two engines that agree")
    ratio = torch.exp((logprobs - rollout_logprobs).detach().masked_fill(~mask, 0))
    match Correction(correction):
        case Correction.NONE:
            return torch.ones_like(ratio)
        case Correction.TRUNCATE:
            return ratio.clamp(max=cap)
        case Correction.MASK:
            return ratio.masked_fill((ratio < 1 / cap) | (ratio > cap), 0)


def mismatch_kl(logprobs: Tensor, rollout_logprobs: Tensor) -> Tensor:
    """Estimate of KL(pi_rollout || pi) on each token drawn by the rollout engine, any shape, detached: rho - 1 - log
    rho with rho = pi(o_t) / pi_rollout(o_t)."""
    return k3((logprobs - rollout_logprobs).detach())


def k3(log_ratio: Tensor) -> Tensor:
    """The k3 estimator exp(x) - 1 - x, any shape (Schulman, Approximating KL Divergence, 2020).

    With x = log p(o) - log q(o) for tokens o drawn from q, it is an unbiased estimate of KL(q || p) and never negative,
    up to rounding. x = log pi_T - log pi_old gives the reverse KL, which is infinite for a token with teacher
    probability 0.
    """
    return torch.expm1(log_ratio) - log_ratio
