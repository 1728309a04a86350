"""Advantages beyond plain distillation, and weights for samples that another engine drew: pure functions of log-probs
and rewards, all detached but `k3`. Leaves out the loss they go into (`objective`) and what shifts or masks them.
"""

import torch
from torch import Tensor

from uniopd_mm.distill.choices import Correction
from uniopd_mm.distill.segments import units_of

STD_FLOOR = 1e-6


def outcome_advantages(rewards: Tensor, known: Tensor, group_ids: Tensor, *, normalize: bool) -> Tensor:
    """A_i = (r_i - mean) / (std + 1e-6) over the known samples of i's group, GRPO (arXiv 2402.03300, section 4.1).

    std is the population's (divided by the count). Without `normalize`, A_i = r_i - mean.

    Args:
        rewards: f[N]; what stands where `known` (bool[N]) is False is never read.
        group_ids: i64[N], any numbers in any order.

    Returns:
        f[N]; 0 where unknown, and where a group's known rewards are all equal or fewer than two.
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

    # Compared, not left to a deviation of 0: that of three rewards of 0.1 is a rounding error, and so is its std.
    differing = extreme("amax", -torch.inf) > extreme("amin", torch.inf)
    deviations = rewards - mean(rewards)
    advantages = deviations / (mean(deviations**2).sqrt() + STD_FLOOR) if normalize else deviations
    return advantages.masked_fill(~(known & differing), 0)


def extrapolated_rewards(
    teacher_logprobs: Tensor, base_logprobs: Tensor, old_logprobs: Tensor, *, scale: float
) -> Tensor:
    """r_t = scale (log pi_T - log pi_base) + log pi_base - log pi_old, any shape, detached: ExOPD of G-OPD (arXiv
    2602.12125), which maximises scale log(pi_T / pi_base) under the KL to the base.

    Computed as (log pi_T - log pi_old) + (scale - 1) (log pi_T - log pi_base), so that a scale of 1 is on-policy
    distillation to the last bit. A token that the teacher rules out (-inf) gets -inf whatever the base says. Where the
    base alone rules it out there is no finite way from one to the other to go on with: the teacher's part remains.
    """
    rewards = (teacher_logprobs - old_logprobs).detach()
    further = (teacher_logprobs - base_logprobs).detach()
    return rewards + (scale - 1) * further.masked_fill(~further.isfinite(), 0)


def importance_weights(
    logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor, *, correction: str, cap: float
) -> Tensor:
    """Weights f[N, T] of tokens that the rollout engine drew, from rho = pi(o_t) / pi_rollout(o_t), detached.

    none: 1; truncate: min(rho, cap); mask: rho where 1 / cap <= rho <= cap, else 0. A cap of infinity makes both rho,
    and expectations over the engine's tokens those over the trainer's.

    Args:
        logprobs, rollout_logprobs: f[N, T] the trainer's and the rollout engine's.
        mask: bool[N, T]; weights are 1 outside it.
        correction: a `Correction`.

    Raises:
        ValueError: cap below 1, unknown correction.
    """
    if not cap >= 1:
        raise ValueError(f"cap={cap} must be at least 1, the ratio of two engines that agree")
    ratio = torch.exp((logprobs - rollout_logprobs).detach().masked_fill(~mask, 0))
    match Correction(correction):
        case Correction.NONE:
            return torch.ones_like(ratio)
        case Correction.TRUNCATE:
            return ratio.clamp(max=cap)
        case Correction.MASK:
            return ratio.masked_fill((ratio < 1 / cap) | (ratio > cap), 0)


def mismatch_kl(logprobs: Tensor, rollout_logprobs: Tensor) -> Tensor:
    """Estimate of KL(pi_rollout || pi) on each token that the rollout engine drew, any shape, detached:
    rho - 1 - log rho with rho = pi(o_t) / pi_rollout(o_t)."""
    return k3((logprobs - rollout_logprobs).detach())


def k3(log_ratio: Tensor) -> Tensor:
    """exp(x) - 1 - x, any shape: with x = log p(o) - log q(o) of tokens o drawn from q, an unbiased estimate of
    KL(q || p) that is never negative, up to rounding (Schulman, Approximating KL Divergence, 2020). x = log pi_T -
    log pi_old makes it the reverse KL; a token that the teacher rules out (-inf) makes it infinite."""
    return torch.expm1(log_ratio) - log_ratio
