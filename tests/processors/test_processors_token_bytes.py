"""The bytes of tokens, one by one: together they are the text that the tokenizer itself decodes."""

from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizer_parts import byte_level, sentencepiece
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from uniopd_mm.processors.chat import response_ids, token_bytes
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.processors.tiny import CHAT_TEMPLATE, TinyQwen3VL

KINDS = {
    "byte_level": byte_level(),
    "llama": sentencepiece(dummy_blank=True),
    "gemma": sentencepiece(dummy_blank=False),
}
SENTENCES = [
    "Which way does it move?",
    "naïve café, 日本語と🎉👩\u200d👩\u200d👧!",
    "  two  blanks ",
    " one",
    "a\n\nb\tc",
    "",
]


@pytest.fixture(params=list(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    return KINDS[request.param]


@pytest.mark.parametrize("text", SENTENCES)
def test_together_they_are_the_text(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    ids = response_ids(tokenizer, text)
    pieces = token_bytes(tokenizer, ids)
    assert len(pieces) == len(ids) and pieces[-1] == b""
    assert b"".join(pieces) == text.encode()


@pytest.mark.parametrize("kind", list(KINDS))
@given(text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\u2581"), max_size=30))
def test_any_text_is_spelt(kind: str, text: str) -> None:
    assume(not any(token in text for token in KINDS[kind].added_tokens_encoder))  # these spell nothing
    pieces = token_bytes(KINDS[kind], response_ids(KINDS[kind], text))
    assert b"".join(pieces) == text.encode()


@given(data=st.data())
@pytest.mark.parametrize("kind", list(KINDS))
def test_any_ids_spell_what_is_decoded(kind: str, data: st.DataObject) -> None:
    """A student's ids need not be those in which its tokenizer would write the text."""
    tokenizer = KINDS[kind]
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=12))
    joined = b"".join(token_bytes(tokenizer, torch.tensor(ids, dtype=torch.int64)))
    text = tokenizer.decode(ids, skip_special_tokens=True)
    try:
        assert joined.decode() == text
    except UnicodeDecodeError:
        assert "\ufffd" in text, "bytes that are no text"


def test_a_character_is_cut_into_its_bytes(tokenizer: PreTrainedTokenizerBase) -> None:
    pieces = [piece for piece in token_bytes(tokenizer, response_ids(tokenizer, "x🎉")) if piece]
    assert pieces[-4:] == [b"\xf0", b"\x9f", b"\x8e", b"\x89"] and pieces[-5] == b"x"


def test_special_tokens_and_unknown_ids_spell_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    """In the middle as well; the padded rows of an embedding have ids without a token."""
    inner = response_ids(tokenizer, "left")[:-1].tolist()
    ids = torch.tensor([tokenizer.pad_token_id, *inner, tokenizer.eos_token_id, *inner, len(tokenizer) + 5])
    pieces = token_bytes(tokenizer, ids)
    assert pieces[0] == pieces[len(inner) + 1] == pieces[-1] == b""
    assert b"".join(pieces).decode() == tokenizer.decode(ids[:-1].tolist(), skip_special_tokens=True)


def test_added_tokens_spell_themselves_unless_they_are_special() -> None:
    tokenizer = byte_level()
    plain, special = ["<think>", "<｜User｜>", "two words"], "<|reserved|>"
    tokenizer.add_tokens([AddedToken(token, special=False) for token in plain])
    tokenizer.add_tokens([AddedToken(special, special=True)], special_tokens=True)
    ids = torch.tensor(tokenizer.convert_tokens_to_ids([*plain, special]))
    assert token_bytes(tokenizer, ids) == [*(token.encode() for token in plain), b""]
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=True) == "".join(plain)


def test_processors_pass_them_on(tmp_path: Path) -> None:
    TinyQwen3VL(hidden_size=64, num_layers=1).write(tmp_path / "vl", SENTENCES, seed=0)
    text_only = sentencepiece(dummy_blank=True)
    text_only.chat_template = CHAT_TEMPLATE
    text_only.save_pretrained(tmp_path / "text")
    for processor in (QwenVLProcessor(str(tmp_path / "vl")), TextProcessor(str(tmp_path / "text"))):
        for sentence in SENTENCES:
            ids = processor.encode_response(sentence)
            pieces = processor.token_bytes(ids)
            assert b"".join(pieces).decode() == processor.decode(ids) == sentence
            assert len(pieces) == len(ids) and processor.token_bytes(ids[:0]) == []
