"""A response in another tokenizer's tokens says exactly what was written: its text, and an end of turn where the
student wrote one. Between tokenizers of all kinds."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_parts import TEXTS, byte_level, sentencepiece
from tokenizers import AddedToken
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerBase

from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.processors.tiny import CHAT_TEMPLATE
from uniopd_mm.teachers.translation import TextTranslation, TokenTranslation, Untranslatable
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sample, TeacherScores

TURNS = "{% for message in messages %}<{{ message.role }}>{{ message.content }}<turn>\n{% endfor %}"
KINDS = {
    "byte_level": byte_level(),
    "other_byte_level": byte_level(280, TEXTS[1:2] * 20),
    "llama": sentencepiece(dummy_blank=True),
    "gemma": sentencepiece(dummy_blank=False),
}
KINDS["gemma"].add_tokens([AddedToken("<turn>", special=True)], special_tokens=True)


@pytest.fixture(scope="module")
def processors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextProcessor]:
    """Gemma ends a turn with a token of its own, and a text with another."""
    made = {}
    for name, tokenizer in KINDS.items():
        folder = tmp_path_factory.mktemp(name)
        tokenizer.chat_template = TURNS if name == "gemma" else CHAT_TEMPLATE
        tokenizer.save_pretrained(folder)
        if name == "gemma":
            stops = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<turn>")]
            GenerationConfig(eos_token_id=stops).save_pretrained(folder)
        made[name] = TextProcessor(str(folder))
    return made


def answered(ids: list[int] | Tensor, reason: FinishReason = FinishReason.STOP) -> Rollout:
    one = torch.tensor([1])
    sample = Sample(sample_id="s", domain="d", messages=(), answer=None, source="s")
    response = torch.as_tensor(ids, dtype=torch.int64)
    return Rollout(
        prompt=Prompt(sample=sample, token_ids=one, engine_token_ids=one),
        group_id=0,
        response_ids=response,
        logprobs=-torch.rand(len(response), generator=torch.Generator().manual_seed(len(response))),
        finish_reason=reason,
        policy_step=1,
    )


def told(ids: Tensor) -> TeacherScores:
    logprobs = -5 * torch.rand(len(ids), generator=torch.Generator().manual_seed(7))
    return TeacherScores(teacher="t", token_ids=ids, logprobs=logprobs)


@settings(max_examples=150, deadline=None)
@given(
    pair=st.permutations(list(KINDS)),
    text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\u2581<"), max_size=24),
    stop=st.sampled_from([None, 0, 1]),
    reason=st.sampled_from(FinishReason),
)
def test_the_teacher_is_asked_for_exactly_what_was_written(
    processors: dict[str, TextProcessor], pair: list[str], text: str, stop: int | None, reason: FinishReason
) -> None:
    """Its own ids of the text, and its end of turn only where the student wrote one, whichever, and whatever the finish
    reason says; scores that come back add up to the teacher's."""
    student, teacher = processors[pair[0]], processors[pair[1]]
    stops = student.vocabulary.stop_ids
    ids = student.encode_response(text)[:-1].tolist() + ([] if stop is None else [stops[stop % len(stops)]])
    one = answered(ids, reason)
    found = TextTranslation(student, teacher).teacher_ids(one)
    own: PreTrainedTokenizerBase = KINDS[pair[1]]
    end = own.convert_tokens_to_ids("<turn>" if pair[1] == "gemma" else own.eos_token)
    assert found.tolist() == own(text, add_special_tokens=False)["input_ids"] + ([] if stop is None else [end])
    scores = told(found)
    back = TextTranslation(student, teacher).student_scores(one, found, scores)
    assert torch.equal(back.token_ids, one.response_ids)
    if len(ids):
        torch.testing.assert_close(back.logprobs.double().sum(), scores.logprobs.double().sum(), rtol=1e-5, atol=1e-4)
    if stop is not None:
        torch.testing.assert_close(back.logprobs[-1], scores.logprobs[-1])
    spans_add_up(student.token_bytes(one.response_ids), back.logprobs, teacher.token_bytes(found), scores.logprobs)


def spans_add_up(mine: list[bytes], values: Tensor, theirs: list[bytes], wanted: Tensor) -> None:
    """Up to every place in the text where both have a border."""
    own = [sum(map(len, mine[: place + 1])) for place in range(len(mine))]
    others = [sum(map(len, theirs[: place + 1])) for place in range(len(theirs))]
    for border in set(own) & set(others) - {own[-1] if own else 0}:
        here = max(place for place, end in enumerate(own) if end == border)
        there = max(place for place, end in enumerate(others) if end == border)
        got, sums = values[: here + 1].double().sum(), wanted[: there + 1].double().sum()
        torch.testing.assert_close(got, sums, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", list(KINDS))
def test_a_special_token_inside_a_response_is_no_text(processors: dict[str, TextProcessor], name: str) -> None:
    """The text leaves it out; scored without it, the student would be paid for writing it."""
    student, teacher = processors[name], processors["byte_level" if name != "byte_level" else "llama"]
    words = student.encode_response("left")[:-1].tolist()
    stop, unknown = student.vocabulary.stop_ids[0], len(KINDS[name]) + 5
    for inside in (stop, unknown):
        for ids in ([*words, inside, *words], [inside, *words], [*words, inside, stop]):
            with pytest.raises(Untranslatable, match=f"id {inside} of the student, inside the response"):
                TextTranslation(student, teacher).teacher_ids(answered(ids))


@pytest.mark.parametrize("name", list(KINDS))
def test_a_teachers_answer_ends_where_it_ended_its_turn(processors: dict[str, TextProcessor], name: str) -> None:
    student, teacher = processors["byte_level"], processors[name]
    words = teacher.encode_response("left up")[:-1]
    mine = student.encode_response("left up")
    for stop in teacher.vocabulary.stop_ids:
        found = TextTranslation(student, teacher).student_ids(torch.cat([words, torch.tensor([stop])]))
        assert torch.equal(found, mine)
    assert torch.equal(TextTranslation(student, teacher).student_ids(words), mine[:-1])


def test_a_token_that_ends_no_turn_there_becomes_one_that_does(
    processors: dict[str, TextProcessor], tmp_path: Path
) -> None:
    """Llama has no <turn>, and its </s> stands for it. To Gemma, </s> stays what it is while it ends a turn there, too,
    and becomes <turn> where it is a token like others."""
    gemma, llama = processors["gemma"], processors["llama"]
    turn, end = (gemma.vocabulary.tokens[token] for token in ("<turn>", "</s>"))
    there = llama.vocabulary.tokens["</s>"]
    assert TokenTranslation(gemma, llama, "t").teacher_ids(answered([turn])).tolist() == [there]
    assert TokenTranslation(gemma, llama, "t").teacher_ids(answered([end])).tolist() == [there]
    assert TokenTranslation(llama, gemma, "t").teacher_ids(answered([there])).tolist() == [end]
    tokenizer = copy.deepcopy(KINDS["gemma"])
    tokenizer.eos_token = "<turn>"
    tokenizer.save_pretrained(tmp_path)
    strict = TextProcessor(str(tmp_path))
    assert strict.vocabulary.stop_ids == (turn,) and strict.vocabulary.tokens["</s>"] == end
    assert TokenTranslation(llama, strict, "t").teacher_ids(answered([there])).tolist() == [turn]


def test_a_response_ends_as_the_chat_template_ends_a_turn(tmp_path: Path, processors: dict[str, TextProcessor]) -> None:
    ids = processors["gemma"].encode_response("left")
    assert int(ids[-1]) == processors["gemma"].vocabulary.tokens["<turn>"]
    assert int(processors["llama"].encode_response("left")[-1]) == processors["llama"].vocabulary.tokens["</s>"]
    tokenizer = sentencepiece(dummy_blank=False)
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    tokenizer.save_pretrained(tmp_path)
    assert int(TextProcessor(str(tmp_path)).encode_response("left")[-1]) == tokenizer.eos_token_id
