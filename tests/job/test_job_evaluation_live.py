"""The live student on benchmarks, in this process: scores are right, and nothing of the student is touched."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_parts import MEAN, TASK, needs_lmms_eval, own_hub_cache, write_problems
from torch import Tensor

from uniopd_mm.config.train import BenchmarksConfig
from uniopd_mm.interfaces import Finished, Processor
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runtime.rng import rng_state
from uniopd_mm.runtime.world import World
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling, UserError


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("hub")
    write_problems(root)
    with own_hub_cache(tmp_path_factory.mktemp("cache")):
        yield root


class Scripted:
    """Writes the same text for every prompt that holds a word, and another for the rest."""

    def __init__(self, processor: Processor, word: str, text: str) -> None:
        self.processor, self.word, self.text = processor, word, text

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        return [[self._rollout(prompt, group, sampling)] * num_samples for group, prompt in enumerate(prompts)]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        raise AssertionError("nothing is learnt here")

    def _rollout(self, prompt: Prompt, group: int, sampling: Sampling) -> Rollout:
        known = self.word in str(prompt.sample.messages[-1].content)
        ids = self.processor.encode_response(self.text if known else "nothing")
        return Rollout(
            prompt=prompt,
            group_id=group,
            response_ids=ids,
            logprobs=torch.zeros(len(ids)),
            finish_reason=FinishReason.STOP,
            policy_step=sampling.policy_step,
        )


@needs_lmms_eval
def test_scores_are_those_of_the_benchmark(processor: QwenVLProcessor, data_root: Path) -> None:
    """Of two problems one is always answered right: 50 of 100."""
    benchmarks = live(processor, data_root)
    right, wrong = Scripted(processor, "cdot", "\\boxed{42}"), Scripted(processor, "cdot", "\\boxed{43}")
    assert benchmarks(right, 1) == {TASK: 50.0, MEAN: 50.0}
    assert benchmarks(wrong, 2) == {TASK: 0.0, MEAN: 0.0}


@needs_lmms_eval
def test_upstreams_own_tasks_are_asked_by_their_metric(processor: QwenVLProcessor, data_root: Path) -> None:
    right = Scripted(processor, "cdot", "\\boxed{42}")
    assert live(processor, data_root, task="aime24_nofigures:exact_match:1")(right, 1) == {
        "benchmark/aime24_nofigures": 50.0,
        MEAN: 50.0,
    }
    with pytest.raises(UserError, match=r"aime24_nofigures has no metric score, but exact_match.*:exact_match.*:1,"):
        live(processor, data_root, task="aime24_nofigures")


@needs_lmms_eval
def test_the_student_is_left_as_it_is(processor: QwenVLProcessor, backbone: Backbone, data_root: Path) -> None:
    model = backbone.model.train()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    numbers = repr(rng_state())
    live(processor, data_root)(HFRollout(backbone, processor), 1)
    assert repr(rng_state()) == numbers
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(bool((parameter.grad == 1).all()) for parameter in model.parameters())
    assert torch.is_grad_enabled() and torch.get_num_threads() == 1


@needs_lmms_eval
def test_questions_that_cannot_be_asked_are_refused(processor: QwenVLProcessor, data_root: Path) -> None:
    with pytest.raises(UserError, match=r"uniopd_aime24: no question can be read; .*tokens"):
        live(processor, data_root, max_prompt_tokens=3)(Scripted(processor, "cdot", "\\boxed{42}"), 0)


def live(
    processor: QwenVLProcessor, data_root: Path, max_prompt_tokens: int = 4096, task: str = "uniopd_aime24"
) -> Any:
    from uniopd_mm.evaluation.live import LiveBenchmarks, load_tasks

    asked = {"num_samples": 2, "max_new_tokens": 4, "data_root": str(data_root)}
    return LiveBenchmarks(
        tasks=load_tasks(BenchmarksConfig(tasks=[task], **asked)),  # type: ignore[arg-type]
        processor=processor,
        limit=32,
        max_prompt_tokens=max_prompt_tokens,
        seed=0,
        world=World(),
    )
