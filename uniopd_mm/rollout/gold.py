"""The dataset's own responses instead of rollouts, for `recipe=sft recipe.responses=GOLD`."""

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor

from uniopd_mm.interfaces import Finished, Processor
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling


@final
class GoldResponses:
    """An engine that returns the sample's demonstration, with log-probs of 0."""

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`. Every sample must have a demonstration."""
        return [[self._rollout(prompt, group, sampling)] * num_samples for group, prompt in enumerate(prompts)]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """There is no model."""

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
