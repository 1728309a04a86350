"""Exporting the student's weights, by the names of a plain transformers model, to a rollout engine.

LoRA adapters are merged and shards are gathered one tensor at a time, while the consumer reads them: there is never a
second copy of the model, and the student does not change. Leaves out: adapters that cannot be merged into weights (they
are refused), and wrappers for data parallelism, which the caller removes.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from uniopd_mm.types import UserError

REMEDY = "train with plain LoRA on linear, convolution and embedding layers"


def exported(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of the plain model's `state_dict()`, in its order, including tied ones.

    `model` is a transformers model or a `peft.PeftModel` around one, with plain or FSDP2 (`fully_shard`) parameters. A
    weight without adapter or shards is the model's own tensor; any other is a new tensor. With shards, every process
    must read every tensor, because each one is gathered from all processes.

    Raises:
        UserError: when called, not when iterated: an adapter cannot be merged, or weights that the plain model ties
            are separate here.
    """
    plain, entries = _opened(model)
    _check_ties(plain, entries)
    return ((name, entry.whole()) for name, entry in entries.items())


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A tensor of the plain model, with the adapters that change it and their LoRA layer (any class of peft)."""

    tensor: Tensor
    is_bias: bool = False
    layer: Any = None
    adapters: Sequence[str] = ()

    @torch.no_grad()
    def whole(self) -> Tensor:
        """The merged tensor, gathered from all processes; the sum is rounded once, to the dtype of the weight."""
        tensor = self._sum() if self.adapters else self.tensor
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def _sum(self) -> Tensor:
        return sum((self._delta(adapter) for adapter in self.adapters), start=self.tensor).to(self.tensor.dtype)

    def _delta(self, adapter: str) -> Tensor:
        if self.is_bias:
            return self.layer.lora_B[adapter].bias * self.layer.scaling[adapter]
        return self.layer.get_delta_weight(adapter)

    def places(self) -> set[int]:
        """Addresses, in this process, of the tensor and of the adapter weights added to it."""
        parts = self.layer.parameters() if self.adapters else [self.tensor]
        return {(part.to_local() if isinstance(part, DTensor) else part).data_ptr() for part in parts}


def _opened(model: Any) -> tuple[PreTrainedModel, Mapping[str, _Entry]]:
    """The transformers model, and its tensors by their plain names.

    peft is optional and slow to import; a model that uses it has imported it already, so `sys.modules` is enough.
    """
    peft = sys.modules.get("peft")
    if peft is None:
        return model, {name: _Entry(tensor=tensor) for name, tensor in model.state_dict().items()}
    plain = model
    if isinstance(model, peft.PeftModel):
        plain = model.get_base_model()
        for adapter, config in model.peft_config.items():
            if config.peft_type != peft.PeftType.LORA:
                raise UserError(f"model: the adapter {adapter!r} is of type {config.peft_type.value}; {REMEDY}")
    return plain, _adapted(plain, peft)


def _adapted(plain: PreTrainedModel, peft: Any) -> Mapping[str, _Entry]:
    """Tensors by their plain names, for a model some of whose modules peft has wrapped."""
    kinds = (peft.tuners.tuners_utils.BaseTunerLayer, peft.utils.AuxiliaryTrainingWrapper)
    wrappers = {
        path: module for path, module in plain.named_modules(remove_duplicate=False) if isinstance(module, kinds)
    }
    inside = {path: _inside(path, module, wrappers, peft) for path, module in wrappers.items()}
    entries: dict[str, _Entry] = {}
    for name, tensor in plain.state_dict().items():
        path = _wrapper_of(name, wrappers)
        if path is None:
            entries[name] = _Entry(tensor=tensor)
        elif name.startswith(kept := f"{path}.{inside[path]}."):  # the rest are adapters, and modules they replace
            leaf = name.removeprefix(kept)
            entries[f"{path}.{leaf}"] = _with_adapters(tensor, leaf, wrappers[path], peft)
    return entries


def _wrapper_of(name: str, wrappers: Mapping[str, Any]) -> str | None:
    """The path of the outermost peft module that contains a tensor or module."""
    above = accumulate(name.split(".")[:-1], "{}.{}".format)
    return next((path for path in above if path in wrappers), None)


def _inside(path: str, module: Any, wrappers: Mapping[str, Any], peft: Any) -> str:
    """The name of the child of a peft module that replaces the plain module.

    Raises:
        UserError: the module neither adds to weights nor replaces them.
    """
    if (outer := _wrapper_of(path, wrappers)) is not None:
        raise UserError(f"model: the adapter at {path} is inside the one at {outer}; adapt only one of them")
    if isinstance(module, peft.utils.ModulesToSaveWrapper):
        chosen = [] if module.disable_adapters else [a for a in module.active_adapters if a in module.modules_to_save]
        return f"modules_to_save.{chosen[0]}" if chosen else "original_module"
    lora = peft.tuners.lora.layer
    # Exact classes: peft's other LoRA layers, some of them subclasses, wrap quantised weights.
    if type(module) not in (lora.Linear, lora.Embedding, lora.Conv1d, lora.Conv2d, lora.Conv3d):
        raise UserError(f"model: the adapter at {path} is a {type(module).__name__}; {REMEDY}")
    if module.merged:
        raise UserError(f"model: the adapter at {path} is merged and not trained; call unmerge_adapter() first")
    for adapter in _active(module):
        _check_lora(path, module, adapter)
    return "base_layer"


def _check_lora(path: str, layer: Any, adapter: str) -> None:
    """Raises UserError where an adapter cannot be merged into the weight of its layer, or not from shards."""
    if adapter in layer.lora_variant:
        kind = type(layer.lora_variant[adapter]).__name__
        raise UserError(f"model: the adapter {adapter!r} at {path} is a {kind}; {REMEDY} (use_dora=False)")
    if layer.lora_bias[adapter] and layer.get_base_layer().bias is None:
        raise UserError(f"model: lora_bias=True adds a bias to {path}, which has none; set lora_bias=False")
    weight = layer.get_base_layer().weight
    if isinstance(weight, DTensor) and weight.dim() > 2:  # peft merges it with the wrong shape
        raise UserError(f"model: the adapter at {path} is on a sharded convolution; leave {path} out of target_modules")


def _active(layer: Any) -> list[str]:
    """The adapters that the forward pass of a LoRA layer adds."""
    return [] if layer.disable_adapters else [name for name in layer.active_adapters if name in layer.scaling]


def _with_adapters(tensor: Tensor, leaf: str, module: Any, peft: Any) -> _Entry:
    """The entry of a tensor of the plain module inside `module`; `leaf` is its name there."""
    if not isinstance(module, peft.tuners.lora.LoraLayer):
        return _Entry(tensor=tensor)
    is_bias = leaf == "bias"
    adapters = [name for name in _active(module) if leaf == "weight" or (is_bias and module.lora_bias[name])]
    return _Entry(tensor=tensor, is_bias=is_bias, layer=module, adapters=adapters)


def _check_ties(plain: PreTrainedModel, entries: Mapping[str, _Entry]) -> None:
    """Raises UserError where weights that should be tied no longer share their tensors."""
    for name, source in plain.all_tied_weights_keys.items():
        if entries[name].places() != entries[source].places():
            raise UserError(
                f"model: {name} and {source} are tied in a plain model, but an adapter or sharding separates them; "
                "adapt neither, or set ensure_weight_tying=True in LoraConfig, and shard both in one group"
            )
