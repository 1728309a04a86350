"""A teacher in vLLM, in this process: it scores exactly the sampled ids and the prompt's media, as one prompt."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any, final

import torch
from torch import Tensor

from uniopd_mm.inference.engine import Declined, VLLMEngine
from uniopd_mm.inference.requests import engine_prompt
from uniopd_mm.teachers.router import impossible
from uniopd_mm.types import Failure, Rollout, TeacherScores


@final
class VLLMTeacher:
    """Scores a student's token ids with a `VLLMEngine`.

    Args:
        name: of the teacher, in records and tables.
        top_k: likeliest tokens that each score includes; 0 for none.
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

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        """See `Teacher.score`. If vLLM expands the prompt to other ids than the student's, the score is a failure."""
        requests = [(engine_prompt(rollout.prompt, rollout.response_ids), self._parameters()) for rollout in rollouts]
        with closing(self.engine.run(requests, temperature)) as outputs:
            scores = {index: self._scores(rollouts[index], output) for index, output in outputs}
        return [scores[index] for index in range(len(rollouts))]

    @property
    def _likeliest(self) -> int:
        """Likeliest tokens to request; at least one, to measure how often the student agrees with it."""
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
            found = len(output.prompt_token_ids) - len(rollout.response_ids)
            reason = f"expanded the prompt to other token ids ({found} tokens, expected {length})"
            return Failure(teacher=self.name, reason=reason)
        ids, logprobs = _response_logprobs(output.prompt_logprobs, length, 1 + self._likeliest)
        if fault := impossible(logprobs[:, 0]):
            return Failure(teacher=self.name, reason=fault)
        return TeacherScores(
            teacher=self.name,
            token_ids=torch.tensor(output.prompt_token_ids[length:], dtype=torch.int64),
            logprobs=logprobs[:, 0],
            top_ids=ids[:, 1],
            topk_ids=ids[:, 1:] if self.top_k else None,
            topk_logprobs=logprobs[:, 1:] if self.top_k else None,
        )


def _response_logprobs(flat: Any, length: int, width: int) -> tuple[Tensor, Tensor]:
    """Ids i64[R, width] and log-probs f32[R, width] after a prompt of `length` tokens. Each row has the response's own
    token, then the likeliest ones in order, which may repeat it. vLLM has no row for the first token of all."""
    num_rows = len(flat.start_indices) - 1
    ids = torch.tensor(flat.token_ids, dtype=torch.int64).view(num_rows, width)
    logprobs = torch.tensor(flat.logprobs, dtype=torch.float32).view(num_rows, width)
    return ids[length - 1 :], logprobs[length - 1 :]
