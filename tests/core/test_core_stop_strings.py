"""Stop strings: a response ends with the token that completes one, and is otherwise what it would have been."""

from dataclasses import replace

import torch

from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sampling

SAMPLING = Sampling(temperature=1.0, max_new_tokens=24, seed=5, policy_step=0)


def cut(free: Rollout, strings: tuple[str, ...], processor: QwenVLProcessor) -> Rollout:
    """What a response should be with stop strings, found by decoding each of its beginnings."""
    for end in range(1, len(free.response_ids) + 1):
        if any(string in processor.decode(free.response_ids[:end]) for string in strings):
            ids, logprobs = free.response_ids[:end], free.logprobs[:end]
            return replace(free, response_ids=ids, logprobs=logprobs, finish_reason=FinishReason.STOP)
    return free


def assert_same(one: Rollout, other: Rollout) -> None:
    assert torch.equal(one.response_ids, other.response_ids) and one.finish_reason is other.finish_reason
    torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-5, rtol=0)


def test_a_response_ends_with_the_token_that_completes_a_string(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    engine = HFRollout(backbone, processor)
    free = [one for group in engine.generate(prompts[:4], 3, SAMPLING) for one in group]
    texts = [processor.decode(one.response_ids) for one in free]
    strings = (texts[0][5:8], texts[4][3:5], "never to be seen")  # across tokens, wherever they are cut
    stopped = engine.generate(prompts[:4], 3, replace(SAMPLING, stop_strings=strings))
    expected = [cut(one, strings, processor) for one in free]
    assert sum(len(one.response_ids) < len(two.response_ids) for one, two in zip(expected, free, strict=True)) >= 2
    for one, other in zip([one for group in stopped for one in group], expected, strict=True):
        assert_same(one, other)


def test_groups_are_told_as_batches_finish(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    """Batches of five cut through groups of three: each group is told with the batch that completes it."""
    told: list[list[Rollout]] = []
    engine = HFRollout(backbone, processor, max_batch_size=5)
    groups = engine.generate(prompts[:5], 3, SAMPLING, lambda group: told.append(list(group)))
    assert told == groups and [len(group) for group in groups] == [3] * 5
    assert [group[0].group_id for group in told] == [0, 1, 2, 3, 4]
