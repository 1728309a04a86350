"""The student's own answers before the first step: a teacher scores them as its model does, or is named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import pytest
import torch
from core_parts import rollout, sample
from roster_parts import roster, student_model
from translation_parts import described_sample, plain_logprobs

from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.teachers.probe import StudentModel, media_kinds, probes
from uniopd_mm.teachers.roster import RosterEntry
from uniopd_mm.types import Failure, Media, Rollout, Sample, Sampling, TeacherScores, UserError

Spoil = Callable[[Rollout, TeacherScores], TeacherScores | Failure]


@pytest.fixture
def student(processor: QwenVLProcessor, backbone: Backbone) -> StudentModel:
    return student_model(processor, backbone)


@pytest.fixture
def entry(checkpoint: str, processor: QwenVLProcessor) -> RosterEntry:
    of = roster(processor, {"t": {"path": checkpoint}}).entries["t"]
    shake(of.model.scorer.backbone.model)
    return of


@torch.no_grad()
def shake(model: torch.nn.Module) -> None:
    """Another model than the student."""
    torch.manual_seed(0)
    for value in model.parameters():
        value += 0.05 * torch.randn_like(value)


@final
@dataclass(frozen=True)
class Spoilt:
    """A teacher whose scores are changed on their way."""

    entry: RosterEntry
    spoil: Spoil
    name: str = "t"
    overlaps: bool = False

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        scores = self.entry.scorer.score(rollouts, temperature)
        return [self.spoil(*pair) for pair in zip(rollouts, scores, strict=True)]  # type: ignore[arg-type]


def spoilt(entry: RosterEntry, spoil: Spoil) -> RosterEntry:
    return replace(entry, scorer=Spoilt(entry, spoil))


def test_one_answer_with_media_and_one_without(
    entry: RosterEntry, student: StudentModel, samples: tuple[Sample, ...], checkpoint: str
) -> None:
    """What the teacher's model says of the student's likeliest answer, by a plain forward pass."""
    found = probes(entry, [sample("a", text="Hi"), *samples[:3], sample("b")], student)
    assert [probe.sample_id for probe in found] == [samples[0].sample_id, "a"]
    model = load_model(checkpoint, "model.path")
    shake(model)
    for probe, of in zip(found, (samples[0], sample("a", text="Hi")), strict=True):
        prompt = student.processor.encode(of)
        ((answer,),) = student.engine.generate([prompt], 1, student.greedy)
        assert probe.answer == student.processor.decode(answer.response_ids)
        expected = plain_logprobs(model, prompt.token_ids, answer.response_ids, prompt.media)
        assert probe.logprob == pytest.approx(expected.mean().item(), abs=1e-5)
        assert abs(probe.logprob - answer.logprobs.mean().item()) > 1e-3, "another model than the student's"


def test_only_what_there_is_and_can_be_read_is_probed(
    entry: RosterEntry, processor: QwenVLProcessor, backbone: Backbone, samples: tuple[Sample, ...]
) -> None:
    torn = described_sample(Media(kind="video", source="/no/such.mp4"))
    student = student_model(processor, backbone)
    assert [one.sample_id for one in probes(entry, [torn, samples[1]], student)] == [samples[1].sample_id]
    assert probes(entry, [], student) == probes(entry, [torn], student) == ()
    longest = len(processor.encode(sample("short")).token_ids)
    strict = student_model(processor, backbone, max_prompt_tokens=longest)
    wordy = sample("long", text="How many circles are there in all of the clip, and where do they go?")
    assert [one.sample_id for one in probes(entry, [samples[0], wordy, sample("short")], strict)] == ["short"]


def test_kinds_are_those_of_all_media(samples: tuple[Sample, ...]) -> None:
    picture = described_sample(Media(kind="image", source="x.png"))
    assert media_kinds([sample(), picture, samples[0]]) == {"image", "video"} and media_kinds([sample()]) == set()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda of, scores: Failure(teacher="t", reason="its server is down"), "cannot be scored: its server is down"),
        (lambda of, scores: replace(scores, token_ids=scores.token_ids.flip(0)), "is scored as other tokens"),
        (
            lambda of, scores: replace(scores, logprobs=torch.full_like(scores.logprobs, -torch.inf)),
            "has log-probs that are not finite, at 12 tokens",
        ),
        (
            lambda of, scores: replace(scores, logprobs=torch.full_like(scores.logprobs, -3.5)),
            "has log-prob -3.500 at every token, in any order",
        ),
    ],
)
def test_a_teacher_that_does_not_score_what_it_is_given_is_named(
    entry: RosterEntry, student: StudentModel, samples: tuple[Sample, ...], spoil: Spoil, said: str
) -> None:
    with pytest.raises(UserError, match=f"^teacher=t: the student's answer to {samples[0].source} {said}"):
        probes(spoilt(entry, spoil), samples, student)


def test_a_teacher_may_be_sure_of_a_whole_answer(
    entry: RosterEntry, student: StudentModel, samples: tuple[Sample, ...]
) -> None:
    """Log-probs of 0 in the order in which it was written, and others in another."""
    first: list[torch.Tensor] = []

    def sure(of: Rollout, scores: TeacherScores) -> TeacherScores:
        first.append(of.response_ids)
        return replace(scores, logprobs=torch.zeros(len(of.response_ids))) if len(first) == 1 else scores

    (probe,) = probes(spoilt(entry, sure), samples, student)
    assert probe.logprob == 0.0 and torch.equal(first[0].roll(1), first[1])


@final
@dataclass(frozen=True)
class Says:
    """An engine that writes the same to every prompt."""

    ids: list[int]

    def generate(self, prompts: Sequence, num_samples: int, sampling: Sampling) -> list[list[Rollout]]:
        return [[rollout(prompt, self.ids)] for prompt in prompts]


def test_an_answer_of_one_token_has_no_other_order(entry: RosterEntry, student: StudentModel) -> None:
    (probe,) = probes(entry, [sample()], replace(student, engine=Says([30])))
    assert probe.logprob < 0
    assert len(probes(entry, [sample()], replace(student, engine=Says([30, 30, 30])))) == 1
    assert probes(entry, [sample()], replace(student, engine=Says([]))) == ()
