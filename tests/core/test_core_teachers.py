"""Teachers' scores against a plain forward pass, and that nothing but scores of the sampled ids gets through."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import final

import pytest
import torch
from core_parts import plain_logits, prompt, rollout, routed, sampling, scored

from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher, check_vocabulary
from uniopd_mm.types import Failure, Prompt, Rollout, TeacherScores, UserError, Vocabulary


@pytest.fixture
def rollouts(prompts: list[Prompt], text_prompts: list[Prompt]) -> list[Rollout]:
    responses = [[30, 31, 32, 2], [40], [50, 51], [60, 2], list(range(20, 31))]
    chosen = [prompts[0], text_prompts[0], prompts[1], prompts[2], text_prompts[1]]
    return [rollout(each, response) for each, response in zip(chosen, responses, strict=True)]


def reference(backbone: Backbone, one: Rollout) -> torch.Tensor:
    """One sequence alone, without padding: log softmax of the model's own logits, in float64."""
    logits = plain_logits(backbone.model, collate_rollouts([one], 0))[0].double()
    start, num = len(one.prompt.token_ids), len(one.response_ids)
    return logits[start - 1 : start + num - 1].log_softmax(-1).gather(-1, one.response_ids[:, None]).squeeze(-1)


@pytest.mark.parametrize("max_tokens", [1, 200, 16384])
def test_scores_are_those_of_a_plain_forward_pass(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout], max_tokens: int
) -> None:
    plain = Backbone(backbone.model)
    wanted = [reference(plain, one) for one in rollouts]
    teacher = LocalTeacher("expert", plain, processor.vocabulary, max_tokens=max_tokens)
    for one, scores, values in zip(rollouts, teacher.score(rollouts), wanted, strict=True):
        assert isinstance(scores, TeacherScores) and scores.teacher == "expert"
        assert torch.equal(scores.token_ids, one.response_ids)
        torch.testing.assert_close(scores.logprobs.double(), values, rtol=1e-5, atol=1e-5)


def test_a_response_of_zero_tokens_has_zero_scores(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    empty = rollout(rollouts[0].prompt, [])
    router = routed({"video_qa": LocalTeacher("expert", backbone, processor.vocabulary)})
    alone, (beside, first) = router.score([empty]), router.score([empty, rollouts[0]])
    for scores in (alone[0], beside):
        assert isinstance(scores, TeacherScores) and len(scores.logprobs) == len(scores.token_ids) == 0
    assert isinstance(first, TeacherScores)


def test_running_out_of_memory_fails_the_sequences_at_hand(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    def refuse_long(module: torch.nn.Module, arguments: tuple[object, ...], named: dict[str, torch.Tensor]) -> None:
        if named["input_ids"].shape[1] > longest_text:
            raise torch.OutOfMemoryError("CUDA out of memory")

    longest_text = max(len(rollouts[i].prompt.token_ids) + len(rollouts[i].response_ids) for i in (1, 4))
    backbone.model.base_model.register_forward_pre_hook(refuse_long, with_kwargs=True)
    teacher = LocalTeacher("expert", backbone, processor.vocabulary, max_tokens=1)
    scores = teacher.score(rollouts)
    assert [isinstance(entry, Failure) for entry in scores] == [True, False, True, True, False]
    assert isinstance(scores[0], Failure) and "teacher.max_tokens=1" in scores[0].reason


def test_an_id_beyond_the_teachers_embedding_fails_its_sample_alone(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    beyond = rollout(rollouts[0].prompt, [30, backbone.vocab_size])
    scores = LocalTeacher("expert", backbone, processor.vocabulary).score([rollouts[1], beyond, rollouts[2]])
    assert [isinstance(entry, Failure) for entry in scores] == [False, True, False]
    assert isinstance(scores[1], Failure) and str(backbone.vocab_size) in scores[1].reason


def test_weights_that_are_nan_are_a_failure(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    backbone.model.get_output_embeddings().weight.data.fill_(math.nan)
    scores = LocalTeacher("expert", backbone, processor.vocabulary).score(rollouts[:2])
    assert all(isinstance(entry, Failure) and "NaN" in entry.reason for entry in scores)


def test_a_student_scored_by_itself_gets_its_own_log_probs(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    """At temperature 1, token rewards of a student that is its own teacher are 0."""
    engine = HFRollout(backbone, processor)
    rollouts = [one for group in engine.generate(prompts[:3], 2, sampling()) for one in group]
    for one, scores in zip(rollouts, LocalTeacher("self", backbone, processor.vocabulary).score(rollouts), strict=True):
        assert isinstance(scores, TeacherScores)
        torch.testing.assert_close(scores.logprobs, one.logprobs, rtol=1e-5, atol=1e-5)


@final
class Table:
    """A teacher that answers by a rule."""

    overlaps = False

    def __init__(self, name: str, answer: Callable[[Rollout], TeacherScores | Failure]) -> None:
        self.name = name
        self._answer = answer

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        return [self._answer(one) for one in rollouts]


def only(scores: TeacherScores, **changes: object) -> TeacherScores | Failure:
    one = rollout(prompt([1, 2]), [5, 6, 7])
    return routed({"d": Table("t", lambda _: replace(scores, **changes))}).score([one])[0]


def test_scores_of_other_tokens_become_failures() -> None:
    good = scored(rollout(prompt([1, 2]), [5, 6, 7]), [-1.0, -math.inf, -3.0])
    assert only(good) == good
    for changes, reason in (
        ({"token_ids": torch.tensor([5, 9, 7])}, "token 1 scored as id 9, sampled as 6"),
        ({"token_ids": torch.tensor([5, 6])}, "scored 2 tokens of 3"),
        ({"token_ids": torch.tensor([5, 6, 7, 8]), "logprobs": torch.zeros(4)}, "scored 4 tokens of 3"),
        ({"logprobs": torch.zeros(2)}, "missing"),
        ({"logprobs": torch.tensor([-1.0, math.nan, -1.0])}, "NaN log-probs"),
    ):
        failure = only(good, **changes)
        assert isinstance(failure, Failure) and reason in failure.reason


def test_each_domain_goes_to_its_teacher_and_comes_back_in_order() -> None:
    teachers = {
        "a": Table("first", lambda one: replace(scored(one, [-1.0]), teacher="first")),
        "b": Table("second", lambda one: Failure(teacher="second", reason="down")),
    }
    sent = [rollout(prompt([1], domain=domain), [token]) for domain, token in (("b", 4), ("a", 5), ("b", 6), ("a", 7))]
    scores = routed(teachers).score(sent)
    assert [entry.teacher for entry in scores] == ["second", "first", "second", "first"]
    assert [int(entry.token_ids) for entry in scores if isinstance(entry, TeacherScores)] == [5, 7]


def test_a_domain_without_a_teacher_names_those_there_are() -> None:
    table = Table("t", lambda one: scored(one, [-1.0]))
    router = routed({"chart": table, "code": table})
    with pytest.raises(UserError, match=r"'math'.*chart, code"):
        router.score([rollout(prompt([1], domain="math"), [2])])


def vocabulary(**tokens: int) -> Vocabulary:
    return Vocabulary(tokens=tokens, stop_ids=(0,), banned_ids=(), pad_id=0)


def test_a_teacher_may_know_more_tokens_than_the_student() -> None:
    check_vocabulary(vocabulary(a=0, b=1), vocabulary(b=1, a=0, c=2), "big")


@pytest.mark.parametrize(("teacher", "number"), [(vocabulary(a=0, b=2), "2"), (vocabulary(a=0), "None")])
def test_a_teacher_with_other_numbers_is_refused(teacher: Vocabulary, number: str) -> None:
    with pytest.raises(UserError, match=rf"teacher=big: 1 tokens.*'b' \(1 for the student, {number} for the teacher\)"):
        check_vocabulary(vocabulary(a=0, b=1), teacher, "big")
