"""Rollouts with transformers' own generation: the engine that runs everywhere, even on a laptop's CPU.

Every response has its own random numbers (`data.seeds`), turned into tokens by inverse-CDF sampling, so the rest of the
batch cannot change it. Leaves out: paged attention and continuous batching; use `rollout=vllm` for large models.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from uniopd_mm.data.collate import left_padded, to_device
from uniopd_mm.data.seeds import draw
from uniopd_mm.distill.logprobs import log_softmax
from uniopd_mm.interfaces import Finished, Processor
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling, TokenBatch


@final
class HFRollout:
    """Generates with the student's own module, so new weights need not be copied.

    Args:
        backbone: the model; it generates under the same autocast as in scoring.
        processor: the processor of the model.
        max_batch_size: sequences generated at a time.
    """

    def __init__(self, backbone: Backbone, processor: Processor, *, max_batch_size: int = 64) -> None:
        self.backbone = backbone
        self.processor = processor
        self.vocabulary = processor.vocabulary
        self.max_batch_size = max_batch_size

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`."""
        pairs = [(group, index) for group in range(len(prompts)) for index in range(num_samples)]
        rollouts: list[Rollout] = []
        groups: list[list[Rollout]] = []
        for start in range(0, len(pairs), self.max_batch_size):
            rollouts += self._generate_batch(prompts, pairs[start : start + self.max_batch_size], sampling)
            complete = range(len(groups) * num_samples, len(rollouts) - num_samples + 1, num_samples)
            groups += (new := [rollouts[first : first + num_samples] for first in complete])
            if finished:
                for group in new:
                    finished(group)
        return groups

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Copy the weights that are not already this module's own tensors."""
        own = self.backbone.model.state_dict()
        for name, tensor in named_tensors:
            if own[name].data_ptr() != tensor.data_ptr():
                own[name].copy_(tensor)

    def _generate_batch(
        self, prompts: Sequence[Prompt], pairs: Sequence[tuple[int, int]], sampling: Sampling
    ) -> list[Rollout]:
        """One rollout for each (index of the prompt, index among its rollouts)."""
        chosen = [prompts[group] for group, _ in pairs]
        tokens = to_device(left_padded(chosen, self.vocabulary.pad_id), self.backbone.device)
        uniforms = [draw(prompts[group], index, sampling) for group, index in pairs]
        sampler = Sampler(
            torch.stack(uniforms).to(self.backbone.device), sampling.temperature, self.vocabulary.banned_ids
        )
        ending = StopStrings(self.processor, sampling.stop_strings, tokens.input_ids.shape)
        responses = self._run(tokens, sampler, ending, sampling).cpu()
        logprobs = torch.stack(sampler.logprobs, dim=1).cpu()
        return [
            self._rollout(prompt, group, ids[:end] if end else ids, values, bool(end), sampling)
            for prompt, (group, _), ids, values, end in zip(
                chosen, pairs, responses, logprobs, ending.ends, strict=True
            )
        ]

    @torch.no_grad()
    def _run(self, tokens: TokenBatch, sampler: "Sampler", ending: "StopStrings", sampling: Sampling) -> Tensor:
        """Response ids i64[N, R], padded on the right."""
        # Features of plain text are all 0, and a text-only model does not accept them.
        features = {name: values for name, values in tokens.token_features.items() if values.any()}
        with self.backbone.autocast(), _without_own_generation_config(self.backbone.model):
            sequences = self.backbone.model.generate(
                input_ids=tokens.input_ids,
                attention_mask=tokens.attention_mask.long(),
                **tokens.media,
                **features,
                logits_processor=LogitsProcessorList([sampler]),
                stopping_criteria=StoppingCriteriaList([ending] if ending.strings else []),
                generation_config=self._generation_config(sampling.max_new_tokens),
            )
        return sequences[:, tokens.input_ids.shape[1] :]

    def _generation_config(self, max_new_tokens: int) -> GenerationConfig:
        """Plain decoding; the sampler chooses the tokens."""
        return GenerationConfig(
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(self.vocabulary.stop_ids),
            pad_token_id=self.vocabulary.pad_id,
        )

    def _rollout(
        self, prompt: Prompt, group: int, ids: Tensor, logprobs: Tensor, ended: bool, sampling: Sampling
    ) -> Rollout:
        length, reason = self._end(ids)
        return Rollout(
            prompt=prompt,
            group_id=group,
            response_ids=ids[:length].clone(),
            logprobs=logprobs[:length].clone(),
            finish_reason=FinishReason.STOP if ended else reason,
            policy_step=sampling.policy_step,
        )

    def _end(self, ids: Tensor) -> tuple[int, FinishReason]:
        """The length including the stop token, and why the response ended. ids: i64[R]."""
        stops = torch.isin(ids, torch.tensor(self.vocabulary.stop_ids)).nonzero()
        if len(stops):
            return int(stops[0]) + 1, FinishReason.STOP
        return len(ids), FinishReason.LENGTH


@contextmanager
def _without_own_generation_config(model: PreTrainedModel) -> Iterator[None]:
    """Replaces the checkpoint's generation config by an empty one. `generate` reads all unset parameters from it, and
    its penalties, suppressed tokens and so on would change the sampling policy."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


class StopStrings(StoppingCriteria):
    """Ends a response at the token that completes one of `strings`.

    Args:
        shape: N, L of the padded prompts.

    Attributes:
        ends: length of each of the N responses that ended at a stop string, 0 for the others.
    """

    def __init__(self, processor: Processor, strings: tuple[str, ...], shape: tuple[int, ...]) -> None:
        self.processor = processor
        self.strings = strings
        self.ends = [0] * shape[0]
        self._prompt_length = shape[1]
        # Every token is at least one byte of text, except special tokens, of which a few may come in between.
        self._window = max((len(string.encode()) for string in strings), default=0) + 4

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        """input_ids i64[N, L + tokens so far] -> bool[N], whether each response has ended."""
        responses = input_ids[:, self._prompt_length :]
        for row, tail in enumerate(responses[:, -self._window :]):
            if not self.ends[row] and any(string in self.processor.decode(tail) for string in self.strings):
                self.ends[row] = responses.shape[1]
        return torch.tensor([end > 0 for end in self.ends], device=input_ids.device)


class Sampler(LogitsProcessor):
    """Chooses each next token itself, so that the decoding loop has no choice.

    Args:
        uniforms: f64[N, max_new_tokens] in [0, 1), one for each token.
        temperature: of the sampling policy; 0 chooses the likeliest token and records its log-prob at temperature 1.
    """

    def __init__(self, uniforms: Tensor, temperature: float, banned_ids: tuple[int, ...]) -> None:
        self.uniforms = uniforms
        self.temperature = temperature
        self.banned_ids = banned_ids
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """scores f32[N, V] -> the same shape, -inf except at the chosen token."""
        distribution = log_softmax(scores, self.temperature or 1.0, self.banned_ids)
        chosen = self._choose(distribution)
        self.logprobs.append(distribution.gather(1, chosen).squeeze(1))
        return torch.full_like(scores, float("-inf")).scatter(1, chosen, 0.0)

    def _choose(self, distribution: Tensor) -> Tensor:
        """Token ids i64[N, 1] by inverse CDF; in float64, in which 150,000 probabilities sum without visible error."""
        if self.temperature == 0:
            return distribution.argmax(-1, keepdim=True)
        cumulative = distribution.double().exp().cumsum(-1)
        point = self.uniforms[:, len(self.logprobs)].unsqueeze(1) * cumulative[:, -1:]
        return torch.searchsorted(cumulative, point, right=True)
