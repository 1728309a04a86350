"""Teachers with prompts and tokens of their own: scores and answers against plain forward passes and the tokenizers'
own offsets."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from core_parts import sampling
from torch import Tensor
from translation_parts import Expert, answered, described_sample, plain_logprobs, text_expert, vl_expert

from uniopd_mm.config.parts import MediaFor, RoutingConfig
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.engines import EngineRouter, OwnPromptEngine
from uniopd_mm.teachers.own_prompt import OwnPrompts, OwnPromptTeacher
from uniopd_mm.teachers.router import verified
from uniopd_mm.teachers.routes import build_routes
from uniopd_mm.teachers.translation import TextTranslation, TokenTranslation
from uniopd_mm.types import Failure, FinishReason, Media, Prompt, Rollout, Sample, Sampling, TeacherScores

ANSWERS = ["It moves left. \\boxed{left}", "", "down", "no, up!"]


@pytest.fixture(scope="module")
def vl(tmp_path_factory: pytest.TempPathFactory) -> Expert:
    return vl_expert(tmp_path_factory.mktemp("vl"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Expert:
    return text_expert(tmp_path_factory.mktemp("text"))


@pytest.fixture
def clip(samples: tuple[Sample, ...]) -> Media:
    (medium,) = (part for part in samples[0].messages[0].content if isinstance(part, Media))
    return replace(medium, caption="A red circle moves up.")


def own(teacher: Expert, media: MediaFor) -> OwnPrompts:
    return OwnPrompts(processor=teacher.processor, media=media)


def by_tokens(student: QwenVLProcessor, teacher: Expert, media: MediaFor) -> OwnPromptTeacher:
    translation = TokenTranslation(student, teacher.processor, "t")
    return OwnPromptTeacher(teacher.teacher, own(teacher, media), translation)


def by_text(student: QwenVLProcessor, teacher: Expert, media: MediaFor) -> OwnPromptTeacher:
    return OwnPromptTeacher(teacher.teacher, own(teacher, media), TextTranslation(student, teacher.processor))


def rollouts(student: QwenVLProcessor, sample: Sample, *answers: str) -> list[Rollout]:
    """Each answer ended, and cut before its last token."""
    prompt = student.encode(sample)
    made = [answered(prompt, student.encode_response(answer)) for answer in answers]
    return [*made, *(answered(prompt, one.response_ids[:-1], FinishReason.LENGTH) for one in made)]


def strings(student: QwenVLProcessor, ids: Tensor) -> list[str]:
    names = {index: token for token, index in student.vocabulary.tokens.items()}
    return [names[index] for index in ids.tolist()]


def told_prompt(*parts: str) -> str:
    """As the text-only teacher's template has it, by hand."""
    return f"<user>user: {''.join(parts)}\n<user>assistant: "


def text_prompt_ids(teacher: Expert, *parts: str) -> Tensor:
    return torch.tensor(teacher.tokenizer(told_prompt(*parts), add_special_tokens=False)["input_ids"])


def test_tokens_of_another_qwen_that_sees_the_clip_its_own_way(
    processor: QwenVLProcessor, vl: Expert, clip: Media
) -> None:
    """It reads four frames where the student reads six."""
    sample = described_sample(clip)
    asked = vl.processor.encode(sample)
    sent = rollouts(processor, sample, "up", "a, b")
    assert len(asked.media["pixel_values_videos"]) < len(sent[0].prompt.media["pixel_values_videos"])
    for one, scores in zip(sent, by_tokens(processor, vl, MediaFor.AS_IS).score(sent), strict=True):
        assert isinstance(scores, TeacherScores), scores
        mapped = torch.tensor(vl.tokenizer.convert_tokens_to_ids(strings(processor, one.response_ids)))
        wanted = plain_logprobs(vl.model, asked.token_ids, mapped, asked.media)
        torch.testing.assert_close(scores.logprobs.double(), wanted, rtol=1e-5, atol=1e-5)
        assert verified(one, scores) is scores


@pytest.mark.parametrize(("media", "told"), [(MediaFor.CAPTION, "A red circle moves up.\n"), (MediaFor.NOTHING, "")])
def test_tokens_of_a_teacher_without_eyes(
    processor: QwenVLProcessor, text: Expert, clip: Media, media: MediaFor, told: str
) -> None:
    """The caption stands where the clip stood; the end of turn is the teacher's."""
    sent = rollouts(processor, described_sample(clip), "up, a", "x")
    prompt_ids = text_prompt_ids(text, "Look: ", told, "Which way does it move?")
    for one, scores in zip(sent, by_tokens(processor, text, media).score(sent), strict=True):
        if isinstance(scores, Failure):
            pytest.fail(scores.reason)
        names = ["</s>" if name == "<|im_end|>" else name for name in strings(processor, one.response_ids)]
        mapped = torch.tensor(text.tokenizer.convert_tokens_to_ids(names))
        wanted = plain_logprobs(text.model, prompt_ids, mapped)
        torch.testing.assert_close(scores.logprobs.double(), wanted, rtol=1e-5, atol=1e-5)


def borders(ids: Sequence[int], tokens: Sequence[str], *, ended: bool) -> list[int]:
    """Where each token of an ASCII text ends; byte-level BPE has a letter for a byte. The end of turn is one more."""
    ends = [sum(len(token) for token in tokens[: place + 1]) for place in range(len(ids) - ended)]
    return [*ends, (ends[-1] if ends else 0) + 1] if ended else ends


@pytest.mark.parametrize("answer", ANSWERS)
def test_text_of_a_teacher_with_other_tokens(
    processor: QwenVLProcessor, text: Expert, clip: Media, answer: str
) -> None:
    """Between any two common borders, the log-probs add up to the teacher's own."""
    prompt_ids = text_prompt_ids(text, "Look: ", "A red circle moves up.\n", "Which way does it move?")
    for one in rollouts(processor, described_sample(clip), answer):
        ended = one.finish_reason is FinishReason.STOP
        (scores,) = by_text(processor, text, MediaFor.CAPTION).score([one])
        assert isinstance(scores, TeacherScores) and verified(one, scores) is scores
        assert scores.entropy is None and scores.top_ids is None, "nothing but log-probs can be aligned"
        theirs = text.tokenizer(processor.decode(one.response_ids), add_special_tokens=False)["input_ids"]
        theirs = [*theirs, text.tokenizer.eos_token_id] if ended else theirs
        values = plain_logprobs(text.model, prompt_ids, torch.tensor(theirs, dtype=torch.int64))
        mine = borders(one.response_ids.tolist(), strings(processor, one.response_ids), ended=ended)
        others = borders(theirs, text.tokenizer.convert_ids_to_tokens(theirs), ended=ended)
        assert not mine or mine[-1] == others[-1]
        for border in set(mine) & set(others):
            got = scores.logprobs[: mine.index(border) + 1].double().sum()
            torch.testing.assert_close(got, values[: others.index(border) + 1].sum(), rtol=1e-5, atol=1e-4)


def test_what_cannot_be_read_fails_alone_and_is_not_sent(processor: QwenVLProcessor, text: Expert, clip: Media) -> None:
    seen = described_sample(clip)
    blind, good = answered(processor.encode(seen), processor.encode_response("up")), described_sample(None)
    fine = answered(processor.encode(good), processor.encode_response("up"))
    torn = answered(fine.prompt, processor.encode_response("🎉")[:-2], FinishReason.LENGTH)
    scores = by_text(processor, text, MediaFor.AS_IS).score([blind, fine, torn, fine])
    assert [type(entry) for entry in scores] == [Failure, TeacherScores, Failure, TeacherScores]
    assert isinstance(scores[0], Failure) and "this backbone reads text only" in scores[0].reason
    assert isinstance(scores[2], Failure) and "cannot express the response's bytes" in scores[2].reason
    assert by_text(processor, text, MediaFor.AS_IS).score([blind]) == [scores[0]]
    assert by_text(processor, text, MediaFor.AS_IS).score([]) == []


def greedy(num: int = 7) -> Sampling:
    return sampling(temperature=0, max_new_tokens=num)


@torch.no_grad()
def plain_greedy(teacher: Expert, prompt_ids: Tensor, num: int) -> list[int]:
    ids = prompt_ids.tolist()
    for _ in range(num):
        ids.append(int(teacher.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == teacher.tokenizer.eos_token_id:
            break
    return ids[len(prompt_ids) :]


def test_a_teacher_answers_in_the_students_tokens(processor: QwenVLProcessor, text: Expert, clip: Media) -> None:
    engine = HFRollout(text.backbone, text.processor)
    writer = OwnPromptEngine(engine, own(text, MediaFor.CAPTION), TextTranslation(processor, text.processor))
    prompts = [processor.encode(described_sample(clip)), processor.encode(described_sample(None))]
    wanted_ids = [
        text_prompt_ids(text, "Look: ", "A red circle moves up.\n", "Which way does it move?"),
        text_prompt_ids(text, "Which way does it move?"),
    ]
    for index, ((answer,), prompt, ids) in enumerate(
        zip(writer.generate(prompts, 1, greedy()), prompts, wanted_ids, strict=True)
    ):
        theirs = plain_greedy(text, ids, 7)
        assert processor.decode(answer.response_ids) == text.tokenizer.decode(theirs, skip_special_tokens=True)
        assert answer.prompt is prompt and answer.group_id == index
        assert len(answer.logprobs) == len(answer.response_ids)
        stopped = int(answer.response_ids[-1]) in processor.vocabulary.stop_ids
        assert stopped == (answer.finish_reason is FinishReason.STOP) == (theirs[-1] == text.tokenizer.eos_token_id)


def test_a_prompt_that_the_teacher_cannot_read_has_empty_answers(
    processor: QwenVLProcessor, text: Expert, clip: Media
) -> None:
    engine = HFRollout(text.backbone, text.processor)
    writer = OwnPromptEngine(engine, own(text, MediaFor.AS_IS), TextTranslation(processor, text.processor))
    prompts = [processor.encode(described_sample(clip)), processor.encode(described_sample(None))]
    blind, fine = writer.generate(prompts, 2, greedy())
    assert [len(one.response_ids) for one in blind] == [0, 0] and len(fine) == 2
    assert all(one.finish_reason is FinishReason.ABORT and one.prompt is prompts[0] for one in blind)
    assert all(len(one.response_ids) and one.group_id == 1 for one in fine)
    assert [len(group) for group in writer.generate(prompts[:1], 3, greedy())] == [3]


def test_each_prompt_is_answered_by_its_teacher_in_order(
    processor: QwenVLProcessor, text: Expert, vl: Expert, text_prompts: list[Prompt], prompts: list[Prompt]
) -> None:
    """The one with the larger weight, where two teach."""

    def in_domain(prompt: Prompt, domain: str) -> Prompt:
        return replace(prompt, sample=replace(prompt.sample, domain=domain))

    engines = {
        "text": OwnPromptEngine(
            HFRollout(text.backbone, text.processor),
            own(text, MediaFor.NOTHING),
            TextTranslation(processor, text.processor),
        ),
        "vl": OwnPromptEngine(
            HFRollout(vl.backbone, vl.processor),
            own(vl, MediaFor.AS_IS),
            TextTranslation(processor, vl.processor),
        ),
    }
    routes = build_routes(
        RoutingConfig(domains={"both": {"vl": 1, "text": 3}}, default="vl"), ("text", "vl"), ("both",)
    )
    sent = [prompts[0], in_domain(text_prompts[0], "both"), text_prompts[1], in_domain(prompts[1], "both")]
    answers = EngineRouter(engines, routes).generate(sent, 2, greedy())
    for index, (name, group) in enumerate(zip(["vl", "text", "vl", "text"], answers, strict=True)):
        (alone,) = engines[name].generate([sent[index]], 2, greedy())
        assert [one.group_id for one in group] == [index, index]
        assert all(one.prompt is sent[index] for one in group)
        for one, wanted in zip(group, alone, strict=True):
            assert torch.equal(one.response_ids, wanted.response_ids)
    assert EngineRouter(engines, routes).generate([], 2, greedy()) == []
