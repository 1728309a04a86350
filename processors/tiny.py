"""A complete, untrained Qwen3-VL checkpoint of about a million parameters: the architecture of the built-in zoo.

It has all parts of a real checkpoint (vision tower with deepstack, merger, M-RoPE, timestamped videos, byte-level BPE
with Qwen's special tokens, chat template, image and video processors), only smaller. Not here: its training, which the
zoo does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for item in message.content -%}
{%- if item.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif item.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>
{%- else %}{{ item.text }}{% endif -%}
{%- endfor %}{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}"""
# GPT-2's split into words, but with a video's timestamps in one piece: they are a third of a short clip's prompt.
PIECES = r"<\d+\.\d seconds>|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TIMESTAMPS = [f"<{tenths / 10:.1f} seconds>" for tenths in range(50)] * 20
PATCH, MERGE, TEMPORAL = 16, 2, 2
MAX_FRAMES = 32  # a video has one pixel budget for all its frames


@final
@dataclass(frozen=True, kw_only=True)
class TinyQwen3VL:
    """Writes an untrained checkpoint that `AutoModelForImageTextToText` and `AutoProcessor` load.

    Args:
        hidden_size: width of the text model and of the vision tower's output.
        num_layers: depth of the text model.
        vocab_size: size of the byte-level BPE vocabulary, including special tokens.
        max_pixels: limit per image and per frame.
    """

    hidden_size: int = 128
    num_layers: int = 2
    vocab_size: int = 640
    max_pixels: int = 128 * 128

    def write(self, folder: Path, texts: Iterable[str], seed: int) -> None:
        """Train the tokenizer on `texts`. Write it, the processors, and a model initialised from `seed`."""
        processor = self._processor([*texts, *TIMESTAMPS])
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(self._config(processor.tokenizer))
        model.generation_config = GenerationConfig(
            eos_token_id=processor.tokenizer.eos_token_id, pad_token_id=processor.tokenizer.pad_token_id
        )
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    def _processor(self, texts: Iterable[str]) -> Qwen3VLProcessor:
        pixels = {"shortest_edge": (PATCH * MERGE) ** 2, "longest_edge": self.max_pixels}
        geometry = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": TEMPORAL}
        normalisation = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
        return Qwen3VLProcessor(
            image_processor=Qwen2VLImageProcessor(size=pixels, **geometry, **normalisation),
            tokenizer=byte_level_bpe(texts, self.vocab_size),
            video_processor=Qwen3VLVideoProcessor(
                size={**pixels, "longest_edge": self.max_pixels * MAX_FRAMES}, **geometry, **normalisation
            ),
            chat_template=CHAT_TEMPLATE,
        )

    def _config(self, tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
        hidden = self.hidden_size
        ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
        text = {
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": hidden // 32,
            "num_key_value_heads": max(1, hidden // 64),
            "head_dim": 32,
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [8, 4, 4],
                "mrope_interleaved": True,
            },
            # The stock value 0.02 is meant for hidden sizes in the thousands; with it, a model this narrow stays on a
            # plateau.
            "initializer_range": hidden**-0.5,
            "pad_token_id": ids["<|endoftext|>"],
        }
        vision = {
            "depth": 2,
            "hidden_size": hidden // 2,
            "intermediate_size": hidden,
            "num_heads": 2,
            "out_hidden_size": hidden,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": (hidden // 2) ** -0.5,
        }
        return Qwen3VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
            tie_word_embeddings=True,
        )


def byte_level_bpe(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE, which can encode any text, with Qwen's special tokens. `<|im_end|>` ends a turn."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        clean_up_tokenization_spaces=False,
    )
