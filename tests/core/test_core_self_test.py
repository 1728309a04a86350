"""Teachers loaded together and tested before the first step: a whole one passes, a broken one is named."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from core_parts import plain_logits, rollout, sample
from roster_parts import TEXT, roster, student_model
from translation_parts import described_sample, text_expert

from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.teachers.loading import ScoreOptions
from uniopd_mm.teachers.probe import StudentModel
from uniopd_mm.teachers.roster import Roster
from uniopd_mm.teachers.self_test import SelfTest, assignments, self_test
from uniopd_mm.types import Media, Prompt, Rollout, Sample, TeacherScores, TokenBatch, UserError


@pytest.fixture
def student(processor: QwenVLProcessor, backbone: Backbone) -> StudentModel:
    return student_model(processor, backbone)


@pytest.fixture
def alone(checkpoint: str, processor: QwenVLProcessor) -> Roster:
    return roster(processor, {"expert": {"path": checkpoint}})


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("text")
    text_expert(folder)
    return str(folder)


def checked(of: Roster, samples: tuple[Sample, ...], student: StudentModel, name: str = "expert") -> SelfTest | None:
    return self_test(of.entries[name], samples, student)


def test_a_whole_checkpoint_passes(
    alone: Roster, samples: tuple[Sample, ...], processor: QwenVLProcessor, student: StudentModel
) -> None:
    """Its answer is the likeliest, token by token, of plain forward passes, but for places of media, which it cannot
    write: by their probability alone writing and scoring differ."""
    found = checked(alone, samples, student)
    prompt, ids, values, lost = processor.encode(samples[0]), list[int](), list[float](), list[float]()
    model, banned = alone.entries["expert"].model.scorer.backbone.model, list(processor.vocabulary.banned_ids)
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


def broken_when_scoring(of: Roster, change: Any) -> None:
    """Weights that are others by the time the teacher scores: generation goes around `Backbone.forward`."""
    backbone = of.entries["expert"].model.scorer.backbone
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
    alone: Roster, samples: tuple[Sample, ...], student: StudentModel
) -> None:
    broken_when_scoring(alone, shake)
    with pytest.raises(
        UserError, match=r"teacher=expert: log-probs of its greedy answer .* differ by [\d.]+ nats between"
    ):
        checked(alone, samples, student)


def test_a_score_of_nan_is_found(alone: Roster, samples: tuple[Sample, ...], student: StudentModel) -> None:
    broken_when_scoring(alone, scatter_nan)
    with pytest.raises(UserError, match="teacher=expert: cannot score its own answer: NaN"):
        checked(alone, samples, student)


def test_an_answer_written_with_nan_is_found(alone: Roster, samples: tuple[Sample, ...], student: StudentModel) -> None:
    """Weights that are whole again when it scores: the difference is no number."""
    backbone = alone.entries["expert"].model.scorer.backbone
    head = backbone.model.get_output_embeddings()  # of which scoring reads the weights alone
    head.register_forward_hook(lambda module, inputs, logits: logits * math.nan)
    with pytest.raises(
        UserError, match=r"teacher=expert: log-probs of its greedy answer .* differ by nan nats between"
    ):
        checked(alone, samples, student)


def test_a_head_of_zeros_is_found(alone: Roster, samples: tuple[Sample, ...], student: StudentModel) -> None:
    alone.entries["expert"].model.scorer.backbone.model.get_output_embeddings().weight.data.zero_()
    with pytest.raises(UserError, match="teacher=expert: finds every token equally likely"):
        checked(alone, samples, student)


def test_scores_that_differ_from_one_to_the_next_are_found(
    alone: Roster, samples: tuple[Sample, ...], student: StudentModel
) -> None:
    """The answer is there twice: the second is 0.15 nats from the first, which is 0.07 from what was written."""

    def unequal(
        module: torch.nn.Module, arguments: tuple[TokenBatch, ...], outputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        return outputs[0] + torch.arange(len(outputs[0])) * 0.3 / len(outputs[0]), *outputs[1:]

    alone.entries["expert"].model.scorer.backbone.register_forward_hook(unequal)
    with pytest.raises(UserError, match="teacher=expert: scores the same answer differently"):
        checked(alone, samples, student)


def test_improbable_tokens_that_are_scored_otherwise_are_found(
    alone: Roster, samples: tuple[Sample, ...], student: StudentModel
) -> None:
    """Its greedy answer is scored as it was generated, and the drawn ones by sharper distributions."""
    calls: list[None] = []

    def sharper(
        module: torch.nn.Module, arguments: tuple[TokenBatch, ...], outputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        calls.append(None)
        return outputs[0] * (1.5 if len(calls) > 1 else 1.0), *outputs[1:]

    alone.entries["expert"].model.scorer.backbone.register_forward_hook(sharper)
    with pytest.raises(
        UserError, match=r"teacher=expert: an improbable token .* -[\d.]+ in generation and -[\d.]+ in scoring"
    ):
        checked(alone, samples, student)


def test_a_teacher_that_would_write_a_place_for_media_is_found(
    alone: Roster, samples: tuple[Sample, ...], processor: QwenVLProcessor, student: StudentModel
) -> None:
    """It is not let, or the model would look for the clip that is missing; it is scored as it would."""
    backbone, prompt = alone.entries["expert"].model.scorer.backbone, processor.encode(samples[0])
    tokens = collate_rollouts([rollout(prompt, [])], 0)
    with torch.no_grad():
        state = backbone.model.base_model(
            input_ids=tokens.input_ids, **tokens.media, **tokens.token_features
        ).last_hidden_state[0, -1]
        backbone.head.weight[processor.vocabulary.tokens["<|video_pad|>"]] = 40 * state / state.square().sum()
    with pytest.raises(
        UserError, match=r"teacher=expert: log-probs of its greedy answer .* differ by [\d.]+ nats between"
    ):
        checked(alone, samples, student)


def torn(name: str) -> Sample:
    return replace(described_sample(Media(kind="video", source=f"/no/such/{name}.mp4")), sample_id=name)


def test_samples_that_cannot_be_read_are_passed_over(
    alone: Roster, samples: tuple[Sample, ...], student: StudentModel
) -> None:
    found = checked(alone, (torn("a"), torn("b"), samples[1]), student)
    assert found is not None and found.sample_id == samples[1].sample_id
    assert checked(alone, (torn("a"), torn("b")), student) is None, "the prompts' own check says it"


def test_a_teacher_without_eyes_is_tested_on_its_own_prompt(
    text_folder: str, processor: QwenVLProcessor, student: StudentModel, samples: tuple[Sample, ...]
) -> None:
    entry = {"path": text_folder, "processor": TEXT, "reads": "TEXT"}
    blind = roster(processor, {"expert": entry})
    with pytest.raises(UserError, match=r"teacher=expert: none.*reads text only.*media=CAPTION or media=NOTHING"):
        checked(blind, samples[:2], student)
    told = roster(processor, {"expert": {**entry, "media": "NOTHING"}})
    assert checked(told, samples, student) is not None


def test_lessons_count_prompts_by_weight_and_test_who_teaches(
    checkpoint: str, processor: QwenVLProcessor, student: StudentModel, samples: tuple[Sample, ...]
) -> None:
    teachers = {name: {"path": checkpoint} for name in ("a", "b", "idle")}
    of = roster(processor, teachers, domains={"video_qa": {"a": 3, "b": 1}, "math": "b"})
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
    entries = roster(processor, teachers, default="a").entries
    assert (
        entries["a"].model.scorer.backbone
        is entries["b"].model.scorer.backbone
        is not entries["c"].model.scorer.backbone
    )
    one = last_rollout(processor.encode(samples[0]))
    seen, blind = entries["a"].scorer.score([one])[0], entries["b"].scorer.score([one])[0]
    assert isinstance(seen, TeacherScores) and isinstance(blind, TeacherScores)
    assert (seen.teacher, blind.teacher) == ("a", "b")
    assert not torch.allclose(seen.logprobs, blind.logprobs, atol=1e-3), "they read different prompts"


def last_rollout(prompt: Prompt) -> Rollout:
    return rollout(prompt, [30, 31])


def test_a_teacher_with_other_ids_must_say_how_it_reads(text_folder: str, processor: QwenVLProcessor) -> None:
    with pytest.raises(UserError, match=r"teacher=expert: \d+ tokens differ"):
        roster(processor, {"expert": {"path": text_folder, "processor": TEXT}})


@pytest.mark.parametrize("asked", [ScoreOptions(top_k=4), ScoreOptions(keep_hidden=True)])
def test_distributions_are_refused_where_they_could_not_be_compared(
    tmp_path: Path, checkpoint: str, processor: QwenVLProcessor, asked: ScoreOptions
) -> None:
    two = {"a": {"path": checkpoint}, "b": {"path": checkpoint}}
    translated = {"a": {"path": checkpoint, "reads": "TOKENS"}}
    with pytest.raises(UserError, match=r"teachers.a.reads=TOKENS: .*distributions"):
        roster(processor, translated, asked)
    for routing in (
        {"domains": {"math": {"a": 1, "b": 1}}, "default": "a"},
        {"rules": [{"where": {}, "teacher": {"a": 1, "b": 1}}]},
    ):
        with pytest.raises(UserError, match=r"routing: a and b teach the same prompts"):
            roster(processor, two, asked, **routing)
    assert roster(processor, two, asked, default="a").entries.keys() == {"a", "b"}
    assert roster(processor, translated).entries["a"].prompts is not None
