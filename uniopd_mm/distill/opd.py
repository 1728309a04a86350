"""On-policy distillation: the reward of each student token is how much more likely the teacher finds it.

Needs log-probs of the sampled tokens from student and teacher; needs no outcome. `recipe=uni_opd` is this objective
with margin calibration and balancing (see `supervision.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.objective import Needs, StudentForward, token_rewards
from uniopd_mm.distill.policy import PolicyLoss


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class OnPolicyDistillation:
    """min KL(pi || pi_T) on the student's own trajectories, through its policy gradient (arXiv 2605.03677)."""

    policy: PolicyLoss

    @property
    def needs(self) -> Needs:
        return Needs(calibrates=True)

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """r = log pi_T - log pi_old, f32[N, R]."""
        assert evidence.teacher_logprobs is not None
        clip = self.policy.advantage_clip
        return token_rewards(evidence.teacher_logprobs, evidence.old_logprobs, clip, evidence.span_ends)

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        return rewards

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return self.policy.loss(student, batch)

    def denominator(self, batch: Batch) -> Tensor:
        return self.policy.denominator(batch)
