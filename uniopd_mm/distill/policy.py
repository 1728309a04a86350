"""The clipped policy loss, shared by every objective that uses advantages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from uniopd_mm.distill.advantages import importance_weights, mismatch_kl
from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.logprobs import unshifted
from uniopd_mm.distill.objective import StudentForward, clipped_token_losses, denominator, reduce


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyLoss:
    """The defaults are the reference's (arXiv 2605.03677).

    `temperature` divides the student's logits, and `teacher_temperature` the teacher's; None is the same. A student at
    temperature T that learns from a teacher at temperature 1 learns T times the teacher's logits.
    `advantage_clip` is for small students, whose token rewards reach tens of nats. A token of teacher probability 0 has
    no finite reward, which no clip changes: it counts in no return, and its loss is dropped.

    `correction` (see `Correction`) is
    for a rollout engine whose log-probs differ from the trainer's. The importance ratio then uses the trainer's
    log-probs only, and the difference to the engine becomes a weight. Rewards, returns and margins are measured from
    the trainer's log-probs as well (see `Learner.with_own_logprobs`): from the engine's, the update would stop where
    the engine, and not the trained model, is the teacher's copy.
    """

    temperature: float
    teacher_temperature: float | None = None
    clip_low: float = 0.2
    clip_high: float = 0.28
    gate: float = 10.0
    advantage_clip: float | None = None
    reduction: str = "sample_mean"
    correction: str = "none"
    correction_cap: float = 2.0

    @property
    def temperature_of_teacher(self) -> float:
        return self.temperature if self.teacher_temperature is None else self.teacher_temperature

    def loss(self, student: StudentForward, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The batch's reduced loss, and sums over each sample's tokens f64[N] (see `diagnostics.describe`)."""
        mask = batch.tokens.loss_mask
        read, entropy, top_ids = student(batch.tokens, self.temperature)
        logprobs = unshifted(read, mask)
        weights = importance_weights(
            logprobs, batch.old_logprobs, mask, correction=self.correction, cap=self.correction_cap
        )
        on_policy = self.correction == "none"
        ratio, losses, clipped, gated = clipped_token_losses(
            logprobs,
            batch.old_logprobs if on_policy else logprobs.detach(),
            batch.advantages * batch.weights[:, None] * weights,
            batch.teacher_logprobs,
            mask,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            gate=self.gate,
        )
        sums = token_sums(
            mask,
            entropy=unshifted(entropy, mask),
            ratio=ratio if on_policy else torch.exp(logprobs - batch.old_logprobs),
            clipped=clipped,
            gated=gated,
            mismatch=mismatch_kl(logprobs, batch.old_logprobs),
        )
        return reduce(losses, mask, self.reduction), {**sums, **agreement(batch, top_ids)}

    def denominator(self, batch: Batch) -> Tensor:
        """See `Objective.denominator`."""
        return denominator(batch.tokens.loss_mask, self.reduction)


def agreement(batch: Batch, top_ids: Tensor) -> Mapping[str, Tensor]:
    """Per sample, the number of tokens whose most likely id is the same for student (`top_ids` i64[M]) and teacher, and
    the number of tokens compared: 0 if the teacher's ids are unknown."""
    teacher_ids, mask = batch.teacher_tokens.top_ids, batch.tokens.loss_mask
    compared = torch.zeros_like(top_ids) if teacher_ids is None else torch.ones_like(top_ids)
    same = compared if teacher_ids is None else (teacher_ids == top_ids).long()
    named = {"agreement": same, "agreement_tokens": compared}
    return {name: unshifted(value, mask).sum(-1).double() for name, value in named.items()}


def token_sums(mask: Tensor, **values: Tensor) -> Mapping[str, Tensor]:
    """Sums f64[N] of detached values [N, T] over `mask`, and the mask's count as `tokens`."""
    sums = {name: value.detach().double().masked_fill(~mask, 0).sum(-1) for name, value in values.items()}
    return {"tokens": mask.sum(-1).double(), **sums}
