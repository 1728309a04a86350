"""What goes wrong silently where an engine is not asked in just the right way, for every family."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch

pytest.importorskip("vllm")

from families import FAMILIES, PATCHES, image, processor_of, sample_of, video, video_file
from matrix_parts import SAMPLING, TOLERANCE, Lineup, assert_scored, disturb, flat, forward, response_to

from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.teachers.vllm import VLLMTeacher
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sample, TeacherScores

HOTTEST = 2.0  # that vLLM takes
LONG = "How many objects are there, and where? " * 20  # more than one block of 128 keys and values

families = pytest.mark.parametrize("lineup", FAMILIES, indirect=True)
seeing = pytest.mark.parametrize("lineup", list(PATCHES), indirect=True)


def vllm_scores(lineup: Lineup, rollouts: list[Rollout]) -> list[torch.Tensor]:
    answers = VLLMTeacher("t", lineup.engine).score(rollouts)
    assert_scored(answers, rollouts, lineup)
    return [answer.logprobs for answer in answers if isinstance(answer, TeacherScores)]


def assert_sampled(lineup: Lineup, prompts: list[Prompt]) -> None:
    """The engine samples from the student."""
    for rollout in flat(lineup.rollout_engine("vllm").generate(prompts, 4, SAMPLING)):
        torch.testing.assert_close(rollout.logprobs, forward(lineup.student, rollout), atol=TOLERANCE, rtol=0)


def differ(one: torch.Tensor, other: torch.Tensor) -> bool:
    return (one - other).abs().max().item() > 1e-3


@families
def test_a_rollout_does_not_depend_on_its_batch(lineup: Lineup) -> None:
    prompts = list(lineup.prompts.values())
    prompts = [
        replace(prompt, sample=replace(prompt.sample, sample_id=str(place)))
        for place, prompt in enumerate((prompts * 8)[:8])
    ]
    engine = lineup.rollout_engine("vllm")
    together = engine.generate(prompts, 4, SAMPLING)
    for prompt, group in zip(prompts, together, strict=True):
        (alone,) = engine.generate([prompt], 4, SAMPLING)
        assert [one.response_ids.tolist() for one in alone] == [one.response_ids.tolist() for one in group]
    assert len({tuple(one.response_ids.tolist()) for one in flat(together)}) == 4 * len(prompts)


@families
def test_nothing_of_old_weights_is_left_after_a_sync(lineup: Lineup) -> None:
    """The same prompts each time, whose pictures and keys the engine has computed before."""
    content = (LONG,) if lineup.family == "qwen3" else (image(64, 96), LONG)
    prompts = [*lineup.prompts.values(), lineup.processor.encode(sample_of("long", *content))]
    rollouts = [response_to(prompt, [300, 41, 42, 43]) for prompt in prompts]
    before = vllm_scores(lineup, rollouts)
    assert_sampled(lineup, prompts)
    for seed in range(3):
        disturb(lineup.student, seed)
        lineup.sync()
        after = vllm_scores(lineup, rollouts)
        assert all(differ(one, other) for one, other in zip(before, after, strict=True))
        assert_sampled(lineup, prompts)
        before = after


def long_rollouts(lineup: Lineup, banned_ids: tuple[int, ...]) -> list[Rollout]:
    """Up to 200 tokens at the highest temperature."""
    writer = VLLMRollout(lineup.engine, replace(lineup.processor.vocabulary, banned_ids=banned_ids))
    sampling = replace(SAMPLING, temperature=HOTTEST, max_new_tokens=200)
    return list(flat(writer.generate([lineup.prompts["text"]], 16, sampling)))


@families
def test_long_hot_responses_end_with_a_scored_end_and_hold_no_banned_ids(lineup: Lineup) -> None:
    vocabulary = lineup.processor.vocabulary
    rollouts = long_rollouts(lineup, vocabulary.banned_ids)
    sampled = torch.cat([rollout.response_ids for rollout in rollouts])
    assert not torch.isin(sampled, torch.tensor(vocabulary.banned_ids)).any()
    assert (sampled >= len(vocabulary.tokens)).any()  # rows of the embedding without a token
    ended = [rollout for rollout in rollouts if rollout.finish_reason is FinishReason.STOP]
    assert ended
    for rollout in ended:
        assert int(rollout.response_ids[-1]) in vocabulary.stop_ids
        assert not torch.isin(rollout.response_ids[:-1], torch.tensor(vocabulary.stop_ids)).any()
    for rollout in rollouts:
        expected = forward(lineup.student, rollout, HOTTEST)
        torch.testing.assert_close(rollout.logprobs, expected, atol=TOLERANCE, rtol=0)


@families
def test_ids_are_drawn_unless_they_are_banned(lineup: Lineup) -> None:
    """So that the test above could fail."""
    banned = torch.tensor(lineup.processor.vocabulary.banned_ids)
    assert any(torch.isin(rollout.response_ids, banned).any() for rollout in long_rollouts(lineup, ()))


def length_with(stop: str, rollout: Rollout, lineup: Lineup) -> int:
    """Tokens up to the one that completes `stop`, or all."""
    lengths = range(1, len(rollout.response_ids) + 1)
    return next((n for n in lengths if stop in lineup.processor.decode(rollout.response_ids[:n])), lengths[-1])


@families
def test_stop_strings_end_a_response_with_the_token_that_completes_them(lineup: Lineup) -> None:
    """Hot, so that ids without a token and broken characters lie on the way; with the same seeds, so that the responses
    are the same up to there."""
    hot = replace(SAMPLING, temperature=HOTTEST, max_new_tokens=100)
    prompt = [lineup.prompts["text"]]
    wholes = list(flat(lineup.rollout_engine("vllm").generate(prompt, 16, hot)))
    texts = [lineup.processor.decode(rollout.response_ids[5:]) for rollout in wholes]
    stop = next(
        pair for text in texts for pair in map("".join, pairwise(text)) if pair.isascii() and pair.isprintable()
    )
    cut = list(
        flat(lineup.rollout_engine("vllm").generate(prompt, 16, replace(hot, stop_strings=("never this", stop))))
    )
    lengths = [length_with(stop, whole, lineup) for whole in wholes]
    assert [one.response_ids.tolist() for one in cut] == [
        whole.response_ids[:length].tolist() for whole, length in zip(wholes, lengths, strict=True)
    ]
    assert any(length < len(whole.response_ids) for whole, length in zip(wholes, lengths, strict=True))
    for rollout in cut:
        assert (rollout.finish_reason is FinishReason.LENGTH) == (len(rollout.response_ids) == 100)
        expected = forward(lineup.student, rollout, HOTTEST)
        torch.testing.assert_close(rollout.logprobs, expected, atol=TOLERANCE, rtol=0)


@seeing
def test_equal_frames_at_another_speed_are_another_video(lineup: Lineup) -> None:
    """Nothing that the engine keeps of one is used for the other, embeddings or keys and values."""
    speeds = [lineup.processor.encode(sample_of("v", video(8, fps, seed=5), LONG)) for fps in (2.0, 0.5, 2.0)]
    assert_sampled(lineup, speeds)
    for prompt in speeds:
        assert_sampled(lineup, [prompt])
    first, second, again = vllm_scores(lineup, [response_to(prompt, [300, 41, 42]) for prompt in speeds])
    assert torch.equal(first, again)
    assert differ(first, second) == (lineup.family != "qwen2_vl")  # it knows no time but the frames' order


def large_and_small(family: str) -> dict[str, Sample]:
    side = 2 * PATCHES[family]
    return {
        "large": sample_of("l", image(7 * side, 5 * side), "and", video(6, 2.0, height=6 * side, width=6 * side), "?"),
        "small": sample_of("s", image(20, 20), "and", video(40, 2.0, height=20, width=20), "?"),
    }


@seeing
def test_a_file_of_an_odd_rate(lineup: Lineup, tmp_path: Path) -> None:
    clip = video_file(tmp_path / "clip.mp4", 101, Fraction(30000, 1001))
    prompt = lineup.processor.encode(sample_of("f", clip, "?"))
    ((frames, metadata),) = prompt.engine_media["video"]
    assert len(frames) == 10 and metadata["fps"] == pytest.approx(29.97, abs=1e-3)
    vllm_scores(lineup, [response_to(prompt, [300, 41, 42])])
    assert_sampled(lineup, [prompt])


@seeing
def test_other_pixels_in_the_same_place_are_another_picture(lineup: Lineup) -> None:
    prompts = [lineup.processor.encode(sample_of("p", image(64, 96, seed=seed), LONG)) for seed in (1, 2, 1)]
    assert torch.equal(prompts[0].token_ids, prompts[1].token_ids)
    for prompt in prompts:
        assert_sampled(lineup, [prompt])
    first, second, again = vllm_scores(lineup, [response_to(prompt, [300, 41, 42]) for prompt in prompts])
    assert torch.equal(first, again) and differ(first, second)


@seeing
@pytest.mark.parametrize("size", ["large", "small"])
@pytest.mark.parametrize("bounds", [(1, 4), (9, 64)])
def test_pixel_bounds_are_the_trainers_not_the_checkpoints(lineup: Lineup, bounds: tuple[int, int], size: str) -> None:
    """The checkpoint's are 1 to 12 visual tokens."""
    area = (2 * PATCHES[lineup.family]) ** 2
    low, high = (bound * area for bound in bounds)
    total = {"video_total_pixels": 4096 * area} if lineup.family == "qwen3_vl" else {}
    processor = processor_of(
        lineup.family,
        lineup.folder,
        min_pixels=low,
        max_pixels=high,
        video_min_pixels=low,
        video_max_pixels=high,
        **total,
    )
    prompt = processor.encode(large_and_small(lineup.family)[size])
    vllm_scores(lineup, [response_to(prompt, [300, 41, 42])])


@families
def test_fifty_steps_of_training_and_syncing_do_not_drift(lineup: Lineup) -> None:
    """The student learns to say one thing; the engine samples from what it has become, each time."""
    taught = [response_to(prompt, [300, 41, 42, 43]) for prompt in list(lineup.prompts.values())[-2:]]
    optimizer = torch.optim.AdamW(lineup.student.requires_grad_(True).parameters(), lr=1e-3)
    writer = lineup.rollout_engine("vllm")
    for step in range(50):
        rollouts = list(flat(writer.generate([one.prompt for one in taught], 2, replace(SAMPLING, policy_step=step))))
        for rollout in rollouts if step % 10 == 0 else ():
            torch.testing.assert_close(rollout.logprobs, forward(lineup.student, rollout), atol=TOLERANCE, rtol=0)
        optimizer.zero_grad()
        logprobs = lineup.student(collate_rollouts(taught, 0), temperature=1.0)[0]
        (-logprobs.mean()).backward()
        optimizer.step()
        lineup.sync()
    assert min(one.mean() for one in vllm_scores(lineup, taught)) > -1.0  # from about -7
