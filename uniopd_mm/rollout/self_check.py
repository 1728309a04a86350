"""Checks that the rollout engine samples from the model that is trained, by comparing log-probs token by token."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from uniopd_mm.data.collate import collate_rollouts, to_device
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.types import Rollout, UserError


def check_self_check(every: int, num_rollouts: int, tolerance: float | None) -> None:
    """Raises UserError if the self-check could never fail."""
    if every < 0:
        raise UserError(f"rollout.engine.check_every={every} must not be negative; use 0 for no checks")
    if num_rollouts < 1:
        raise UserError(f"rollout.engine.check_rollouts={num_rollouts} must be at least 1")
    if tolerance is not None and not tolerance > 0:
        raise UserError(f"rollout.engine.check_tolerance={tolerance} must be above 0, or null")


@final
class SelfCheck:
    """Compares the engine's log-probs of some rollouts with those of the trainer's own forward pass.

    Args:
        backbone: the student in training.
        every: weight syncs between two checks; 0 for no checks. The first check comes before the first sync.
        num_rollouts: rollouts compared each time, evenly spread over the batch.
        tolerance: mean absolute difference in nats per token above which the run stops.
    """

    def __init__(self, backbone: Backbone, *, every: int, num_rollouts: int, tolerance: float) -> None:
        self.backbone = backbone
        self.every = every
        self.num_rollouts = num_rollouts
        self.tolerance = tolerance
        self._syncs = 0
        self._due = every > 0

    def count_sync(self) -> None:
        """Call it when the engine has new weights."""
        self._syncs += 1
        self._due |= self.every > 0 and (self._syncs == 1 or self._syncs % self.every == 0)

    def __call__(self, rollouts: Sequence[Rollout], temperature: float) -> None:
        """Check the rollouts, if a check is due and they were sampled.

        Raises:
            UserError: the log-probs differ by more than the tolerance; the error has both values of the worst token.
        """
        nonempty = [rollout for rollout in rollouts if len(rollout.response_ids)]
        if not self._due or not nonempty or temperature == 0:  # greedy decoding says little about the policy
            return
        self._due = False
        step = max(1, len(nonempty) // self.num_rollouts)
        for rollout in nonempty[::step][: self.num_rollouts]:
            self._compare(rollout, self._logprobs(rollout, temperature))

    @torch.no_grad()
    def _logprobs(self, rollout: Rollout, temperature: float) -> Tensor:
        """Log-probs f32[R] of the response under the student."""
        tokens = to_device(collate_rollouts([rollout], 0), self.backbone.device)
        return self.backbone(tokens, temperature=temperature)[0].cpu()

    def _compare(self, rollout: Rollout, logprobs: Tensor) -> None:
        differences = (rollout.logprobs - logprobs).abs()
        mean, worst = differences.mean().item(), int(differences.argmax())
        if not mean <= self.tolerance:  # also if it is NaN
            raise UserError(
                f"rollout.engine: after {self._syncs} weight syncs the engine does not sample from the trained model: "
                f"token {worst} of the response to {rollout.prompt.sample.sample_id} has log-prob "
                f"{rollout.logprobs[worst]:.4f} in the engine and {logprobs[worst]:.4f} in the trainer; the mean "
                f"difference of {mean:.3g} nats is above rollout.engine.check_tolerance={self.tolerance}"
            )
