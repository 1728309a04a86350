"""Students with adapters, and what they say."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from uniopd_mm.data.collate import left_padded
from uniopd_mm.models.backbone import load_model
from uniopd_mm.types import Prompt

ATTENTION = ["q_proj", "v_proj", "qkv"]  # of the language model and of the vision tower
ADAPTED: dict[str, dict[str, Any]] = {
    "linear": {"target_modules": "all-linear"},
    "convolution": {"target_modules": ["proj", "q_proj"]},
    "embedding of places": {"target_modules": ["pos_embed", "q_proj"]},
    "bias": {"target_modules": ["qkv", "linear_fc1"], "lora_bias": True},
    "rank-stabilised": {"target_modules": ATTENTION, "use_rslora": True},
    "whole modules": {"target_modules": ATTENTION, "modules_to_save": ["merger", "norm1"]},
    "tied": {"target_modules": [*ATTENTION, "embed_tokens"], "ensure_weight_tying": True},
    "tied whole": {"target_modules": ATTENTION, "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
}


def plain(checkpoint: str) -> Any:
    return load_model(checkpoint, "model.path")


def adapted(checkpoint: str, **settings: Any) -> PeftModel:
    """With every trained weight moved away from where it started."""
    student = get_peft_model(plain(checkpoint), LoraConfig(r=3, lora_dropout=0.5, **copy.deepcopy(settings))).eval()
    moved(student, seed=0)
    return student


def moved(student: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in student.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn(weight.shape, generator=generator))


def logits(model: nn.Module, prompts: list[Prompt]) -> Tensor:
    batch = left_padded(prompts[:2], pad_id=0)
    with torch.no_grad():
        return model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask.long(), **batch.media, **batch.token_features
        ).logits


def loaded(checkpoint: str, weights: Mapping[str, Tensor]) -> nn.Module:
    model = plain(checkpoint)
    model.load_state_dict(weights)
    return model


def assert_equal(ours: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert list(ours) == list(wanted)
    assert [name for name in wanted if not torch.equal(ours[name], wanted[name])] == []
