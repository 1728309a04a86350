"""Responses that the rows bring with them, in the place of rollouts: for `recipe=sft recipe.responses=GOLD`."""

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor

from uniopd_mm.interfaces import Finished, Processor
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling


@final
class GoldResponses:
    """A writer that repeats the sample's demonstration; it is certain of it, so every log-prob is 0."""

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`. The prompts' samples have demonstrations."""
        return [[self._rollout(prompt, group, sampling)] * num_samples for group, prompt in enumerate(prompts)]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """It has none."""

    def _rollout(self, prompt: Prompt, group: int, sampling: Sampling) -> Rollout:
        assert prompt.sample.demonstration is not None
        ids = self.processor.encode_response(prompt.sample.demonstration)
        cut = len(ids) > sampling.max_new_tokens
        return Rollout(
            prompt=prompt,
            group_id=group,
            response_ids=ids[: sampling.max_new_tokens],
            logprobs=torch.zeros(min(len(ids), sampling.max_new_tokens)),
            finish_reason=FinishReason.LENGTH if cut else FinishReason.STOP,
            policy_step=sampling.policy_step,
        )
