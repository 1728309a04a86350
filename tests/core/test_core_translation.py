"""Responses in a teacher's own tokens and back, with real tokenizers that have other tokens and numbers."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from core_parts import rollout
from translation_parts import Expert, answered, described_sample, text_expert, vl_expert

from uniopd_mm.config.parts import MediaFor
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.teachers.translation import TextTranslation, TokenTranslation, Untranslatable, replace_media
from uniopd_mm.types import FinishReason, Media, Message, Prompt, TeacherScores, UserError

ANSWER = "It moves left. \\boxed{left}"


@pytest.fixture(scope="module")
def vl(tmp_path_factory: pytest.TempPathFactory) -> Expert:
    return vl_expert(tmp_path_factory.mktemp("vl"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Expert:
    return text_expert(tmp_path_factory.mktemp("text"))


@pytest.fixture
def prompt(text_prompts: list[Prompt]) -> Prompt:
    return text_prompts[0]


def student_tokens(processor: QwenVLProcessor, ids: torch.Tensor) -> list[str]:
    strings = {index: token for token, index in processor.vocabulary.tokens.items()}
    return [strings[index] for index in ids.tolist()]


def test_the_vocabularies_are_truly_different(processor: QwenVLProcessor, vl: Expert, text: Expert) -> None:
    mine = processor.vocabulary.tokens
    for teacher in (vl, text):
        theirs = teacher.processor.vocabulary.tokens
        assert any(theirs.get(token, index) != index for token, index in mine.items())
        assert set(mine) - set(theirs) and set(theirs) - set(mine)
    assert text.processor.vocabulary.tokens["a"] != mine["a"]


def test_ids_are_carried_by_their_strings(processor: QwenVLProcessor, prompt: Prompt, text: Expert, vl: Expert) -> None:
    known = [token for token in processor.vocabulary.tokens if token in text.processor.vocabulary.tokens]
    assert len(known) > 256
    ids = torch.tensor([processor.vocabulary.tokens[token] for token in known])
    for teacher in (text, vl):
        translation = TokenTranslation(processor, teacher.processor, "t")
        found = translation.teacher_ids(answered(prompt, ids, FinishReason.LENGTH))
        assert teacher.tokenizer.convert_ids_to_tokens(found.tolist()) == known
        assert torch.equal(translation.student_ids(found), ids)


def test_an_end_of_turn_that_is_spelt_otherwise_becomes_the_teachers_own(
    processor: QwenVLProcessor, prompt: Prompt, text: Expert, vl: Expert
) -> None:
    ids = processor.encode_response("a")
    stops = processor.vocabulary.stop_ids
    assert len(stops) == 2, "<|im_end|> and <|endoftext|>"
    foreign = TokenTranslation(processor, text.processor, "t")
    end = text.tokenizer.eos_token_id
    for stop in stops:
        found = foreign.teacher_ids(answered(prompt, torch.tensor([int(ids[0]), stop])))
        assert text.tokenizer.convert_ids_to_tokens(found.tolist()) == ["a", "</s>"]
    assert foreign.student_ids(torch.tensor([end])).tolist() == [int(ids[-1])]
    related = TokenTranslation(processor, vl.processor, "t")
    for stop in stops:
        found = related.teacher_ids(answered(prompt, torch.tensor([stop])))
        assert vl.tokenizer.convert_ids_to_tokens(found.tolist()) == student_tokens(processor, torch.tensor([stop]))


def test_a_token_without_a_counterpart_is_named(processor: QwenVLProcessor, prompt: Prompt, text: Expert) -> None:
    translation = TokenTranslation(processor, text.processor, "t")
    lacking = next(i for token, i in processor.vocabulary.tokens.items() if token not in text.tokenizer.get_vocab())
    for unknown in (lacking, len(processor.vocabulary.tokens) + 3):
        if unknown in processor.vocabulary.stop_ids:
            continue
        with pytest.raises(Untranslatable, match=f"the teacher has no token for id {unknown}"):
            translation.teacher_ids(rollout(prompt, [40, unknown, 41]))
    theirs = next(i for token, i in text.tokenizer.get_vocab().items() if token not in processor.vocabulary.tokens)
    unspoken = theirs if theirs != text.tokenizer.eos_token_id else text.tokenizer.pad_token_id
    with pytest.raises(Untranslatable, match=f"the student has no token for id {unspoken}"):
        translation.student_ids(torch.tensor([unspoken]))


def test_a_likeliest_token_comes_back_in_the_students_ids(
    processor: QwenVLProcessor, prompt: Prompt, text: Expert
) -> None:
    translation = TokenTranslation(processor, text.processor, "t")
    one = answered(prompt, processor.encode_response("ab"))
    ids = translation.teacher_ids(one)
    theirs = text.tokenizer.get_vocab()
    private = next(token for token in theirs if token not in processor.vocabulary.tokens and token != "</s>")
    tops = torch.tensor([theirs["b"], theirs[private], text.backbone.vocab_size + 9])
    scores = TeacherScores(teacher="t", token_ids=ids, logprobs=torch.zeros(len(ids)), top_ids=tops)
    found = translation.student_scores(one, ids, scores)
    assert torch.equal(found.token_ids, one.response_ids)
    assert found.top_ids is not None and found.top_ids.tolist() == [processor.vocabulary.tokens["b"], -1, -1]
    other = translation.student_scores(one, ids, replace(scores, token_ids=ids + 1))
    assert not torch.equal(other.token_ids, one.response_ids), "scores of other ids are not passed off as the student's"


def test_tokenizers_with_too_little_in_common_are_refused(
    tmp_path: Path, processor: QwenVLProcessor, text: Expert
) -> None:
    many = text_expert(tmp_path, 1200, [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"])
    with pytest.raises(UserError, match=r"teacher=chinese: only \d+% of the student's tokens.*reads=TEXT"):
        TokenTranslation(many.processor, processor, "chinese")


@pytest.mark.parametrize("reason", [FinishReason.STOP, FinishReason.LENGTH])
@pytest.mark.parametrize("answer", [ANSWER, "", " naïve 日本🎉 "])
def test_a_text_is_encoded_anew_and_ended_only_where_it_ended(
    processor: QwenVLProcessor, prompt: Prompt, text: Expert, answer: str, reason: FinishReason
) -> None:
    translation = TextTranslation(processor, text.processor)
    ids, wanted = processor.encode_response(answer), text.tokenizer(answer, add_special_tokens=False)["input_ids"]
    if reason is FinishReason.STOP:
        wanted = [*wanted, text.tokenizer.eos_token_id]
    else:
        ids = ids[:-1]
    found = translation.teacher_ids(answered(prompt, ids, reason))
    assert found.tolist() == wanted and found.dtype == torch.int64
    assert torch.equal(translation.student_ids(found), ids)


@pytest.mark.parametrize("answer", ["a </s> b", "<user>x"])
def test_a_text_that_spells_a_special_token_of_the_teachers_is_not_sent(
    processor: QwenVLProcessor, prompt: Prompt, text: Expert, answer: str
) -> None:
    with pytest.raises(Untranslatable, match="cannot express the response's bytes"):
        TextTranslation(processor, text.processor).teacher_ids(answered(prompt, processor.encode_response(answer)))


def test_a_character_cut_by_the_length_limit_is_not_sent(
    processor: QwenVLProcessor, prompt: Prompt, text: Expert
) -> None:
    cut = processor.encode_response("up 🎉")[:-2]
    with pytest.raises(Untranslatable, match="cannot express the response's bytes"):
        TextTranslation(processor, text.processor).teacher_ids(answered(prompt, cut, FinishReason.LENGTH))


def test_an_answer_that_spells_a_place_for_media_is_not_learnt(processor: QwenVLProcessor, text: Expert) -> None:
    with pytest.raises(Untranslatable, match="a media placeholder"):
        TextTranslation(processor, text.processor).student_ids(text.processor.encode_response("see <|image_pad|>"))


def test_media_are_kept_told_or_left_out_where_they_stood() -> None:
    told, untold = Media(kind="video", source="a.mp4", caption="A ball falls."), Media(kind="image", source="b.png")
    sample = replace(
        described_sample(told),
        messages=(
            Message(role="system", content=(untold,)),
            Message(role="user", content=("First ", told, "then ", untold, "what?")),
        ),
    )
    assert replace_media(sample, MediaFor.AS_IS) is sample
    captioned = replace_media(sample, MediaFor.CAPTION)
    assert captioned.messages[1].content == ("First ", "A ball falls.\n", "then ", "what?")
    nothing = replace_media(sample, MediaFor.NOTHING)
    assert nothing.messages[1].content == ("First ", "then ", "what?")
    assert [message.role for message in nothing.messages] == ["system", "user"]
    assert captioned.sample_id == sample.sample_id
