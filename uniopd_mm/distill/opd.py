"""On-policy distillation: every token the student wrote is rewarded by how much likelier its teacher finds it.

Needs log-probs of the sampled tokens from student and teacher; needs no outcome. Leaves out the Uni-OPD recipe
(calibration and balancing).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from uniopd_mm.distill.objective import clipped_policy_loss, denominator, token_rewards
from uniopd_mm.types import Batch, Failure, TokenBatch, Trajectory

PerTokenPolicy = Callable[[TokenBatch, float], tuple[Tensor, Tensor]]  # a backbone: log-probs and entropies [N, T]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class OnPolicyDistillation:
    """The reference's setting by default (arXiv 2605.03677); `advantage_clip` is for small students, whose token
    rewards reach tens of nats."""

    temperature: float
    clip_low: float = 0.2
    clip_high: float = 0.28
    gate: float = 10.0
    advantage_clip: float | None = None
    reduction: str = "sample_mean"

    def advantages(self, trajectory: Trajectory) -> Tensor:
        """Token rewards f32[R]; zeros, which the loss mask leaves out, where the teacher failed."""
        old_logprobs = trajectory.rollout.logprobs
        if isinstance(trajectory.scores, Failure):
            return torch.zeros_like(old_logprobs)
        return token_rewards(trajectory.scores.logprobs, old_logprobs, self.advantage_clip)

    def loss(self, student: PerTokenPolicy, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The batch's reduced loss, and metrics as sums over its loss mask (`tokens` of them)."""
        mask = batch.tokens.loss_mask
        logprobs, entropy = student(batch.tokens, self.temperature)
        loss, metrics = clipped_policy_loss(
            logprobs,
            batch.old_logprobs,
            batch.advantages * batch.weights[:, None],
            batch.teacher_logprobs,
            mask,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            gate=self.gate,
            reduction=self.reduction,
        )
        return loss, {**metrics, "entropy": (entropy.detach() * mask).sum()}

    def denominator(self, batch: Batch) -> Tensor:
        """What `loss` divides by: the share of a part in a whole batch."""
        return denominator(batch.tokens.loss_mask, self.reduction)
