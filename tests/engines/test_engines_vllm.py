"""vLLM as a guest in the trainer's process: what it must leave alone, and what it must not get wrong silently."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("vllm")

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.inference.engine import VLLMEngine, llm_arguments
from uniopd_mm.inference.requests import engine_prompt
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.self_check import SelfCheck, check_self_check
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.runtime.rng import rng_state
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.vllm import VLLMTeacher
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, Sampling, TeacherScores, UserError

OPTIONS = VLLMOptions(dtype="float32", enforce_eager=True, kv_cache_mb=64, max_model_len=512)
SAMPLING = Sampling(temperature=1.0, max_new_tokens=8, seed=3, policy_step=1)


@pytest.fixture(scope="module")
def engine(checkpoint: str) -> Iterator[VLLMEngine]:
    yield VLLMEngine(checkpoint, OPTIONS, key="rollout.engine", max_logprobs=4)


@pytest.fixture
def student(engine: VLLMEngine, checkpoint: str, processor: QwenVLProcessor) -> Backbone:
    """A student whose weights the engine has."""
    torch.set_num_threads(1)
    backbone = Backbone(load_model(checkpoint, "model.path"), banned_ids=processor.vocabulary.banned_ids)
    engine.load_weights(backbone.model.state_dict().items())
    return backbone


@pytest.fixture
def rollouts(engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]) -> list[Rollout]:
    writer = VLLMRollout(engine, processor.vocabulary)
    return [one for group in writer.generate(prompts[:3], 2, SAMPLING) for one in group]


def states() -> list[bytes]:
    random_state, numpy_state, torch_state = (rng_state()[name] for name in ("python", "numpy", "torch"))
    return [repr(random_state).encode(), repr(numpy_state).encode(), torch_state.numpy().tobytes()]


def disturb(backbone: Backbone) -> None:
    with torch.no_grad():
        for parameter in backbone.model.parameters():
            parameter.mul_(1.5)


def test_the_trainers_random_numbers_and_threads_are_untouched(
    checkpoint: str, processor: QwenVLProcessor, prompts: list[Prompt], student: Backbone
) -> None:
    random.seed(5), np.random.seed(6), torch.manual_seed(7)
    torch.set_num_threads(2)
    before = states()
    own = VLLMEngine(checkpoint, OPTIONS, key="rollout.engine")
    assert states() == before and torch.get_num_threads() == 2
    VLLMRollout(own, processor.vocabulary).generate(prompts[:2], 2, SAMPLING)
    own.load_weights(student.model.state_dict().items())
    assert states() == before
    torch.set_num_threads(1)
    assert torch.get_num_threads() == 1  # still a function that does something


def test_a_prompt_that_is_drawn_twice_in_a_step_is_answered_twice(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    """By its place in the step alone, not by its place among the prompts of this process."""
    writer = VLLMRollout(engine, processor.vocabulary)
    drawn = [replace(prompts[0], place=place) for place in (4, 7, 4)]
    first, second, again = (
        [one.response_ids.tolist() for one in group] for group in writer.generate(drawn, 2, SAMPLING)
    )
    assert first != second and first == again


def test_every_group_is_told_as_soon_as_it_is_finished(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    told: list[list[Rollout]] = []
    writer = VLLMRollout(engine, processor.vocabulary)
    groups = writer.generate(prompts[:4], 3, SAMPLING, lambda group: told.append(list(group)))
    assert sorted(told, key=lambda group: group[0].group_id) == groups
    assert [[one.group_id for one in group] for group in groups] == [[place] * 3 for place in range(4)]
    assert all(one.prompt is prompts[place] for place, group in enumerate(groups) for one in group)


def test_scores_are_those_of_the_local_teacher_with_its_likeliest_tokens(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    local = LocalTeacher("t", Backbone(student.model), processor.vocabulary, top_k=4).score(rollouts)
    for mine, theirs in zip(VLLMTeacher("t", engine, top_k=4).score(rollouts), local, strict=True):
        assert isinstance(mine, TeacherScores) and isinstance(theirs, TeacherScores)
        assert mine.topk_logprobs is not None and mine.topk_ids is not None
        torch.testing.assert_close(mine.logprobs, theirs.logprobs, atol=1e-5, rtol=0)
        torch.testing.assert_close(mine.topk_logprobs, theirs.topk_logprobs, atol=1e-5, rtol=0)
        assert torch.equal(mine.topk_ids, theirs.topk_ids) and torch.equal(mine.top_ids, theirs.top_ids)
        assert torch.equal(mine.token_ids, theirs.token_ids)


@pytest.mark.parametrize("temperature", [0.6, 1.7])
def test_scores_at_a_temperature_are_those_of_the_local_teacher(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout], temperature: float
) -> None:
    """vLLM computes the log-probs of prompts from the model's own logits, whatever the sampling temperature."""
    local = LocalTeacher("t", Backbone(student.model), processor.vocabulary, top_k=4).score(rollouts, temperature)
    teacher = VLLMTeacher("t", engine, top_k=4)
    plain = [scores for scores in teacher.score(rollouts) if isinstance(scores, TeacherScores)]
    for mine, theirs, other in zip(teacher.score(rollouts, temperature), local, plain, strict=True):
        assert isinstance(mine, TeacherScores) and isinstance(theirs, TeacherScores)
        torch.testing.assert_close(mine.logprobs, theirs.logprobs, atol=1e-5, rtol=0)
        torch.testing.assert_close(mine.topk_logprobs, theirs.topk_logprobs, atol=1e-5, rtol=0)
        assert (mine.logprobs - other.logprobs).abs().max() > 1e-2
    for mine, other in zip(teacher.score(rollouts), plain, strict=True):
        assert isinstance(mine, TeacherScores)
        torch.testing.assert_close(mine.logprobs, other.logprobs, atol=1e-7, rtol=0)


def test_a_temperature_of_scores_does_not_outlive_them(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], rollouts: list[Rollout]
) -> None:
    writer = VLLMRollout(engine, processor.vocabulary)
    (before,) = writer.generate(prompts[:1], 2, SAMPLING)
    scoring = engine.run([(engine_prompt(rollouts[0].prompt), VLLMTeacher("t", engine)._parameters())], 0.6)
    next(scoring)
    scoring.close()
    for one, other in zip(before, writer.generate(prompts[:1], 2, SAMPLING)[0], strict=True):
        assert torch.equal(one.response_ids, other.response_ids)
        torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-6, rtol=0)


def test_a_greedy_answer_is_its_own_likeliest_tokens(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    """Then a place holds the same token twice, as itself and as the likeliest."""
    writer = VLLMRollout(engine, replace(processor.vocabulary, banned_ids=()))
    first, second = writer.generate(prompts[:1], 2, replace(SAMPLING, temperature=0))[0]
    assert torch.equal(first.response_ids, second.response_ids)
    (scores,) = VLLMTeacher("t", engine).score([first])
    assert isinstance(scores, TeacherScores) and torch.equal(scores.top_ids, first.response_ids)
    torch.testing.assert_close(scores.logprobs, first.logprobs, atol=1e-5, rtol=0)


def test_what_the_engine_reads_otherwise_is_never_scored(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    good = rollouts[0]
    without_media = replace(good, prompt=replace(good.prompt, engine_media={}))
    expanded = replace(good, prompt=replace(good.prompt, engine_token_ids=good.prompt.token_ids))
    unknown = replace(good, response_ids=torch.full_like(good.response_ids, 10**6))
    too_long = replace(good, response_ids=good.response_ids.repeat(200))
    answers = VLLMTeacher("t", engine).score([without_media, expanded, unknown, too_long, good])
    assert [isinstance(answer, Failure) for answer in answers] == [True, True, True, True, False]
    assert all(answer.reason for answer in answers if isinstance(answer, Failure))


def test_a_prompt_that_the_engine_reads_otherwise_is_refused(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    writer = VLLMRollout(engine, processor.vocabulary)
    with pytest.raises(UserError, match=r"vLLM expands the prompt of .* \(\d+ tokens, expected \d+\)"):
        writer.generate([prompts[0], replace(prompts[1], token_ids=prompts[1].token_ids[:-1])], 1, SAMPLING)
    with pytest.raises(UserError, match="does not accept the prompt"):
        writer.generate([replace(prompts[0], engine_token_ids=torch.full((600,), 40))], 1, SAMPLING)
    (group,) = writer.generate(prompts[:1], 1, SAMPLING)  # and is fit for the next, without the rest of the refused
    assert group[0].finish_reason in (FinishReason.STOP, FinishReason.LENGTH)


@pytest.mark.parametrize("temperature", [2.5, 0.001])
def test_a_temperature_that_vllm_cannot_sample_at_is_refused(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], temperature: float
) -> None:
    with pytest.raises(UserError, match=rf"^rollout\.temperature={temperature}: vLLM samples at 0\.01 to 2\.0"):
        VLLMRollout(engine, processor.vocabulary).generate(prompts[:1], 1, replace(SAMPLING, temperature=temperature))


def test_the_self_check_stops_a_run_with_both_numbers(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    def writer(every: int) -> VLLMRollout:
        check = SelfCheck(student, every=every, num_rollouts=2, tolerance=1e-3)
        return VLLMRollout(engine, processor.vocabulary, check)

    checked, unchecked = writer(2), writer(0)
    checked.generate(prompts[:2], 2, SAMPLING)
    disturb(student)
    checked.generate(prompts[:2], 2, SAMPLING)  # not yet due again
    checked.load_weights(student.model.state_dict().items())
    checked.generate(prompts[:2], 2, SAMPLING)  # the first sync
    disturb(student)
    unchecked.generate(prompts[:2], 2, SAMPLING)
    checked.check.count_sync()  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"after 2 weight syncs .* log-prob -\d+\.\d{4} in the engine and -\d+\.\d{4} "):
        checked.generate(prompts[:2], 2, SAMPLING)


def test_sleep_is_asked_for_on_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    here = llm_arguments(OPTIONS, 20, sleeps=False)
    assert "enable_sleep_mode" not in here and here["enable_chunked_prefill"] is False
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    there = llm_arguments(replace(OPTIONS, kv_cache_mb=None, args={"seed": 4}), 20, sleeps=True)
    assert there["enable_sleep_mode"] and there["gpu_memory_utilization"] == 0.5 and there["seed"] == 4
    assert "enable_chunked_prefill" not in there and "kv_cache_memory_bytes" not in there


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_model_len": 0}, r"k\.max_model_len=0 must be at least 1"),
        ({"kv_cache_mb": -5}, r"k\.kv_cache_mb=-5 must be at least 1"),
        ({"gpu_memory_utilization": 1.5}, r"k\.gpu_memory_utilization=1\.5 must be above 0 and at most 1"),
        ({"args": {"logprobs_mode": "raw_logprobs"}}, r"k\.args\.logprobs_mode=raw_logprobs: leave it out"),
    ],
)
def test_options_that_cannot_work_are_refused(checkpoint: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        VLLMEngine(checkpoint, replace(OPTIONS, **options), key="k")


@pytest.mark.parametrize(("every", "count", "tolerance"), [(-1, 4, None), (1, 0, None), (1, 4, 0.0)])
def test_a_self_check_that_could_not_fail_is_refused(every: int, count: int, tolerance: float | None) -> None:
    with pytest.raises(UserError, match=r"^rollout\.engine\.check_"):
        check_self_check(every, count, tolerance)


def test_a_sync_that_lacks_weights_is_noticed(engine: VLLMEngine, student: Backbone) -> None:
    some = [(name, tensor) for name, tensor in student.model.state_dict().items() if "layers.0.mlp" not in name]
    with pytest.raises(RuntimeError, match=r"2 parameters of vLLM's model got no weights"):
        engine.load_weights(some)


def test_a_greedy_validation_does_not_use_up_a_self_check(
    engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    check = SelfCheck(student, every=1, num_rollouts=2, tolerance=1e-3)
    writer = VLLMRollout(engine, processor.vocabulary, check)
    disturb(student)
    writer.generate(prompts[:2], 1, replace(SAMPLING, temperature=0))
    with pytest.raises(UserError, match="does not sample from the trained model"):
        writer.generate(prompts[:2], 2, SAMPLING)


def test_launched_processes_have_an_engine_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert llm_arguments(OPTIONS, 20, sleeps=False)["distributed_executor_backend"] == "external_launcher"
    with pytest.raises(UserError, match="tensor_parallel_size=2: each launched process has its own engine"):
        llm_arguments(replace(OPTIONS, tensor_parallel_size=2), 20, sleeps=False)


def test_what_vllm_cannot_load_is_one_line(tmp_path_factory: pytest.TempPathFactory, checkpoint: str) -> None:
    with pytest.raises(UserError, match=r"^teacher\.vllm: vLLM cannot load .*missing") as error:
        VLLMEngine(os.path.join(checkpoint, "missing"), OPTIONS, key="teacher.vllm")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="max_num_seqs"):
        VLLMEngine(checkpoint, replace(OPTIONS, max_num_seqs=0), key="teacher.vllm")
