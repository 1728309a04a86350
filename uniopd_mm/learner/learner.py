"""The student's optimisation: one update from micro-batches, as if they were one batch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from uniopd_mm.backbone import Backbone
from uniopd_mm.config import TrainerConfig
from uniopd_mm.data.collate import batch_to_device
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.types import Batch


@final
class Learner:
    """AdamW with warm-up, gradient clipping and exact accumulation.

    The gradient of an update is that of the reduced loss over all its samples, however they are split: each
    micro-batch counts by its share of the global denominator, never as one of several means.
    """

    def __init__(self, student: Backbone, objective: OnPolicyDistillation, config: TrainerConfig) -> None:
        self.student = student
        self.objective = objective
        self.max_grad_norm = config.max_grad_norm
        self.optimizer = torch.optim.AdamW(
            student.parameters(),
            lr=config.learning_rate,
            betas=(config.betas[0], config.betas[1]),
            weight_decay=config.weight_decay,
        )
        warmup = config.warmup_steps
        self.schedule = LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / (warmup + 1)))

    def update(self, microbatches: Sequence[Batch]) -> Mapping[str, float]:
        """One optimizer step. With a gradient that is not finite, or without a token that takes part, weights,
        moments and schedule stay as they are and `skipped_updates` is 1."""
        shares = self._shares(microbatches)
        self.student.train(self.student.model.is_gradient_checkpointing)  # it only happens in training mode
        parts = [self._backward(batch, share) for batch, share in zip(microbatches, shares, strict=True)]
        self.student.eval()
        learning_rate = float(self.schedule.get_last_lr()[0])
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.max_grad_norm)
        applied = bool(norm.isfinite()) and any(shares)  # AdamW moves weights by decay and momentum at gradient 0 too
        if applied:
            self.optimizer.step()
            self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        rates = {"grad_norm": norm.item(), "learning_rate": learning_rate, "skipped_updates": float(not applied)}
        return {**_means(parts), **rates}

    def named_weights(self) -> Iterable[tuple[str, Tensor]]:
        """The student's weights under the checkpoint's names, tied ones included."""
        return self.student.model.state_dict().items()

    def state_dict(self) -> dict[str, Any]:
        """Optimizer and schedule; the weights are saved as a checkpoint."""
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def _shares(self, microbatches: Sequence[Batch]) -> list[float]:
        """Each micro-batch's part of the update, adding up to 1 (or all 0 where no token takes part)."""
        counts = [int(self.objective.denominator(batch)) for batch in microbatches]
        return [count / max(1, sum(counts)) for count in counts]

    def _backward(self, batch: Batch, share: float) -> Mapping[str, Tensor]:
        loss, metrics = self.objective.loss(self.student, batch_to_device(batch, self.student.device))
        (loss * share).backward()
        return {**metrics, "loss": loss.detach() * share}


def _means(parts: Sequence[Mapping[str, Tensor]]) -> Mapping[str, float]:
    """Sums over the micro-batches; per token, but for the loss, whose parts add up to the whole."""
    sums = {name: sum(part[name].double() for part in parts) for name in parts[0]}
    tokens = max(1.0, float(sums.pop("tokens")))
    per_token: dict[str, float] = {name: float(sums[name]) / tokens for name in sums if name != "loss"}
    return {"loss": float(sums["loss"]), **per_token}
