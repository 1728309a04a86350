"""The student's optimisation: one update from micro-batches, as if they were one batch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate, to_device
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.distill.choices import Gradient
from uniopd_mm.distill.objective import Objective
from uniopd_mm.learner.weights import exported
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Batch, TeacherScores, Trajectory


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """What one update measured: `values` over all processes, and `sums` over each trajectory's tokens f64[n] on this
    one."""

    values: Mapping[str, float]
    sums: Mapping[str, Tensor]


@final
class Learner:
    """AdamW with warm-up, gradient clipping and exact accumulation.

    The gradient of an update is that of the reduced loss over all its samples, however they are split: each
    micro-batch counts by its share of the global denominator, over all processes, never as one of several means.
    """

    def __init__(
        self, student: Backbone, objective: Objective, config: TrainerConfig, *, pad_id: int, world: World
    ) -> None:
        self.student = student
        self.pad_id = pad_id
        self.max_tokens = config.tokens_per_microbatch
        self.objective = objective
        self.world = world
        self.policy = world.wrapped(student)
        self.max_grad_norm = config.max_grad_norm
        self.optimizer = torch.optim.AdamW(
            student.parameters(),
            lr=config.learning_rate,
            betas=(config.betas[0], config.betas[1]),
            weight_decay=config.weight_decay,
        )
        warmup = config.warmup_steps
        self.schedule = LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / (warmup + 1)))

    def update(self, trajectories: Sequence[Trajectory]) -> Update:
        """One optimizer step. With a gradient that is not finite, or without a token that teaches anything, weights,
        moments and schedule stay as they are and `skipped_updates` is 1."""
        parts = self._parts(trajectories)
        batches = [collate([trajectories[index] for index in part], self.pad_id) for part in parts]
        shares, teaches = self._shares(batches), self._teaches(batches)
        self.student.train(self.student.model.is_gradient_checkpointing)  # it only happens in training mode
        done = [
            self._backward(batch, share, sync=batch is batches[-1])
            for batch, share in zip(batches, shares, strict=True)
        ]
        self.student.eval()
        loss = sum(self.world.gather(sum(loss for loss, _ in done)))
        rates = {"learning_rate": float(self.schedule.get_last_lr()[0]), **self._step(teaches)}
        return Update(values={"loss": loss, **rates}, sums=_in_order(parts, [sums for _, sums in done]))

    def _parts(self, trajectories: Sequence[Trajectory]) -> list[list[int]]:
        """Indices of micro-batches. Whole distributions of different teachers come from different output embeddings,
        and each micro-batch has one."""
        heads = [t.scores.head if isinstance(t.scores, TeacherScores) else None for t in trajectories]
        anybodys = next((head for head in heads if head is not None), None)  # where a failure may stand as well
        by_head: dict[int, list[int]] = {}
        for index, head in enumerate(heads):
            by_head.setdefault(id(anybodys if head is None else head), []).append(index)
        return [
            [own[place] for place in part]
            for own in by_head.values()
            for part in by_token_budget([trajectories[index].rollout.num_tokens for index in own], self.max_tokens)
        ]

    def _step(self, teaches: bool) -> Mapping[str, float]:
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.max_grad_norm)
        applied = bool(norm.isfinite()) and teaches  # AdamW moves weights by decay and momentum at gradient 0 too
        if applied:
            self.optimizer.step()
            self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"grad_norm": norm.item(), "skipped_updates": float(not applied)}

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """The student's weights under the checkpoint's names, tied ones included; see `exported`."""
        return exported(self.student.model)

    def state_dict(self) -> dict[str, Any]:
        """Optimizer and schedule; the weights are saved as a checkpoint."""
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def _shares(self, batches: Sequence[Batch]) -> list[float]:
        """Each micro-batch's part of the update, adding up to 1 over all processes; all 0 where no token is in it."""
        counts = [int(self.objective.denominator(batch)) for batch in batches]
        total = sum(self.world.gather(sum(counts)))
        return [count / max(1, total) for count in counts]

    def _teaches(self, batches: Sequence[Batch]) -> bool:
        """Whether any token, on any process, has a weight and, where advantages count, an advantage."""
        weighted = [batch.tokens.loss_mask & (batch.weights != 0)[:, None] for batch in batches]
        if self.objective.needs.gradient is Gradient.ADVANTAGE:
            weighted = [mask & (batch.advantages != 0) for mask, batch in zip(weighted, batches, strict=True)]
        return any(self.world.gather(any(bool(mask.any()) for mask in weighted)))

    def _backward(self, batch: Batch, share: float, *, sync: bool) -> tuple[float, Mapping[str, Tensor]]:
        """The micro-batch's part of the loss, and its per-sample sums. Only the last of a process waits for the
        others, whose gradients are averaged: hence times their number."""
        with nullcontext() if sync else self.world.without_sync(self.policy):
            loss, sums = self.objective.loss(self.policy, to_device(batch, self.student.device))
            (loss * share * self.world.size).backward()
        return loss.item() * share, sums


def _in_order(parts: Sequence[Sequence[int]], sums: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Micro-batches' values [n] in the order of the trajectories they were made of."""
    order = torch.argsort(torch.tensor([index for part in parts for index in part]))
    return {name: torch.cat([part[name].cpu() for part in sums])[order] for name in sums[0]}
