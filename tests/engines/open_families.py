"""Tiny untrained checkpoints of further families, with the tokens, templates and processors of their own classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from families import HIDDEN, TEXTS
from open_models import (
    gemma3,
    gemma4,
    glm4v,
    internvl,
    lfm2_vl,
    llava_onevision,
    minicpm,
    mistral3,
    qwen3_5,
    qwen3_5_moe,
    qwen3_vl_moe,
    smolvlm,
)
from open_processors import (
    gemma3_processor,
    gemma4_processor,
    glm4v_processor,
    internvl_processor,
    lfm2_vl_processor,
    llava_onevision_processor,
    minicpm_processor,
    mistral3_processor,
    qwen_processor,
    smolvlm_processor,
)
from safetensors.torch import load_file, save_file

from uniopd_mm.processors.tiny import TIMESTAMPS, byte_level_bpe

TURNS = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for item in message.content -%}
{%- if item.type == 'image' %}IMAGE
{%- elif item.type == 'video' %}VIDEO
{%- else %}{{ item.text }}{% endif -%}
{%- endfor %}{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What makes a checkpoint: special tokens by the names that the family gives them, the template's text for an
    image and for a video ("" where it reads none), and functions that make its processor and model."""

    tokens: Mapping[str, str]
    image: str
    processor: Callable[[Any, str], Any]
    model: Callable[[Any], Any]
    video: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("text", "image", "two_images", *(("video",) if self.video else ()))


QWEN = {
    name: Family(
        tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        image="<|vision_start|><|image_pad|><|vision_end|>",
        video="<|vision_start|><|video_pad|><|vision_end|>",
        processor=qwen_processor,
        model=model,
    )
    for name, model in (("qwen3_5", qwen3_5), ("qwen3_5_moe", qwen3_5_moe), ("qwen3_vl_moe", qwen3_vl_moe))
}
OPEN = {
    **QWEN,
    "gemma3": Family(
        tokens={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
        image="<start_of_image>",
        processor=gemma3_processor,
        model=gemma3,
    ),
    "gemma4": Family(
        tokens={
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "image_token": "<|image|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
            "audio_token": "<|audio|>",
            "video_token": "<|video|>",
        },
        image="<|image|>",
        processor=gemma4_processor,
        model=gemma4,
    ),
    "internvl": Family(
        tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        image="<IMG_CONTEXT>\n",
        video="<video>\n",
        processor=internvl_processor,
        model=internvl,
    ),
    "smolvlm": Family(
        tokens={
            "fake_image_token": "<fake_token_around_image>",
            "image_token": "<image>",
            "global_image_token": "<global-img>",
            "end_of_utterance_token": "<end_of_utterance>",
        },
        image="<image>",
        processor=smolvlm_processor,
        model=smolvlm,
    ),
    "llava_onevision": Family(
        tokens={"image_token": "<image>", "video_token": "<video>"},
        image="<image>\n",
        video="<video>\n",
        processor=llava_onevision_processor,
        model=llava_onevision,
    ),
    "mistral3": Family(
        tokens={"a_token": "[IMG]", "b_token": "[IMG_BREAK]", "c_token": "[IMG_END]"},
        image="[IMG]",
        processor=mistral3_processor,
        model=mistral3,
    ),
    "lfm2_vl": Family(
        tokens={
            "image_token": "<image>",
            "image_start_token": "<|image_start|>",
            "image_end_token": "<|image_end|>",
            "image_thumbnail": "<|img_thumbnail|>",
        },
        image="<image>",
        processor=lfm2_vl_processor,
        model=lfm2_vl,
    ),
    "glm4v": Family(
        tokens={
            "image_token": "<|image|>",
            "video_token": "<|video|>",
            "a_token": "<|begin_of_image|>",
            "b_token": "<|end_of_image|>",
            "c_token": "<|begin_of_video|>",
            "d_token": "<|end_of_video|>",
        },
        image="<|begin_of_image|><|image|><|end_of_image|>",
        processor=glm4v_processor,
        model=glm4v,
    ),
}


UNSUPPORTED = {
    "minicpmv4_6": Family(
        tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "image_start_token": "<image>",
            "image_end_token": "</image>",
            "slice_start_token": "<slice>",
            "slice_end_token": "</slice>",
            "image_id_start_token": "<image_id>",
            "image_id_end_token": "</image_id>",
        },
        image="<|image_pad|>\n",
        video="<|video_pad|>\n",
        processor=minicpm_processor,
        model=minicpm,
    ),
}


def write_open(name: str, folder: Path, seed: int = 0) -> str:
    """Write a checkpoint with tokenizer and processor; its folder. Skips the test if a package is missing."""
    if name == "smolvlm":
        pytest.importorskip("num2words", reason="SmolVLM's processor needs it")
    family = (OPEN | UNSUPPORTED)[name]
    tokenizer = byte_level_bpe([*TEXTS, *TIMESTAMPS], 370)
    tokenizer.add_tokens([hf.AddedToken(token, special=True) for token in family.tokens.values()], special_tokens=True)
    if name == "gemma3":  # vLLM looks up line ends, which are tokens in Gemma's vocabulary
        tokenizer.add_tokens(["\n" * number for number in range(1, 5)])
    tokenizer._set_model_specific_special_tokens(special_tokens=dict(family.tokens))
    template = TURNS.replace("IMAGE", family.image).replace("VIDEO", family.video)
    torch.manual_seed(seed)
    model = family.model(tokenizer)
    _spread(model)
    model.generation_config = hf.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    if name in ("gemma3", "lfm2_vl", "llava_onevision"):
        _as_published(folder)
    family.processor(tokenizer, template).save_pretrained(folder)
    return str(folder)


@torch.no_grad()
def _spread(model: Any) -> None:
    """Some families start projections at zero, with which a model would be blind."""
    for weight in model.parameters():
        if weight.dim() > 1 and not weight.any():
            weight.normal_(std=HIDDEN**-0.5)


def _as_published(folder: Path) -> None:
    """Published checkpoints keep the names of older versions; transformers saves what it loaded under these again."""
    path = folder / "model.safetensors"
    weights = {name.replace("vision_tower.", "vision_tower.vision_model."): w for name, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
