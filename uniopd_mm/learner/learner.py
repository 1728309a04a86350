"""One optimizer step of the student, accumulated over micro-batches and equal to that of the whole batch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate, collate_rollouts, to_device
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.distill.batch import Batch
from uniopd_mm.distill.choices import Gradient
from uniopd_mm.distill.objective import Objective
from uniopd_mm.learner.weights import exported
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.models.checkpointing import recomputing
from uniopd_mm.runtime.world import World
from uniopd_mm.types import TeacherScores, Trajectory, UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """Metrics of one update: `values` over all processes; `sums` over the tokens of each of this process's n
    trajectories, f64[n]."""

    values: Mapping[str, float]
    sums: Mapping[str, Tensor]


@final
class Learner:
    """AdamW with warm-up, gradient clipping and exact accumulation.

    The gradient is that of the loss reduced over all samples of all processes, however they are split: a micro-batch is
    weighted by its share of the global denominator, and means of micro-batches are not averaged.
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
        """One optimizer step. If the gradient is not finite or exactly zero, or no token has a learning signal, the
        step is skipped: `skipped_updates` is 1, and weights, moments and schedule do not change."""
        parts = self._parts(trajectories)
        batches = [collate([trajectories[index] for index in part], self.pad_id) for part in parts]
        shares, teaches = self._shares(batches), self._teaches(batches)
        with recomputing(self.student.model):
            done = [
                self._backward(batch, share, sync=batch is batches[-1])
                for batch, share in zip(batches, shares, strict=True)
            ]
        loss = sum(self.world.gather(sum(loss for loss, _ in done)))
        rates = {"learning_rate": float(self.schedule.get_last_lr()[0]), **self._step(teaches)}
        return Update(values={"loss": loss, **rates}, sums=_in_order(parts, [sums for _, sums in done]))

    @torch.no_grad()
    def with_own_logprobs(self, trajectories: Sequence[Trajectory], temperature: float) -> list[Trajectory]:
        """The trajectories with the student's own log-probs of their tokens, before the update. This is one more
        forward pass over the step, in the micro-batches of `update`."""
        found: dict[int, Tensor] = {}
        for part in self._parts(trajectories):
            rollouts = [trajectories[index].rollout for index in part]
            tokens = to_device(collate_rollouts(rollouts, self.pad_id), self.student.device)
            logprobs = self.student(tokens, temperature)[0].float().cpu()
            found |= zip(part, logprobs.split([len(rollout.response_ids) for rollout in rollouts]), strict=True)
        return [replace(trajectory, student_logprobs=found[index]) for index, trajectory in enumerate(trajectories)]

    def _parts(self, trajectories: Sequence[Trajectory]) -> list[list[int]]:
        """The trajectory indices of each micro-batch. Whole distributions come from a teacher's output embedding, so a
        micro-batch has those of one teacher only."""
        heads = [t.scores.head if isinstance(t.scores, TeacherScores) else None for t in trajectories]
        any_head = next((head for head in heads if head is not None), None)  # for trajectories whose teacher failed
        by_head: dict[int, list[int]] = {}
        for index, head in enumerate(heads):
            by_head.setdefault(id(any_head if head is None else head), []).append(index)
        return [
            [own[place] for place in part]
            for own in by_head.values()
            for part in by_token_budget([trajectories[index].rollout.num_tokens for index in own], self.max_tokens)
        ]

    def _step(self, teaches: bool) -> Mapping[str, float]:
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.max_grad_norm)
        applied = bool(norm.isfinite()) and bool(norm > 0) and teaches  # AdamW moves weights even at gradient 0
        if applied:
            self.optimizer.step()
            self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"grad_norm": norm.item(), "skipped_updates": float(not applied)}

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """The student's weights by their checkpoint names, including tied ones; see `exported`."""
        return exported(self.student.model)

    def state_dict(self) -> dict[str, Any]:
        """Optimizer and schedule; the weights are saved separately."""
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def _shares(self, batches: Sequence[Batch]) -> list[float]:
        """Each micro-batch's share of the global denominator: they sum to 1 over all processes, or are all 0."""
        counts = [int(self.objective.denominator(batch)) for batch in batches]
        total = sum(self.world.gather(sum(counts)))
        return [count / max(1, total) for count in counts]

    def _teaches(self, batches: Sequence[Batch]) -> bool:
        """Whether any token of any process has a weight and, where the recipe uses advantages, an advantage."""
        weighted = [batch.tokens.loss_mask & (batch.weights != 0)[:, None] for batch in batches]
        if self.objective.needs.gradient is Gradient.ADVANTAGE:
            weighted = [mask & (batch.advantages != 0) for mask, batch in zip(weighted, batches, strict=True)]
        return any(self.world.gather(any(bool(mask.any()) for mask in weighted)))

    def _backward(self, batch: Batch, share: float, *, sync: bool) -> tuple[float, Mapping[str, Tensor]]:
        """The micro-batch's share of the loss, and its per-sample sums. The last one averages gradients over the
        processes (`sync`), which is why the loss is multiplied by their number."""
        with nullcontext() if sync else self.world.without_sync(self.policy):
            loss, sums = self.objective.loss(self.policy, to_device(batch, self.student.device))
            (loss * share * self.world.size).backward()
        return loss.item() * share, sums


def _in_order(parts: Sequence[Sequence[int]], sums: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """The micro-batches' values [n], in the order of the trajectories.

    Raises:
        UserError: the objective measures other things on some micro-batches than on others.
    """
    every = {name for part in sums for name in part}
    if differing := {name for name in every if not all(name in part for part in sums)}:
        raise UserError(
            f"recipe.objective: its loss returns {', '.join(sorted(differing))} for some micro-batches only; return "
            "the same sums for all of them, zeros where there is nothing to add up"
        )
    order = torch.argsort(torch.tensor([index for part in parts for index in part]))
    return {name: torch.cat([part[name].cpu() for part in sums])[order] for name in sums[0]}
