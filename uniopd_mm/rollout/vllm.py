"""Rollouts with vLLM in the trainer's process, on the student's latest weights: the engine for real sizes.

A prompt's seed comes from (seed, policy step, sample id), so the rest of the batch cannot change its responses. What
vLLM says it sampled with is compared with the trainer's own model now and then (`SelfCheck`).
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, final

import torch
from torch import Tensor

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.inference.engine import Declined, VLLMEngine
from uniopd_mm.inference.options import with_dtype
from uniopd_mm.inference.requests import engine_prompt
from uniopd_mm.interfaces import Finished, Processor
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.rollout.self_check import SelfCheck, check_self_check
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling, UserError, Vocabulary

BAN = -100.0  # added to a logit, which leaves a probability of e^-100
HOTTEST, COLDEST = 2.0, 0.01  # that vLLM takes, and below which its log-probs lose digits
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
    """The engine of `rollout=vllm`, with the weights that lie where the student was loaded from.

    Args:
        options: of vLLM; None for its defaults.
        sleep: give the GPU's memory to the trainer while it learns.
        check_every: weight syncs between two self-checks, the first of which comes at once; 0 for none.
        check_rollouts: rollouts compared each time.
        check_tolerance: mean difference in nats that stops the run; None for one that suits the dtypes.

    Raises:
        UserError: a parameter that cannot work, or vLLM cannot load the student.
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
    return VLLMRollout(engine, processor.vocabulary, check)


@final
class VLLMRollout:
    """Samples with a `VLLMEngine`.

    Args:
        vocabulary: of the model's processor.
        check: None for a model that is nowhere else.
    """

    def __init__(self, engine: VLLMEngine, vocabulary: Vocabulary, check: SelfCheck | None = None) -> None:
        self.engine = engine
        self.vocabulary = vocabulary
        self.check = check

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`.

        Raises:
            UserError: vLLM does not take the temperature or a prompt, reads a prompt as other tokens than the trainer,
                or fails the self-check.
        """
        if sampling.temperature and not COLDEST <= sampling.temperature <= HOTTEST:
            raise UserError(
                f"rollout.temperature={sampling.temperature}: vLLM samples at {COLDEST} to {HOTTEST}; choose one of "
                "these, or rollout=hf"
            )
        requests = [(engine_prompt(prompt), self._parameters(prompt, num_samples, sampling)) for prompt in prompts]
        groups: dict[int, list[Rollout]] = {}
        with closing(self.engine.run(requests)) as answers:
            for index, output in answers:
                groups[index] = self._group(prompts[index], index, output, num_samples, sampling)
                if finished:
                    finished(groups[index])
        ordered = [groups[index] for index in range(len(prompts))]
        if self.check:
            self.check([rollout for group in ordered for rollout in group], sampling.temperature)
        return ordered

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """See `RolloutEngine.load_weights`."""
        self.engine.load_weights(named_tensors)
        if self.check:
            self.check.count_sync()

    def _parameters(self, prompt: Prompt, num_samples: int, sampling: Sampling) -> Any:
        from vllm import SamplingParams  # optional
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            n=num_samples if sampling.temperature else 1,  # vLLM refuses to be greedy twice
            temperature=sampling.temperature,
            seed=sampling.prompt_seed(prompt.sample.sample_id) if sampling.temperature else None,
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
                f"{self.engine.key}: vLLM does not take the prompt of {prompt.sample.source}: {output.reason}"
            )
        if output.prompt_token_ids != prompt.token_ids.tolist():
            theirs, ours = len(output.prompt_token_ids), len(prompt.token_ids)
            raise UserError(
                f"{self.engine.key}: vLLM reads the prompt of {prompt.sample.source} as {theirs} tokens, the trainer "
                f"as {ours}, or as others; the processor here must do what the checkpoint's own does"
            )
        rollouts = [self._rollout(prompt, index, answer, sampling) for answer in output.outputs]
        return rollouts if sampling.temperature else rollouts * num_samples

    def _rollout(self, prompt: Prompt, index: int, answer: Any, sampling: Sampling) -> Rollout:
        return Rollout(
            prompt=prompt,
            group_id=index,
            response_ids=torch.tensor(list(answer.token_ids), dtype=torch.int64),
            logprobs=torch.tensor(_sampled(answer), dtype=torch.float32),
            finish_reason=FINISH_REASONS.get(answer.finish_reason, FinishReason.ABORT),
            policy_step=sampling.policy_step,
        )


def _sampled(answer: Any) -> list[float]:
    """The sampled tokens' log-probs, which come first at each place."""
    flat = answer.logprobs
    return [flat.logprobs[start] for start in flat.start_indices]
