"""Tiny models of families that do something to their logits, with random weights large enough that it shows."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    CohereConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    GraniteConfig,
    HyperCLOVAXConfig,
    LlamaConfig,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3VLConfig,
    SiglipVisionConfig,
)

NUM_IDS = 48
SIZES: Mapping[str, Any] = {
    "vocab_size": NUM_IDS,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WIDE: Mapping[str, Any] = {**SIZES, "head_dim": 16}


def _capped_but_multimodal() -> PreTrainedConfig:
    """Its configuration names a cap, which only its text-only class applies."""
    text = Gemma3TextConfig(**WIDE, final_logit_softcapping=2.0)
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return Gemma3Config(text_config=text.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=4)


def _qwen() -> PreTrainedConfig:
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 1e4}
    return Qwen3VLConfig(
        text_config={**WIDE, "rope_parameters": rope},
        vision_config={**vision, "deepstack_visual_indexes": [0]},
        image_token_id=40,
        video_token_id=41,
        vision_start_token_id=42,
        vision_end_token_id=43,
    )


CONFIGS: Mapping[str, Callable[[], PreTrainedConfig]] = {
    "plain": lambda: LlamaConfig(**SIZES),
    "cap": lambda: Gemma2Config(**WIDE, final_logit_softcapping=5.0, attn_logit_softcapping=20.0),
    "cap of the third generation": lambda: Gemma3TextConfig(**WIDE, final_logit_softcapping=5.0),
    "cap that is not applied": _capped_but_multimodal,
    "scale that divides": lambda: GraniteConfig(**SIZES, logits_scaling=8.0),
    "scale that multiplies": lambda: CohereConfig(**SIZES, logit_scale=0.25),
    "the dividing name, multiplying": lambda: HyperCLOVAXConfig(**SIZES, logits_scaling=0.25),
    "bias": lambda: PhiConfig(**SIZES),
    "multimodal": _qwen,
}


def tiny(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """In float32, with log-probs that spread over several nats."""
    kind: Any = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    model = kind.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" not in name:
                value.copy_(0.3 * torch.randn(value.shape, generator=generator))
        model.get_output_embeddings().weight.mul_(4)
    return model
