"""Weights that are not whole are refused where they are loaded; equal ones have equal fingerprints."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from head_parts import SIZES, tiny
from transformers import LlamaConfig, PreTrainedModel

from uniopd_mm.models.backbone import load_backbone
from uniopd_mm.models.integrity import check_same, check_weights, fingerprint
from uniopd_mm.types import UserError


@pytest.fixture
def model() -> PreTrainedModel:
    return tiny(LlamaConfig(**SIZES))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_checkpoint_with_a_broken_weight_is_one_clear_line(
    model: PreTrainedModel, tmp_path: Path, value: float
) -> None:
    with torch.no_grad():
        model.get_parameter("model.layers.1.mlp.up_proj.weight")[2, 3] = value
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError) as error:
        load_backbone(str(tmp_path), "model.path")
    assert str(error.value).startswith(f"model.path={tmp_path}: its weight model.layers.1.mlp.up_proj.weight contains")
    assert "\n" not in str(error.value)


def test_a_weight_without_values_is_refused(model: PreTrainedModel) -> None:
    check_weights(model)
    with pytest.raises(UserError, match=r"its weight model\.embed_tokens\.weight was not loaded"):
        check_weights(model.to("meta"))


CHANGES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "the last bit": lambda weight: torch.nextafter(weight, torch.tensor(9.0)),
    "nothing left": lambda weight: torch.zeros_like(weight),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fingerprint_is_that_of_the_exact_values(model: PreTrainedModel, change: str) -> None:
    assert fingerprint(copy.deepcopy(model)) == fingerprint(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        weight = other.get_parameter("model.layers.0.self_attn.q_proj.weight")
        weight[:1] = CHANGES[change](weight[:1])
    assert fingerprint(other) != fingerprint(model)
    assert fingerprint(model.bfloat16()) != fingerprint(other)


def test_the_rank_and_the_model_that_differ_are_named() -> None:
    held = {"model": "a", "teacher=math": "b"}
    check_same([held, held])
    with pytest.raises(UserError, match=r"^teacher=math: rank 2 has loaded other weights than rank 0"):
        check_same([held, held, {**held, "teacher=math": "c"}])
