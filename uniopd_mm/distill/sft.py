"""Supervised fine-tuning on responses written by a teacher or taken from the data: the off-policy baseline.

Needs `recipe.responses` teacher or gold, and no teacher scores. Its expected gradient is that of the forward KL from
the writer to the student.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.choices import Gradient
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.logprobs import unshifted
from uniopd_mm.distill.objective import Needs, StudentForward, reduce
from uniopd_mm.distill.policy import PolicyLoss, token_sums


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedFineTuning:
    """min -log pi of every token. Of `policy`, only temperature and reduction matter; there is no advantage to clip."""

    policy: PolicyLoss

    @property
    def needs(self) -> Needs:
        return Needs(teacher=False, settings=frozenset(), gradient=Gradient.BACKPROP)

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """No rewards: zeros f32[N, R]."""
        return torch.zeros_like(evidence.old_logprobs)

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        return rewards

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        mask = batch.tokens.loss_mask
        logprobs, entropy, _ = student(batch.tokens, self.policy.temperature)
        losses = -unshifted(logprobs, mask) * batch.weights[:, None]
        return reduce(losses, mask, self.policy.reduction), token_sums(mask, entropy=unshifted(entropy, mask))

    def denominator(self, batch: Batch) -> Tensor:
        return self.policy.denominator(batch)
