"""Prompts, vocabulary, decoding and saving: QwenVLProcessor and TextProcessor around their tokenizers."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from processor_parts import SPECIAL, TEMPLATE, Checkpoint, byte_level_bpe, image, sample_of, video
from transformers import AutoProcessor, GenerationConfig

from uniopd_mm.interfaces import Processor
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.types import BadSample, Media, Message, Sample, UserError

PICTURE = Image.new("RGB", (64, 64), (255, 0, 0))


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    tokenizer = byte_level_bpe()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def rendered(processor: Processor, sample: Sample) -> str:
    strings = {number: token for token, number in processor.vocabulary.tokens.items()}
    return "".join(strings[number] for number in processor.encode(sample).token_ids.tolist())


def readable(text: str) -> str:
    """Byte-level BPE writes a space as Ġ and a new line as Ċ."""
    return text.replace("Ġ", " ").replace("Ċ", "\n")


def test_the_prompt_is_the_template_filled_in(qwen3: Checkpoint, text_folder: Path) -> None:
    expected = "<|im_start|>user\nWhich way?<|im_end|>\n<|im_start|>assistant\n"
    for processor in (QwenVLProcessor(str(qwen3.folder)), TextProcessor(str(text_folder))):
        sample = sample_of("Which ", "way?")
        assert readable(rendered(processor, sample)) == expected
        prompt = processor.encode(sample)
        assert prompt.sample is sample
        assert torch.equal(prompt.token_ids, prompt.engine_token_ids)
        assert prompt.token_ids.dtype == prompt.engine_token_ids.dtype == torch.long
        assert not prompt.media
        assert not prompt.engine_media


def test_system_prompt_and_thinking(qwen3: Checkpoint, text_folder: Path) -> None:
    options = {"system_prompt": "Be short.", "enable_thinking": True}
    own = Sample(
        sample_id="s",
        domain="d",
        messages=(Message(role="system", content=("Mine.",)), Message(role="user", content=("Hi",))),
        answer=None,
        source="f:1",
    )
    for processor in (QwenVLProcessor(str(qwen3.folder), **options), TextProcessor(str(text_folder), **options)):
        text = readable(rendered(processor, sample_of("Hi")))
        assert text.startswith("<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHi")
        assert text.endswith("assistant\n<think>\n")
        assert "Be short." not in readable(rendered(processor, own))


@pytest.mark.parametrize("token", ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"])
def test_text_that_spells_a_media_token_is_refused(qwen3: Checkpoint, text_folder: Path, token: str) -> None:
    with pytest.raises(BadSample, match="a media placeholder"):
        QwenVLProcessor(str(qwen3.folder)).encode(sample_of(image(PICTURE), f"what is {token}?"))
    with pytest.raises(BadSample, match="a media placeholder"):
        TextProcessor(str(text_folder)).encode(sample_of(f"what is {token}?"))


def test_a_token_put_together_from_parts_is_refused(qwen3: Checkpoint) -> None:
    processor = QwenVLProcessor(str(qwen3.folder))
    with pytest.raises(BadSample, match="a media placeholder"):
        processor.encode(sample_of("<|image", "_pad|>", image(PICTURE)))
    assert len(processor.encode(sample_of("<|image", image(PICTURE), "_pad|>")).engine_media["image"]) == 1


def test_other_bad_samples(qwen3: Checkpoint, text_folder: Path) -> None:
    processor = QwenVLProcessor(str(qwen3.folder))
    with pytest.raises(BadSample, match="'audio' cannot be read; this backbone reads image and video"):
        processor.encode(sample_of(Media(kind="audio", source="a.wav"), "?"))
    with pytest.raises(BadSample, match=r"missing\.mp4: no such file"):
        processor.encode(sample_of(video("missing.mp4"), "?"))
    with pytest.raises(BadSample, match="no messages"):
        processor.encode(Sample(sample_id="s", domain="d", messages=(), answer=None, source="f:1"))
    with pytest.raises(BadSample, match=r"'image'.*text only"):
        TextProcessor(str(text_folder)).encode(sample_of(image(PICTURE), "?"))


def test_vocabulary(qwen3: Checkpoint, text_folder: Path) -> None:
    for processor in (QwenVLProcessor(str(qwen3.folder)), TextProcessor(str(text_folder))):
        vocabulary = processor.vocabulary
        assert set(SPECIAL) <= vocabulary.tokens.keys()
        assert len(vocabulary.tokens) == len(byte_level_bpe())
        assert vocabulary.stop_ids == tuple(sorted(vocabulary.tokens[t] for t in ("<|im_end|>", "<|endoftext|>")))
        banned = ("<|image_pad|>", "<|video_pad|>", "<|vision_pad|>", "<|vision_start|>", "<|vision_end|>")
        assert set(vocabulary.banned_ids) == {vocabulary.tokens[token] for token in banned}
        assert vocabulary.pad_id == vocabulary.tokens["<|endoftext|>"]


def test_stop_tokens_of_the_generation_config(tmp_path: Path, text_folder: Path) -> None:
    tokenizer = byte_level_bpe()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    GenerationConfig(eos_token_id=[2, 77]).save_pretrained(tmp_path)
    assert TextProcessor(str(tmp_path)).vocabulary.stop_ids == (0, 2, 77)


def test_decode_leaves_out_special_tokens(qwen3: Checkpoint, text_folder: Path) -> None:
    for processor in (QwenVLProcessor(str(qwen3.folder)), TextProcessor(str(text_folder))):
        ids = byte_level_bpe()("the answer , is  \\boxed{5°}.<|im_end|><|endoftext|>")["input_ids"]
        assert processor.decode(torch.tensor(ids)) == "the answer , is  \\boxed{5°}."
        assert processor.decode(torch.tensor([], dtype=torch.long)) == ""


def test_save_keeps_the_users_bounds(checkpoint: Checkpoint, tmp_path: Path) -> None:
    picture = image(Image.new("RGB", (640, 640)))
    processor = QwenVLProcessor(str(checkpoint.folder), max_pixels=4096)
    processor.save(tmp_path)
    assert type(AutoProcessor.from_pretrained(tmp_path)) is type(checkpoint.stock)
    again = QwenVLProcessor(str(tmp_path))
    assert again.vocabulary == processor.vocabulary
    first, second = processor.encode(sample_of(picture, "?")), again.encode(sample_of(picture, "?"))
    assert torch.equal(first.token_ids, second.token_ids)
    assert first.engine_media["image"][0].size == second.engine_media["image"][0].size


def test_text_processor_saves(text_folder: Path, tmp_path: Path) -> None:
    processor = TextProcessor(str(text_folder))
    processor.save(tmp_path)
    assert rendered(TextProcessor(str(tmp_path)), sample_of("Hi")) == rendered(processor, sample_of("Hi"))


@pytest.mark.parametrize("make", [QwenVLProcessor, TextProcessor])
def test_folders_that_hold_no_processor(make: type, tmp_path: Path, text_folder: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        make(str(tmp_path))
    assert "\n" not in str(caught.value)
    if make is QwenVLProcessor:
        with pytest.raises(UserError, match="QwenVLProcessor reads Qwen2VLProcessor"):
            make(str(text_folder))


def test_a_template_without_places_for_media_is_refused(qwen3: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(qwen3.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text("{% for message in messages %}{{ message.role }}{% endfor %}")
    with pytest.raises(UserError, match="chat template"):
        QwenVLProcessor(str(tmp_path))


def test_contradicting_settings_are_the_users(qwen3: Checkpoint) -> None:
    for options, reason in (
        ({"max_pixels": 10}, "max_pixels=10"),
        ({"min_pixels": 10**9}, "min_pixels=1000000000"),
        ({"video_fps": None}, "video_num_frames"),
        ({"video_max_pixels": 10}, "max_pixels=10"),
    ):
        with pytest.raises(UserError, match=reason):
            QwenVLProcessor(str(qwen3.folder), **options)
