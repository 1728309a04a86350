"""The experts of a mixture under autocast.

transformers multiplies all experts in one operation that autocast does not know. Experts with float32 weights would
then compute in float32, while everything around them computes in bfloat16.
"""

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.moe import ExpertsInterface, grouped_mm_experts_forward

GROUPED = "grouped_mm"
AUTOCAST = "uniopd_mm_autocast"


def compute_under_autocast(model: PreTrainedModel) -> None:
    """Make experts that multiply in one operation compute in the dtype of autocast. Other models do not change."""
    ExpertsInterface.register(AUTOCAST, _forward)
    used = model.get_experts_implementation()
    model.set_experts_implementation({part: AUTOCAST if name == GROUPED else name for part, name in used.items()})


def _forward(experts: nn.Module, states: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
    """See transformers' `grouped_mm_experts_forward`. Gradients reach the experts' own weights."""
    return grouped_mm_experts_forward(_cast(experts, states.device.type), states, chosen, shares)


def _cast(experts: nn.Module, device: str) -> nn.Module:
    """A view of the module whose weights are in the dtype of autocast."""
    if not torch.is_autocast_enabled(device):
        return experts
    view, dtype = copy.copy(experts), torch.get_autocast_dtype(device)
    view._parameters = {name: weight.to(dtype) for name, weight in experts.named_parameters(recurse=False)}  # type: ignore[misc]
    return view
