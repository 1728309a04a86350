"""Gradient checkpointing without dropout.

transformers recomputes layers in training mode only, which switches dropout on as well. The updated model would then
differ from the one that wrote the rollouts, and importance ratios from 1.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def recomputing(model: PreTrainedModel) -> Iterator[None]:
    """In the block, the backward pass recomputes activations, if checkpointing is enabled. The model is in evaluation
    mode, and stays so: only the modules that decide about recomputing are told that they train."""
    with ExitStack() as changes:
        for module in _deciding(model):
            changes.enter_context(_set(module, training=True))
            for holder in (module, vars(module).get("config", module)):  # some apply dropout themselves
                changes.enter_context(_set(holder, **_dropouts(holder)))
        yield


def _deciding(model: PreTrainedModel) -> list[nn.Module]:
    """The modules that recompute their forward pass; in old classes, the model around them."""
    enabled = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
    layers: list[nn.Module] = [module for module in enabled if isinstance(module, GradientCheckpointingLayer)]
    return layers or enabled


def _dropouts(holder: Any) -> dict[str, float]:
    """A zero for every probability of dropout among the attributes of a module or configuration."""
    return {name: 0.0 for name, value in vars(holder).items() if "drop" in name and isinstance(value, float)}


@contextmanager
def _set(holder: Any, **values: Any) -> Iterator[None]:
    """Set attributes for the duration of the block."""
    before = {name: getattr(holder, name) for name in values}
    for name, value in values.items():
        setattr(holder, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(holder, name, value)
