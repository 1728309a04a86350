"""Teachers loaded together and tested before the first step: a whole one passes, a broken one is named."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from core_parts import plain_logits, rollout, sample
from faculty_parts import TEXT, faculty, pupil
from translation_parts import described_sample, text_expert

from uniopd_mm.backbone import Backbone
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.experts import Asked
from uniopd_mm.faculty import Faculty
from uniopd_mm.probe import Student
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.self_test import SelfTest, assignments, self_test
from uniopd_mm.types import Media, Prompt, Rollout, Sample, TeacherScores, TokenBatch, UserError


@pytest.fixture
def student(processor: QwenVLProcessor, backbone: Backbone) -> Student:
    return pupil(processor, backbone)


@pytest.fixture
def alone(checkpoint: str, processor: QwenVLProcessor) -> Faculty:
    return faculty(processor, {"expert": {"path": checkpoint}})


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("text")
    text_expert(folder)
    return str(folder)


def checked(of: Faculty, samples: tuple[Sample, ...], student: Student, name: str = "expert") -> SelfTest | None:
    return self_test(of.members[name], samples, student)


def test_a_whole_checkpoint_passes(
    alone: Faculty, samples: tuple[Sample, ...], processor: QwenVLProcessor, student: Student
) -> None:
    """Its answer is the likeliest, token by token, of plain forward passes, but for places of media, which it cannot
    write: by their probability alone writing and scoring differ."""
    found = checked(alone, samples, student)
    prompt, ids, values, lost = processor.encode(samples[0]), list[int](), list[float](), list[float]()
    model, banned = alone.members["expert"].expert.scorer.backbone.model, list(processor.vocabulary.banned_ids)
    for _ in range(12):
        logprobs = last_logits(model, prompt, ids).log_softmax(-1)
        lost.append(-math.log1p(-logprobs[banned].exp().sum().item()))
        logprobs[banned] = -math.inf
        ids.append(int(logprobs.argmax()))
        values.append(logprobs.max().item())
        if ids[-1] in processor.vocabulary.stop_ids:
            break
    assert found is not None and found.sample_id == samples[0].sample_id
    assert found.answer == processor.decode(torch.tensor(ids))
    assert found.logprob == pytest.approx(sum(values) / len(values), abs=1e-4)
    assert found.difference == pytest.approx(sum(lost) / len(lost), abs=1e-4)


def last_logits(model: torch.nn.Module, prompt: Prompt, ids: list[int]) -> torch.Tensor:
    written = torch.tensor(ids, dtype=torch.int64)
    one = Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=written,
        logprobs=torch.zeros(len(ids)),
        finish_reason=None,  # type: ignore[arg-type]
        policy_step=0,
    )
    return plain_logits(model, collate_rollouts([one], 0))[0, -1]


def broken_when_scoring(of: Faculty, change: Any) -> None:
    """Weights that are others by the time the teacher scores: generation goes around `Backbone.forward`."""
    backbone = of.members["expert"].expert.scorer.backbone
    backbone.register_forward_pre_hook(lambda module, arguments: change(module.model))


@torch.no_grad()
def shake(model: torch.nn.Module) -> None:
    torch.manual_seed(0)
    for value in model.parameters():
        value += 0.05 * torch.randn_like(value)


@torch.no_grad()
def scatter_nan(model: torch.nn.Module) -> None:
    next(model.parameters()).fill_(math.nan)


def test_weights_that_change_after_writing_are_found(
    alone: Faculty, samples: tuple[Sample, ...], student: Student
) -> None:
    broken_when_scoring(alone, shake)
    with pytest.raises(UserError, match=r"teacher=expert: its greedy answer .* is scored [\d.]+ nats otherwise"):
        checked(alone, samples, student)


def test_a_score_of_nan_is_found(alone: Faculty, samples: tuple[Sample, ...], student: Student) -> None:
    broken_when_scoring(alone, scatter_nan)
    with pytest.raises(UserError, match="teacher=expert: cannot score its own answer: NaN"):
        checked(alone, samples, student)


def test_an_answer_written_with_nan_is_found(alone: Faculty, samples: tuple[Sample, ...], student: Student) -> None:
    """Weights that are whole again when it scores: the difference is no number."""
    backbone = alone.members["expert"].expert.scorer.backbone
    head = backbone.model.get_output_embeddings()  # of which scoring reads the weights alone
    head.register_forward_hook(lambda module, inputs, logits: logits * math.nan)
    with pytest.raises(UserError, match=r"teacher=expert: its greedy answer .* is scored nan nats otherwise"):
        checked(alone, samples, student)


def test_a_head_of_zeros_is_found(alone: Faculty, samples: tuple[Sample, ...], student: Student) -> None:
    alone.members["expert"].expert.scorer.backbone.model.get_output_embeddings().weight.data.zero_()
    with pytest.raises(UserError, match="teacher=expert: finds every token equally likely"):
        checked(alone, samples, student)


def test_scores_that_differ_from_one_to_the_next_are_found(
    alone: Faculty, samples: tuple[Sample, ...], student: Student
) -> None:
    """The answer is there twice: the second is 0.15 nats from the first, which is 0.07 from what was written."""

    def unequal(
        module: torch.nn.Module, arguments: tuple[TokenBatch, ...], outputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        return outputs[0] + torch.arange(len(outputs[0])) * 0.3 / len(outputs[0]), *outputs[1:]

    alone.members["expert"].expert.scorer.backbone.register_forward_hook(unequal)
    with pytest.raises(UserError, match="teacher=expert: scores one answer in two ways"):
        checked(alone, samples, student)


def test_a_teacher_that_would_write_a_place_for_media_is_found(
    alone: Faculty, samples: tuple[Sample, ...], processor: QwenVLProcessor, student: Student
) -> None:
    """It is not let, or the model would look for the clip that is missing; it is scored as it would."""
    backbone, prompt = alone.members["expert"].expert.scorer.backbone, processor.encode(samples[0])
    tokens = collate_rollouts([rollout(prompt, [])], 0)
    with torch.no_grad():
        state = backbone.model.base_model(
            input_ids=tokens.input_ids, **tokens.media, **tokens.token_features
        ).last_hidden_state[0, -1]
        backbone.head[processor.vocabulary.tokens["<|video_pad|>"]] = 40 * state / state.square().sum()
    with pytest.raises(UserError, match=r"teacher=expert: its greedy answer .* is scored [\d.]+ nats otherwise"):
        checked(alone, samples, student)


def torn(name: str) -> Sample:
    return replace(described_sample(Media(kind="video", source=f"/no/such/{name}.mp4")), sample_id=name)


def test_samples_that_cannot_be_read_are_passed_over(
    alone: Faculty, samples: tuple[Sample, ...], student: Student
) -> None:
    found = checked(alone, (torn("a"), torn("b"), samples[1]), student)
    assert found is not None and found.sample_id == samples[1].sample_id
    assert checked(alone, (torn("a"), torn("b")), student) is None, "the prompts' own check says it"


def test_a_teacher_without_eyes_is_tested_on_its_own_prompt(
    text_folder: str, processor: QwenVLProcessor, student: Student, samples: tuple[Sample, ...]
) -> None:
    entry = {"path": text_folder, "processor": TEXT, "reads": "TEXT"}
    blind = faculty(processor, {"expert": entry})
    with pytest.raises(UserError, match=r"teacher=expert: none.*reads text only.*media=CAPTION or media=NOTHING"):
        checked(blind, samples[:2], student)
    told = faculty(processor, {"expert": {**entry, "media": "NOTHING"}})
    assert checked(told, samples, student) is not None


def test_lessons_count_prompts_by_weight_and_test_who_teaches(
    checkpoint: str, processor: QwenVLProcessor, student: Student, samples: tuple[Sample, ...]
) -> None:
    teachers = {name: {"path": checkpoint} for name in ("a", "b", "idle")}
    of = faculty(processor, teachers, domains={"video_qa": {"a": 3, "b": 1}, "math": "b"})
    taught = {one.teacher: one for one in assignments(of, [*samples[:4], sample("m", "math")], student)}
    assert taught["a"].prompts == {"video_qa": 3.0} and taught["b"].prompts == {"video_qa": 1.0, "math": 1.0}
    assert taught["idle"].prompts == {} and taught["idle"].self_test is None
    assert taught["a"].self_test == taught["b"].self_test, "the same weights on the same prompt"


def test_teachers_of_one_checkpoint_share_its_weights(
    checkpoint: str, processor: QwenVLProcessor, samples: tuple[Sample, ...]
) -> None:
    teachers = {
        "a": {"path": checkpoint},
        "b": {"path": checkpoint, "reads": "TOKENS", "media": "NOTHING"},
        "c": {"path": checkpoint, "dtype": "bfloat16"},
    }
    members = faculty(processor, teachers, default="a").members
    assert (
        members["a"].expert.scorer.backbone
        is members["b"].expert.scorer.backbone
        is not members["c"].expert.scorer.backbone
    )
    one = last_rollout(processor.encode(samples[0]))
    seen, blind = members["a"].scorer.score([one])[0], members["b"].scorer.score([one])[0]
    assert isinstance(seen, TeacherScores) and isinstance(blind, TeacherScores)
    assert (seen.teacher, blind.teacher) == ("a", "b")
    assert not torch.allclose(seen.logprobs, blind.logprobs, atol=1e-3), "they read different prompts"


def last_rollout(prompt: Prompt) -> Rollout:
    return rollout(prompt, [30, 31])


def test_a_teacher_with_other_ids_must_say_how_it_reads(text_folder: str, processor: QwenVLProcessor) -> None:
    with pytest.raises(UserError, match=r"teacher=expert: \d+ tokens differ"):
        faculty(processor, {"expert": {"path": text_folder, "processor": TEXT}})


@pytest.mark.parametrize("asked", [Asked(top_k=4), Asked(keep_hidden=True)])
def test_distributions_are_refused_where_they_could_not_be_compared(
    tmp_path: Path, checkpoint: str, processor: QwenVLProcessor, asked: Asked
) -> None:
    two = {"a": {"path": checkpoint}, "b": {"path": checkpoint}}
    translated = {"a": {"path": checkpoint, "reads": "TOKENS"}}
    with pytest.raises(UserError, match=r"teachers.a.reads=TOKENS: .*distributions"):
        faculty(processor, translated, asked)
    for routing in (
        {"domains": {"math": {"a": 1, "b": 1}}, "default": "a"},
        {"rules": [{"where": {}, "teacher": {"a": 1, "b": 1}}]},
    ):
        with pytest.raises(UserError, match=r"routing: a and b teach the same prompts"):
            faculty(processor, two, asked, **routing)
    assert faculty(processor, two, asked, default="a").members.keys() == {"a", "b"}
    assert faculty(processor, translated).members["a"].prompts is not None
