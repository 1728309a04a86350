"""Tiny untrained checkpoints of the families that vLLM and transformers both run, and samples for them.

All are real ones of 0.1 to 0.2 M parameters, with more rows in the embedding than the tokenizer has tokens, as real
checkpoints have.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from uniopd_mm.interfaces import Processor
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.processors.tiny import CHAT_TEMPLATE, TIMESTAMPS, byte_level_bpe
from uniopd_mm.types import Media, Message, Sample

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3")
PATCHES = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}
HIDDEN, HEAD, LAYERS = 64, 32, 2  # vLLM has no attention for heads of 16 on a CPU
VOCAB, ROWS = 384, 400
TEXTS = ["Which way does the red square move? left right up down", "How many objects are there, and where?"] * 20
KINDS = ("text", "image", "two_images", "video", "transparent_image", "long_video", "image_and_videos")


def kinds(family: str) -> tuple[str, ...]:
    """What a family can be asked about."""
    return KINDS[:1] if family == "qwen3" else KINDS


def write_family(family: str, folder: Path, seed: int = 0) -> str:
    """Write a checkpoint with tokenizer and processor; its folder."""
    tokenizer = byte_level_bpe([*TEXTS, *TIMESTAMPS], VOCAB)
    torch.manual_seed(seed)
    model = _model(family, tokenizer)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    _processor(family, tokenizer).save_pretrained(folder)
    return str(folder)


def processor_of(family: str, folder: str, **options: Any) -> Processor:
    """The project's processor of a family's checkpoint."""
    return TextProcessor(folder) if family == "qwen3" else QwenVLProcessor(folder, **options)


def _model(family: str, tokenizer: PreTrainedTokenizerFast) -> Any:
    if family == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**_text_config(family, tokenizer), tie_word_embeddings=True))
    config, model = {
        "qwen2_vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration),
        "qwen2_5_vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration),
        "qwen3_vl": (Qwen3VLConfig, Qwen3VLForConditionalGeneration),
    }[family]
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    # Qwen2.5-VL is the one whose output embedding is its own here.
    tied = family != "qwen2_5_vl"
    return model(
        config(
            text_config=_text_config(family, tokenizer),
            vision_config=_vision_config(family),
            tie_word_embeddings=tied,
            **ids,
        )
    )


def _text_config(family: str, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    config: dict[str, Any] = {
        "vocab_size": ROWS,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HIDDEN // HEAD,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "initializer_range": HIDDEN**-0.5,  # far from uniform: an error anywhere is seen in the log-probs
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    }
    if family.endswith("vl"):
        config["rope_parameters"] |= {"mrope_section": [8, 4, 4]}
    if family == "qwen3_vl":
        config["rope_parameters"] |= {"mrope_interleaved": True}
    return config | ({"head_dim": HEAD} if family.startswith("qwen3") else {})


def _vision_config(family: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "depth": 2,
        "num_heads": 2,
        "patch_size": PATCHES[family],
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "initializer_range": HIDDEN**-0.5,
    }
    if family == "qwen2_vl":
        return config | {"embed_dim": HIDDEN, "hidden_size": HIDDEN, "mlp_ratio": 2}
    config |= {"hidden_size": HIDDEN, "intermediate_size": HIDDEN, "out_hidden_size": HIDDEN}
    if family == "qwen2_5_vl":
        return config | {"fullatt_block_indexes": [1], "window_size": 56, "tokens_per_second": 2}
    return config | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}


def _processor(family: str, tokenizer: PreTrainedTokenizerFast) -> Any:
    if family == "qwen3":
        tokenizer.chat_template = CHAT_TEMPLATE
        return tokenizer
    kind, video = {
        "qwen2_vl": (Qwen2VLProcessor, Qwen2VLVideoProcessor),
        "qwen2_5_vl": (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
        "qwen3_vl": (Qwen3VLProcessor, Qwen3VLVideoProcessor),
    }[family]
    factor = 2 * PATCHES[family]
    frame = {"shortest_edge": factor**2, "longest_edge": 12 * factor**2}
    clip = {**frame, "longest_edge": 96 * factor**2} if family == "qwen3_vl" else frame
    return kind(
        image_processor=Qwen2VLImageProcessor(size=frame, patch_size=PATCHES[family]),
        tokenizer=tokenizer,
        # Another mean and spread than the images', as Qwen2-VL's and Qwen3-VL's configs may have.
        video_processor=video(
            size=clip,
            patch_size=PATCHES[family],
            cap_pixels_per_frame=True,
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
        ),
        chat_template=CHAT_TEMPLATE,
    )


def picture(height: int, width: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    channels = len(mode)
    array = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(array, mode=mode)


def frames(number: int, height: int = 56, width: int = 84, seed: int = 0) -> list[Image.Image]:
    return [picture(height, width, seed=1000 * seed + index) for index in range(number)]


def image(height: int, width: int, seed: int = 0, mode: str = "RGB") -> Media:
    return Media(kind="image", source=picture(height, width, seed, mode))


def video(number: int, fps: float, **shape: int) -> Media:
    return Media(kind="video", source=frames(number, **shape), options={"sample_fps": fps})


def video_file(path: Path, number: int, rate: Fraction) -> Media:
    """An MP4 that is to be looked at three times a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = 56, 84, "yuv420p"
        for frame in frames(number):
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return Media(kind="video", source=path, options={"fps": 3.0})


def sample_of(name: str, *content: str | Media) -> Sample:
    return Sample(
        sample_id=name,
        domain="d",
        messages=(Message(role="user", content=content),),
        answer="a",
        source=f"f:{name}",
    )


def samples() -> Mapping[str, Sample]:
    """One of each kind, by its name. The second picture of two is too large for the processors' bounds; the longer clip
    lasts more positions than it is high, and it and the last have an odd number of frames."""
    first, second = image(64, 96), image(200, 120, seed=1)
    contents: dict[str, tuple[str | Media, ...]] = {
        "text": ("Which way does the red square move?",),
        "image": (first, "How many?"),
        "two_images": (first, "and", second, "how many?"),
        "video": (video(6, 3.7), "Which way?"),
        "transparent_image": (image(64, 96, seed=2, mode="RGBA"), "How many?"),
        "long_video": (video(11, 0.7, seed=1), "Which way?"),
        "image_and_videos": (video(7, 2.5, seed=2), "with", first, "then", video(4, 1.0, seed=3), "how many?"),
    }
    return {name: sample_of(name, *content) for name, content in contents.items()}
