"""A teacher in vLLM, in this process: exactly the sampled ids and the prompt's media, scored as a prompt."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any, final

import torch
from torch import Tensor

from uniopd_mm.inference.engine import Declined, VLLMEngine
from uniopd_mm.inference.requests import engine_prompt
from uniopd_mm.types import Failure, Rollout, TeacherScores


@final
class VLLMTeacher:
    """Scores with a `VLLMEngine` a student's token ids, at temperature 1.

    Args:
        name: stands in records and tables.
        top_k: likeliest tokens that come with each score; 0 for none.
    """

    def __init__(self, name: str, engine: VLLMEngine, *, top_k: int = 0) -> None:
        self._name = name
        self.engine = engine
        self.top_k = top_k

    @property
    def name(self) -> str:
        return self._name

    @property
    def overlaps(self) -> bool:
        return False

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """See `Teacher.score`. A response that vLLM reads behind another prompt than the student's is a failure."""
        requests = [(engine_prompt(rollout.prompt, rollout.response_ids), self._parameters()) for rollout in rollouts]
        with closing(self.engine.run(requests)) as answers:
            scores = {index: self._scores(rollouts[index], output) for index, output in answers}
        return [scores[index] for index in range(len(rollouts))]

    @property
    def _likeliest(self) -> int:
        """Tokens asked for at each place; one is always needed to tell whether the student agrees."""
        return min(max(1, self.top_k), self.engine.vocab_size)

    def _parameters(self) -> Any:
        from vllm import SamplingParams  # optional
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            max_tokens=1,
            temperature=0,
            prompt_logprobs=self._likeliest,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _scores(self, rollout: Rollout, output: Any) -> TeacherScores | Failure:
        if isinstance(output, Declined):
            return Failure(teacher=self.name, reason=output.reason)
        prompt, length = rollout.prompt.token_ids, len(rollout.prompt.token_ids)
        if output.prompt_token_ids[:length] != prompt.tolist():
            reason = f"reads a prompt of {length} tokens as {len(output.prompt_token_ids) - len(rollout.response_ids)}"
            return Failure(teacher=self.name, reason=f"{reason}, or as others")
        ids, logprobs = _places(output.prompt_logprobs, length, 1 + self._likeliest)
        if logprobs[:, 0].isnan().any():
            return Failure(teacher=self.name, reason="NaN log-probs")
        return TeacherScores(
            teacher=self.name,
            token_ids=torch.tensor(output.prompt_token_ids[length:], dtype=torch.int64),
            logprobs=logprobs[:, 0],
            top_ids=ids[:, 1],
            topk_ids=ids[:, 1:] if self.top_k else None,
            topk_logprobs=logprobs[:, 1:] if self.top_k else None,
        )


def _places(flat: Any, length: int, width: int) -> tuple[Tensor, Tensor]:
    """Ids i64[R, width] and log-probs f32[R, width] behind a prompt of `length` tokens: at each place the token that
    stands there, then the likeliest in order, of which it may be one. The first token of all has no place."""
    places = len(flat.start_indices) - 1
    ids = torch.tensor(flat.token_ids, dtype=torch.int64).view(places, width)
    logprobs = torch.tensor(flat.logprobs, dtype=torch.float32).view(places, width)
    return ids[length - 1 :], logprobs[length - 1 :]
