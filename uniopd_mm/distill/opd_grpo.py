"""Distillation and outcome reward together: calibrated token rewards plus a weighted group-relative advantage.

Needs the inputs of both `opd` and `grpo`. The weights need not add up to one: `distillation=1 outcome=0` is `opd`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.grpo import group_relative
from uniopd_mm.distill.objective import RATIO_SETTINGS, REWARD_SETTINGS, Needs, StudentForward, token_rewards
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.types import UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class DistillationAndOutcome:
    """A_t = distillation * r_t + outcome * (R - mean of the group) / its standard deviation."""

    policy: PolicyLoss
    distillation: float = 1.0
    outcome: float = 1.0
    normalize: bool = True

    def __post_init__(self) -> None:
        for name, value in (("distillation", self.distillation), ("outcome", self.outcome)):
            if not 0 <= value < float("inf"):
                raise UserError(f"recipe.objective.{name}={value} must be 0 or more; 0 turns this part off")
        if self.distillation == self.outcome == 0:
            raise UserError(
                "recipe.objective.outcome=0: with distillation=0 as well, nothing is learned; give one of them a weight"
            )
        if self.outcome == 0 and not self.normalize:
            raise UserError(
                "recipe.objective.normalize=false: with recipe.objective.outcome=0 there is no outcome to normalize; "
                "leave it out"
            )

    @property
    def needs(self) -> Needs:
        settings = RATIO_SETTINGS | REWARD_SETTINGS if self.distillation else RATIO_SETTINGS | {"gate"}
        return Needs(outcome=self.outcome > 0, calibrates=True, shifts=self.distillation > 0, settings=settings)

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """r = log pi_T - log pi_old, f32[N, R]."""
        assert evidence.teacher_logprobs is not None
        clip = self.policy.advantage_clip
        return token_rewards(evidence.teacher_logprobs, evidence.old_logprobs, clip, evidence.span_ends)

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        return self.distillation * rewards + self.outcome * group_relative(evidence, self.normalize)[:, None]

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return self.policy.loss(student, batch)

    def denominator(self, batch: Batch) -> Tensor:
        return self.policy.denominator(batch)
