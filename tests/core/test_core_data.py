"""Batches made by hand, the token budget, the order of prompts, and samples that cannot be used."""

from collections.abc import Sequence

import pytest
import torch
from core_parts import prompt, rollout, sample, scored, taught, trajectory
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.data.collate import align, collate, collate_rollouts, left_padded
from uniopd_mm.data.epochs import EpochOrder
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.data.mixture import Mixture, MixtureState
from uniopd_mm.data.prompts import PromptStream, encode_all
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Failure, Media, Message, Prompt, Sample, UserError

PAD = 99


def test_the_miniature_of_collate_rollouts() -> None:
    batch = collate_rollouts([rollout(prompt([1, 2]), [5]), rollout(prompt([3]), [6, 7, 8])], PAD)
    assert batch.input_ids.tolist() == [[1, 2, 5, PAD], [3, 6, 7, 8]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch.loss_mask.tolist() == [[0, 0, 1, 0], [0, 1, 1, 1]]


def test_media_are_concatenated_in_order_and_features_padded() -> None:
    first = prompt(
        [1, 2, 2], media={"video": torch.tensor([[1], [2]])}, token_features={"kind": torch.tensor([0, 2, 2])}
    )
    text = prompt([4])
    last = prompt([2], media={"video": torch.tensor([[3]])}, token_features={"kind": torch.tensor([2])})
    rollouts = [rollout(first, [5]), rollout(text, [6, 7]), rollout(last, []), rollout(first, [8])]
    batch = collate_rollouts(rollouts, PAD)
    assert batch.media["video"].tolist() == [[1], [2], [3], [1], [2]]
    assert batch.token_features["kind"].tolist() == [[0, 2, 2, 0], [0, 0, 0, 0], [2, 0, 0, 0], [0, 2, 2, 0]]


def test_left_padding_keeps_prompts_at_the_right() -> None:
    first = prompt([1, 2, 2], token_features={"kind": torch.tensor([0, 2, 2])})
    batch = left_padded([first, prompt([4])], PAD)
    assert batch.input_ids.tolist() == [[1, 2, 2], [PAD, PAD, 4]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch.token_features["kind"].tolist() == [[0, 2, 2], [0, 0, 0]]
    assert not batch.loss_mask.any()


def test_values_stand_beside_their_tokens_and_a_failed_teacher_masks_all() -> None:
    good = rollout(prompt([1, 2], domain="a"), [5, 6], [-0.1, -0.2], group_id=3)
    failed = rollout(prompt([3], domain="b"), [6, 7, 8], [-9.0, -9.0, -9.0], group_id=4)
    empty = rollout(prompt([3], domain="b"), [], [], group_id=4)
    batch = collate(
        [
            taught(trajectory(good, scored(good, [-0.3, -0.4])), [1.0, 2.0]),
            taught(trajectory(failed, Failure(teacher="t", reason="down"), correct=None), [0.0, 0.0, 0.0]),
            taught(trajectory(empty, scored(empty, []), correct=False), [], weight=0.0),
        ],
        PAD,
    )
    assert batch.tokens.loss_mask.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    nothing = [0.0] * 4
    for values, wanted in (
        (batch.advantages, [0, 0, 1, 2]),
        (batch.old_logprobs, [0, 0, -0.1, -0.2]),
        (batch.teacher_logprobs, [0, 0, -0.3, -0.4]),
    ):
        assert values is not None
        torch.testing.assert_close(values, torch.tensor([wanted, nothing, nothing]))
    assert batch.domains == ("a", "b", "b")
    assert batch.weights.tolist() == [1.0, 1.0, 0.0]


def test_a_batch_that_no_teacher_was_asked_about_says_so() -> None:
    one = rollout(prompt([1, 2]), [5, 6], [-0.1, -0.2])
    batch = collate([taught(trajectory(one, None), [1.0, 1.0])], PAD)
    assert batch.teacher_logprobs is None and batch.teacher_tokens.top_ids is None
    assert batch.tokens.loss_mask.tolist() == [[0, 0, 1, 1]]


def test_values_of_another_length_are_never_laid_on_a_neighbour() -> None:
    mask = torch.tensor([[0, 1, 1], [0, 1, 0]]).bool()
    with pytest.raises(AssertionError, match="length"):
        align(mask, [torch.tensor([1.0]), torch.tensor([2.0, 3.0])])


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 120))
def test_a_token_budget_is_kept(lengths: list[int], budget: int) -> None:
    groups = by_token_budget(lengths, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert group
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget
    order = [index for group in groups for index in group]
    assert order == sorted(order, key=lambda index: lengths[index])
    assert groups == by_token_budget(lengths, budget)


def numbered(num: int) -> list[Sample]:
    return [sample(str(number)) for number in range(num)]


def drawn(order: EpochOrder, num: int) -> list[str]:
    return [order.next().sample_id for _ in range(num)]


def test_every_sample_comes_once_an_epoch_in_another_order() -> None:
    order = EpochOrder(numbered(7), seed=3)
    epochs = [drawn(order, 7) for _ in range(4)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1 and order.epoch == 4
    assert drawn(EpochOrder(numbered(7), seed=4), 7) != epochs[0]


@given(st.integers(1, 6), st.integers(0, 20), st.integers(0, 5))
def test_the_position_alone_brings_an_order_back(num: int, position: int, seed: int) -> None:
    whole = drawn(EpochOrder(numbered(num), seed), position + 8)
    assert drawn(EpochOrder(numbered(num), seed, position), 8) == whole[position:]


def broken(sample_id: str) -> Sample:
    content = (Media(kind="video", source=f"/no/such/{sample_id}.mp4"), "What?")
    return Sample(
        sample_id=sample_id,
        domain="video_qa",
        messages=(Message(role="user", content=content),),
        answer="1",
        source=f"rows.jsonl:{sample_id}",
    )


def stream(
    samples: Sequence[Sample], processor: QwenVLProcessor, max_prompt_tokens: int = 500, position: int = 0
) -> PromptStream:
    state = MixtureState(positions={entry.domain: position for entry in samples})
    return PromptStream(Mixture(samples, 0, state), processor, max_prompt_tokens, World())


def test_bad_samples_are_skipped_counted_once_and_named(
    processor: QwenVLProcessor, samples: tuple[Sample, ...]
) -> None:
    prompts = stream([broken("1"), samples[0], broken("2")], processor)
    ids = {drawn.sample.sample_id for drawn in prompts.next(5).values()}
    assert ids == {samples[0].sample_id}
    assert sorted(skip.where for skip in prompts.skipped) == ["rows.jsonl:1", "rows.jsonl:2"]
    assert all("/no/such/" in skip.reason for skip in prompts.skipped)


@pytest.mark.parametrize("position", range(9))
def test_one_usable_sample_is_found_wherever_the_walk_begins(processor: QwenVLProcessor, position: int) -> None:
    """First in one epoch and last in the next, it is 2(n - 1) draws away."""
    prompts = stream([broken("1"), broken("2"), sample("good", domain="video_qa")], processor, position=position)
    assert len(prompts.next(4)) == 4


def test_a_corpus_without_a_usable_sample_stops_the_run(processor: QwenVLProcessor) -> None:
    with pytest.raises(UserError, match=r"data.path: no sample can be used; the last: rows.jsonl:\d: .*"):
        stream([broken("1"), broken("2")], processor).next(1)


def test_a_prompt_over_the_limit_is_skipped_with_its_length(processor: QwenVLProcessor) -> None:
    long = sample("long", text="How many? " * 40)
    prompts = stream([long, sample("short")], processor, max_prompt_tokens=60)
    assert [p.sample.sample_id for p in prompts.next(2).values()] == ["short", "short"]
    length = len(processor.encode(long).token_ids)
    assert [skip.reason for skip in prompts.skipped] == [f"prompt of {length} tokens is over data.max_prompt_tokens=60"]


def test_encode_all_keeps_the_order_and_every_sample(processor: QwenVLProcessor, samples: tuple[Sample, ...]) -> None:
    mixed = [samples[0], broken("1"), samples[1], samples[2], broken("2")]
    chunks = list(encode_all(processor, mixed, 500, chunk=2))
    assert [[p.sample.sample_id for p in prompts] for prompts, _ in chunks] == [
        [samples[0].sample_id],
        [samples[1].sample_id, samples[2].sample_id],
        [],
    ]
    assert [[skip.where for skip in skips] for _, skips in chunks] == [["rows.jsonl:1"], [], ["rows.jsonl:2"]]


def test_media_of_real_prompts_keep_their_prompts_order(prompts: list[Prompt], text_prompts: list[Prompt]) -> None:
    chosen = [prompts[0], text_prompts[0], prompts[1]]
    batch = collate_rollouts([rollout(each, [5, 6]) for each in chosen], PAD)
    wanted: Tensor = torch.cat([prompts[0].media["pixel_values_videos"], prompts[1].media["pixel_values_videos"]])
    assert torch.equal(batch.media["pixel_values_videos"], wanted)
    assert batch.media["video_grid_thw"].shape == (2, 3)
