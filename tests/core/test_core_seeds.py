"""The random numbers of a response: of it alone, and never of another response of the same step."""

from dataclasses import replace

import torch
from core_parts import prompt, sampling

from uniopd_mm.data.mixture import Mixture
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.data.seeds import draw, prompt_seed
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Sample


def test_draws_are_fine_grained_and_of_one_response_alone() -> None:
    of = prompt([3], "s")
    values = draw(of, 0, sampling(max_new_tokens=1000))
    assert values.dtype == torch.float64 and values.min() >= 0 and values.max() < 1
    assert (values * 2**24 % 1 != 0).any()
    torch.testing.assert_close(values[:10], draw(of, 0, sampling(max_new_tokens=10)), rtol=0, atol=0)
    others = [draw(prompt([3], "t"), 0, sampling()), draw(of, 1, sampling()), draw(of, 0, sampling(seed=1))]
    assert all(not torch.equal(other, values[:8]) for other in others)


def test_a_prompt_has_the_numbers_of_its_place_and_domain() -> None:
    """Also where names could run into each other, and in engines that get one seed per prompt."""
    same = [prompt([3], "s"), prompt([4, 5], "s")]
    others = [replace(same[0], place=1), prompt([3], "s", "e"), prompt([3], "d/s", ""), prompt([3], "s/1")]
    assert len({tuple(draw(one, 0, sampling()).tolist()) for one in same}) == 1
    assert len({tuple(draw(one, 0, sampling()).tolist()) for one in [same[0], *others]}) == 5
    assert len({prompt_seed(one, sampling()) for one in [*same, *others]}) == 5


def test_a_prompt_that_is_drawn_twice_in_a_step_is_answered_twice(
    backbone: Backbone, processor: QwenVLProcessor, samples: tuple[Sample, ...]
) -> None:
    """Five prompts of two rows, however they are shared between processes; the next run draws the same."""
    engine = HFRollout(backbone, processor)
    stream = PromptStream(Mixture(samples[:2], seed=0), processor, 10**6, World())
    drawn = stream.next(5)
    assert [one.place for one in drawn.values()] == list(drawn) == [0, 1, 2, 3, 4]
    answers = [group[0].response_ids.tolist() for group in engine.generate(list(drawn.values()), 1, sampling(2.0))]
    assert len(set(map(tuple, answers))) == 5
    for part in ([0, 1], [2, 3, 4]):
        groups = engine.generate([drawn[place] for place in part], 1, sampling(2.0))
        assert [group[0].response_ids.tolist() for group in groups] == [answers[place] for place in part]
