"""Chats of several turns, with media in some of them, become what transformers' own `apply_chat_template` makes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from processor_parts import TEMPLATE, Checkpoint, byte_level_bpe

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.types import BadSample, Media, Message, Sample

RED, BLUE = (Image.new("RGB", (64, 64), color) for color in ("red", "blue"))
TURNS: list[tuple[str, tuple[Any, ...]]] = [
    ("system", ("Be short.",)),
    ("user", (RED, "Which colour?")),
    ("assistant", ("Red.",)),
    ("user", ("And ", BLUE, "?")),
]
ALTERNATING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"


def sample(turns: list[tuple[str, tuple[Any, ...]]]) -> Sample:
    messages = tuple(
        Message(role=role, content=tuple(p if isinstance(p, str) else Media(kind="image", source=p) for p in content))
        for role, content in turns
    )
    return Sample(sample_id="s", domain="d", messages=messages, answer=None, source="f:1")


def test_pictures_in_two_turns(checkpoint: Checkpoint) -> None:
    prompt = QwenVLProcessor(str(checkpoint.folder)).encode(sample(TURNS))
    told = [
        {
            "role": role,
            "content": [
                {"type": "text", "text": p} if isinstance(p, str) else {"type": "image", "image": p} for p in content
            ],
        }
        for role, content in TURNS
    ]
    wanted = checkpoint.stock.apply_chat_template(
        told, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    assert torch.equal(prompt.token_ids, wanted["input_ids"][0])
    for name in ("pixel_values", "image_grid_thw"):
        assert torch.equal(prompt.media[name], wanted[name])
    assert len(prompt.engine_media["image"]) == 2


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    tokenizer = byte_level_bpe()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_texts_in_several_turns(tokenizer_folder: Path) -> None:
    turns = [(role, tuple(p for p in content if isinstance(p, str))) for role, content in TURNS]
    prompt = TextProcessor(str(tokenizer_folder)).encode(sample(turns))
    told = [{"role": role, "content": "".join(content)} for role, content in turns]
    tokenizer = byte_level_bpe()
    text = tokenizer.apply_chat_template(told, chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True)
    assert prompt.token_ids.tolist() == tokenizer(text)["input_ids"]
    assert text.count("<|im_start|>") == 5


def test_turns_that_a_template_refuses_are_a_bad_sample(tokenizer_folder: Path) -> None:
    tokenizer = byte_level_bpe()
    tokenizer.chat_template = ALTERNATING + TEMPLATE
    tokenizer.save_pretrained(tokenizer_folder)
    processor = TextProcessor(str(tokenizer_folder))
    with pytest.raises(BadSample, match="the chat template refuses its turns: no system role"):
        processor.encode(sample([("system", ("s",)), ("user", ("q",))]))
    assert len(processor.encode(sample([("user", ("q",))])).token_ids)
