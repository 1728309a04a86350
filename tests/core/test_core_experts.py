"""Mixtures of experts under autocast: they compute in bfloat16, are scored as they generate, and train in float32."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from core_parts import prompt, rollout, sampling
from head_parts import WIDE, tiny
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel, Qwen3MoeConfig

from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.types import Vocabulary

# All that the engine asks of a processor if no stop string is given.
WORDS: Any = SimpleNamespace(vocabulary=Vocabulary(tokens={}, stop_ids=(2,), banned_ids=(), pad_id=0))
TOKENS = collate_rollouts([rollout(prompt([3, 4, 5, 6]), [7, 8, 9])], 0)


@pytest.fixture
def mixture() -> PreTrainedModel:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    return tiny(Qwen3MoeConfig(**WIDE, **experts))


class Products(TorchDispatchMode):
    """The dtypes of the factors of all grouped matrix products, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "grouped_mm" in func.name():
            self.dtypes |= {entry.dtype for entry in args[:2]}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_experts_multiply_in_the_dtype_of_the_backbone(mixture: PreTrainedModel, dtype: str) -> None:
    backbone = Backbone(mixture, dtype=dtype)
    with Products() as products:
        backbone(TOKENS, 1.0)[0].sum().backward()
    assert products.dtypes == {getattr(torch, dtype)}
    gradients = [value.grad for name, value in mixture.named_parameters() if "experts" in name]
    assert gradients and all(value is not None and value.dtype == torch.float32 for value in gradients)


def test_bfloat16_is_close_to_float32_in_values_and_gradients(mixture: PreTrainedModel) -> None:
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    for dtype in ("float32", "bfloat16"):
        logprobs, *_ = Backbone(mixture, dtype=dtype)(TOKENS, 1.0)
        logprobs.sum().backward()
        gradients = [value.grad.flatten() for name, value in mixture.named_parameters() if value.grad is not None]
        found.append((logprobs.detach(), torch.cat(gradients)))
        mixture.zero_grad()
    (exact, whole), (rough, near) = found
    assert (rough - exact).abs().max() < 0.3 and exact.min() < -2
    assert torch.cosine_similarity(near, whole, dim=0) > 0.98


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_mixture_generates_as_it_is_scored(mixture: PreTrainedModel, dtype: str) -> None:
    backbone = Backbone(mixture, dtype=dtype)
    groups = HFRollout(backbone, WORDS).generate([prompt([3, 4, 5]), prompt([6, 7])], 3, sampling())
    rollouts = [one for group in groups for one in group]
    with torch.no_grad():
        (scores, *_) = backbone(collate_rollouts(rollouts, 0), 1.0)
    generated = torch.cat([one.logprobs for one in rollouts])
    tolerance = 1e-4 if dtype == "float32" else 0.1
    assert (scores - generated).abs().mean() < tolerance


def test_what_is_saved_names_no_implementation(mixture: PreTrainedModel) -> None:
    before = mixture.config.to_dict()
    Backbone(mixture, dtype="bfloat16")
    assert mixture.config.to_dict() == before
