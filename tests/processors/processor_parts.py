"""Tiny checkpoints of the three Qwen-VL families and real media files, made on the spot."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from uniopd_mm.types import Media, Message, Sample

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"]
SPECIAL += ["<|image_pad|>", "<|video_pad|>"]
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content -%}
{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>
{%- else %}{{ part.text }}{% endif -%}
{%- endfor %}{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking %}<think>
{% endif %}{% endif -%}"""
TEXTS = ["Which way does the red square move? left right up down", "How many objects <0.5 seconds> assistant user"] * 40
STOCK = {
    "qwen2_vl": (Qwen2VLProcessor, Qwen2VLVideoProcessor, 14),
    "qwen2_5_vl": (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor, 14),
    "qwen3_vl": (Qwen3VLProcessor, Qwen3VLVideoProcessor, 16),
}


@dataclass(frozen=True)
class Checkpoint:
    family: str
    folder: Path
    stock: Any


def byte_level_bpe() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=SPECIAL[1:]
    )


def stock_processor(family: str) -> Any:
    """The family's stock processor, with bounds small enough for small pictures to keep their size."""
    make_processor, make_video, patch = STOCK[family]
    factor = 2 * patch
    frame = {"shortest_edge": factor**2, "longest_edge": 12 * factor**2}
    clip = {**frame, "longest_edge": 96 * factor**2} if family == "qwen3_vl" else frame
    return make_processor(
        image_processor=Qwen2VLImageProcessor(size=frame, patch_size=patch),
        tokenizer=byte_level_bpe(),
        video_processor=make_video(size=clip, patch_size=patch, cap_pixels_per_frame=True),
        chat_template=TEMPLATE,
    )


def moving_square(num_frames: int, height: int = 64, width: int = 64) -> np.ndarray:
    """u8 [T, H, W, 3]: frame t is told from the others by the place of the square and the grey of the ground."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    frames += (np.arange(num_frames, dtype=np.uint8) * 4 % 200)[:, None, None, None]
    for t, frame in enumerate(frames):
        left = 3 * t % (width - 16)
        frame[8:24, left : left + 16] = (255, 0, 0)
    return frames


def write_video(path: Path, frames: np.ndarray, fps: Any = 15, codec: str = "libx264", **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def decoded(path: Path) -> np.ndarray:
    """All frames u8 [T, H, W, 3], by PyAV."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def sample_of(*content: str | Media) -> Sample:
    return Sample(
        sample_id="s", domain="d", messages=(Message(role="user", content=content),), answer="a", source="f:1"
    )


def image(source: Any, **options: Any) -> Media:
    return Media(kind="image", source=source, options=options)


def video(source: Any, **options: Any) -> Media:
    return Media(kind="video", source=source, options=options)
