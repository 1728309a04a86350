"""Group-relative policy optimisation (GRPO, arXiv 2402.03300): outcome rewards only, the paper's RL baseline.

Needs outcomes and several rollouts per prompt, and no teacher. Has no KL to a reference model, like the paper's
baseline.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from uniopd_mm.distill.advantages import outcome_advantages
from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.objective import RATIO_SETTINGS, Needs, StudentForward
from uniopd_mm.distill.policy import PolicyLoss


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRelativePolicy:
    """Gives every token of a response the advantage of its outcome within the group. `normalize` divides by the group's
    standard deviation."""

    policy: PolicyLoss
    normalize: bool = True

    @property
    def needs(self) -> Needs:
        return Needs(teacher=False, outcome=True, settings=RATIO_SETTINGS)

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """No distillation: zeros f32[N, R]."""
        return torch.zeros_like(evidence.old_logprobs)

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        return rewards + group_relative(evidence, self.normalize)[:, None]

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return self.policy.loss(student, batch)

    def denominator(self, batch: Batch) -> Tensor:
        return self.policy.denominator(batch)


def group_relative(evidence: Evidence, normalize: bool) -> Tensor:
    """f32[N]: advantages of known outcomes within their groups. Samples whose teacher failed are excluded."""
    known = (evidence.correct | evidence.incorrect) & evidence.teachable
    return outcome_advantages(evidence.outcome_rewards, known, evidence.group_ids, normalize=normalize).float()
