"""Reward extrapolation (ExOPD of G-OPD, arXiv 2602.12125): continue in the direction from a base model to the teacher.

Needs log-probs of the sampled tokens from the student, the teacher, and the base model that the teacher was trained
from. Needs no outcome. With `scale` 1 it is on-policy distillation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from uniopd_mm.distill.advantages import extrapolated_rewards
from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.objective import Needs, StudentForward
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.spans import clipped
from uniopd_mm.types import UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ExtrapolatedDistillation:
    """max scale * log(pi_T / pi_base) - KL(pi || pi_base). `scale` above 1 goes beyond the teacher; G-OPD recommends
    1.25."""

    policy: PolicyLoss
    scale: float = 1.25

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise UserError(
                f"recipe.objective.scale={self.scale} must be a number above 0; 1 is on-policy distillation"
            )

    @property
    def needs(self) -> Needs:
        return Needs(base=True, calibrates=True)

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """r = scale (log pi_T - log pi_base) + log pi_base - log pi_old, f32[N, R]."""
        teacher, base = evidence.teacher_logprobs, evidence.base_logprobs
        assert teacher is not None and base is not None
        rewards = extrapolated_rewards(teacher, base, evidence.old_logprobs, scale=self.scale)
        return clipped(rewards, self.policy.advantage_clip, evidence.span_ends)

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        return rewards

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return self.policy.loss(student, batch)

    def denominator(self, batch: Batch) -> Tensor:
        return self.policy.denominator(batch)
