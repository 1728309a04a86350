"""Rollouts with vLLM in the trainer's process, on the student's latest weights: the engine for large models.

A prompt's seed comes from `data.seeds`, so the rest of the batch cannot change its responses.
vLLM's log-probs are regularly compared with those of the trainer's own model (`SelfCheck`).
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, final

import torch
from torch import Tensor
from transformers import PreTrainedModel

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.data.seeds import prompt_seed
from uniopd_mm.inference.engine import Declined, VLLMEngine
from uniopd_mm.inference.names import as_saved
from uniopd_mm.inference.options import with_dtype
from uniopd_mm.inference.requests import engine_prompt
from uniopd_mm.interfaces import Finished, Processor
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.rollout.self_check import SelfCheck, check_self_check
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling, UserError, Vocabulary

BAN = -100.0  # added to a logit: multiplies the probability by e^-100
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 2.0  # log-probs lose digits below; vLLM accepts none above
FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


def vllm_rollout(
    backbone: Backbone,
    processor: Processor,
    *,
    options: VLLMOptions | None = None,
    sleep: bool = True,
    check_every: int = 10,
    check_rollouts: int = 4,
    check_tolerance: float | None = None,
) -> "VLLMRollout":
    """The engine of `rollout=vllm`. It loads the checkpoint that the student was loaded from.

    Args:
        options: of vLLM; None for the defaults.
        sleep: release the GPU's memory during the trainer's updates.
        check_every: weight syncs between two self-checks; 0 for none. The first check comes before the first sync.
        check_rollouts: rollouts compared each time.
        check_tolerance: mean difference in nats above which the run stops; None for a default that suits the dtypes.

    Raises:
        UserError: a parameter is invalid, or vLLM cannot load the student.
    """
    check_self_check(check_every, check_rollouts, check_tolerance)
    options = with_dtype(options or VLLMOptions(), backbone.dtype)
    engine = VLLMEngine(backbone.model.name_or_path, options, key="rollout.engine.options", sleeps=sleep)
    exact = options.dtype == backbone.dtype == "float32"
    check = SelfCheck(
        backbone,
        every=check_every,
        num_rollouts=check_rollouts,
        tolerance=check_tolerance if check_tolerance is not None else (1e-3 if exact else 0.1),
    )
    return VLLMRollout(engine, processor.vocabulary, check, trained=backbone.model)


@final
class VLLMRollout:
    """Samples with a `VLLMEngine`.

    Args:
        vocabulary: of the model's processor.
        check: compares the engine with the trained model; None if the model is not trained.
        trained: the model whose weights `load_weights` is given; None if they have the names of the checkpoint.
    """

    def __init__(
        self,
        engine: VLLMEngine,
        vocabulary: Vocabulary,
        check: SelfCheck | None = None,
        trained: PreTrainedModel | None = None,
    ) -> None:
        self.engine = engine
        self.vocabulary = vocabulary
        self.check = check
        self.trained = trained

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`.

        Raises:
            UserError: vLLM does not accept the temperature or a prompt, expands a prompt to other ids than the trainer,
                or fails the self-check.
        """
        if sampling.temperature and not MIN_TEMPERATURE <= sampling.temperature <= MAX_TEMPERATURE:
            raise UserError(
                f"rollout.temperature={sampling.temperature}: vLLM samples at {MIN_TEMPERATURE} to {MAX_TEMPERATURE}; "
                "choose one of these, or rollout=hf"
            )
        requests = [(engine_prompt(prompt), self._parameters(prompt, num_samples, sampling)) for prompt in prompts]
        groups: dict[int, list[Rollout]] = {}
        with closing(self.engine.run(requests)) as outputs:
            for index, output in outputs:
                groups[index] = self._group(prompts[index], index, output, num_samples, sampling)
                if finished:
                    finished(groups[index])
        ordered = [groups[index] for index in range(len(prompts))]
        if self.check:
            self.check([rollout for group in ordered for rollout in group], sampling.temperature)
        return ordered

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """See `RolloutEngine.load_weights`."""
        self.engine.load_weights(as_saved(self.trained, named_tensors) if self.trained else named_tensors)
        if self.check:
            self.check.count_sync()

    def _parameters(self, prompt: Prompt, num_samples: int, sampling: Sampling) -> Any:
        from vllm import SamplingParams  # optional
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            n=num_samples if sampling.temperature else 1,  # vLLM refuses n > 1 for greedy decoding
            temperature=sampling.temperature,
            seed=prompt_seed(prompt, sampling) if sampling.temperature else None,
            max_tokens=sampling.max_new_tokens,
            stop_token_ids=list(self.vocabulary.stop_ids),
            stop=list(sampling.stop_strings),
            logit_bias=dict.fromkeys(self.vocabulary.banned_ids, BAN),
            logprobs=0,
            flat_logprobs=True,
            detokenize=bool(sampling.stop_strings),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _group(self, prompt: Prompt, index: int, output: Any, num_samples: int, sampling: Sampling) -> list[Rollout]:
        if isinstance(output, Declined):
            raise UserError(
                f"{self.engine.key}: vLLM does not accept the prompt of {prompt.sample.source}: {output.reason}"
            )
        if output.prompt_token_ids != prompt.token_ids.tolist():
            found, expected = len(output.prompt_token_ids), len(prompt.token_ids)
            raise UserError(
                f"{self.engine.key}: vLLM expands the prompt of {prompt.sample.source} to other token ids than the "
                f"trainer ({found} tokens, expected {expected}); the processor here must match the checkpoint's own"
            )
        rollouts = [self._rollout(prompt, index, completion, sampling) for completion in output.outputs]
        return rollouts if sampling.temperature else rollouts * num_samples

    def _rollout(self, prompt: Prompt, index: int, completion: Any, sampling: Sampling) -> Rollout:
        return Rollout(
            prompt=prompt,
            group_id=index,
            response_ids=torch.tensor(list(completion.token_ids), dtype=torch.int64),
            logprobs=torch.tensor(_sampled_logprobs(completion), dtype=torch.float32),
            finish_reason=FINISH_REASONS.get(completion.finish_reason, FinishReason.ABORT),
            policy_step=sampling.policy_step,
        )


def _sampled_logprobs(completion: Any) -> list[float]:
    """The log-probs of the sampled tokens, which come first at each position."""
    flat = completion.logprobs
    return [flat.logprobs[start] for start in flat.start_indices]
