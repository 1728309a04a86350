"""Generalised knowledge distillation (GKD, arXiv 2306.13649) on the student's own responses.

Compares whole distributions token by token and back-propagates the divergence.

Needs the teacher's distribution at every token: its hidden states and head (`top_k` null), or its top-k tokens and one
bucket for all others. Used as a detached advantage, such a divergence would have an expected gradient of zero; this is
refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from torch import Tensor

from uniopd_mm.distill.batch import Batch, TeacherTokens
from uniopd_mm.distill.choices import Gradient
from uniopd_mm.distill.divergence import full_divergence, topk_divergence
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.logprobs import logits_of, unshifted
from uniopd_mm.distill.objective import Needs, StudentForward, reduce, token_rewards
from uniopd_mm.distill.policy import PolicyLoss, agreement, token_sums
from uniopd_mm.types import Head, UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralizedDistillation:
    """min JSD_beta(pi_T, pi) at every token. Of `policy`, only temperatures and reduction matter.

    `beta` 0 is the forward KL, 1 the reverse KL. `top_k` compares that many of the teacher's tokens and, with `tail`,
    the probability mass of all others. null compares the whole vocabulary.
    """

    policy: PolicyLoss
    beta: float = 0.5
    top_k: int | None = None
    tail: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise UserError(f"recipe.objective.beta={self.beta} must lie between 0 (forward KL) and 1 (reverse KL)")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"recipe.objective.top_k={self.top_k} must be at least 1, or null for the whole vocabulary")
        if self.top_k is None and not self.tail:
            raise UserError(
                "recipe.objective.tail=false: the whole vocabulary has no tail to leave out; set "
                "recipe.objective.top_k=64, or leave it out"
            )
        if self.top_k == 1 and not self.tail:
            raise UserError(
                "recipe.objective.top_k=1: a single token, renormalised, has probability 1 on both sides, so the "
                "loss is always zero; set recipe.objective.tail=true"
            )

    @property
    def needs(self) -> Needs:
        return Needs(hidden=self.top_k is None, top_k=self.top_k or 0, settings=frozenset(), gradient=Gradient.BACKPROP)

    def token_rewards(self, evidence: Evidence) -> Tensor:
        """log pi_T - log pi_old f32[N, R], only for the diagnostics."""
        assert evidence.teacher_logprobs is not None
        return token_rewards(evidence.teacher_logprobs, evidence.old_logprobs)

    def advantages(self, rewards: Tensor, evidence: Evidence) -> Tensor:
        return rewards

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        mask = batch.tokens.loss_mask
        read = self._reader(batch.teacher_tokens) if mask.any() else _zero_loss
        _, entropy, top_ids, divergence = student(batch.tokens, self.policy.temperature, read=read)
        losses = unshifted(divergence, mask) * batch.weights[:, None]
        sums = token_sums(mask, entropy=unshifted(entropy, mask), divergence=unshifted(divergence, mask))
        return reduce(losses, mask, self.policy.reduction), {**sums, **agreement(batch, top_ids)}

    def denominator(self, batch: Batch) -> Tensor:
        return self.policy.denominator(batch)

    def _reader(self, teacher: TeacherTokens) -> Callable[..., tuple[Tensor, ...]]:
        if self.top_k is None:
            assert teacher.hidden is not None and teacher.head is not None, "`needs` requests them"
            return partial(
                full_divergence,
                teacher_states=teacher.hidden,
                teacher_head=teacher.head,
                teacher_temperature=self.policy.temperature_of_teacher,
                beta=self.beta,
            )
        assert teacher.topk_ids is not None and teacher.topk_logprobs is not None, "`needs` requests them"
        return partial(
            topk_divergence,
            topk_ids=teacher.topk_ids,
            topk_logprobs=teacher.topk_logprobs,
            beta=self.beta,
            tail=self.tail,
        )


def _zero_loss(states: Tensor, head: Head, targets: Tensor, **settings: Any) -> tuple[Tensor, ...]:
    """The reader for a batch without tokens, which has no teacher scores. Its gradient is zero."""
    empty = logits_of(states, head).sum(-1)
    return empty, empty, targets, empty
