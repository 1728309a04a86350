"""The student's weights one after another, as a plain model of its kind names them: what a rollout engine loads.

Adapters are added to the weights they adapt and shards are gathered while the consumer takes them, one tensor at a
time, so that no second copy of the model comes about and the student itself stays as it is. Leaves out: adapters whose
effect is no sum of weights (they are refused), and wrappers for data parallelism, which the caller takes off.
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
    """Names and tensors of the plain model's `state_dict()`, tied ones included, in its order.

    `model` is a transformers model or a `peft.PeftModel` around one, with plain parameters or with those of FSDP2
    (`fully_shard`). A weight without adapter or shards is the model's own tensor; any other is new and lives as long
    as the consumer holds it. With shards every process must take every tensor, for each is gathered from all.

    Raises:
        UserError: at once, where an adapter cannot be added to plain weights, or where weights that the plain model
            ties have come apart, so that it could not hold both.
    """
    plain, entries = _opened(model)
    _check_ties(plain, entries)
    return ((name, entry.whole()) for name, entry in entries.items())


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A tensor of the plain model, and the adapters that change it in their LoRA layer (any class of peft's)."""

    tensor: Tensor
    is_bias: bool = False
    layer: Any = None
    adapters: Sequence[str] = ()

    @torch.no_grad()
    def whole(self) -> Tensor:
        """The tensor with its adapters, from all processes. Sums are rounded to the weight's dtype once."""
        tensor = self._sum() if self.adapters else self.tensor
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def _sum(self) -> Tensor:
        return sum((self._delta(adapter) for adapter in self.adapters), start=self.tensor).to(self.tensor.dtype)

    def _delta(self, adapter: str) -> Tensor:
        if self.is_bias:
            return self.layer.lora_B[adapter].bias * self.layer.scaling[adapter]
        return self.layer.get_delta_weight(adapter)

    def places(self) -> set[int]:
        """Where in this process's memory the tensor and all that is added to it lie."""
        parts = self.layer.parameters() if self.adapters else [self.tensor]
        return {(part.to_local() if isinstance(part, DTensor) else part).data_ptr() for part in parts}


def _opened(model: Any) -> tuple[PreTrainedModel, Mapping[str, _Entry]]:
    """The transformers model, and its tensors by their plain names.

    An object of peft's exists only where peft has been imported, so a look at the imported modules finds every one and
    imports nothing.
    """
    peft = sys.modules.get("peft")
    if peft is None:
        return model, {name: _Entry(tensor=tensor) for name, tensor in model.state_dict().items()}
    plain = model
    if isinstance(model, peft.PeftModel):
        plain = model.get_base_model()
        for adapter, config in model.peft_config.items():
            if config.peft_type != peft.PeftType.LORA:
                raise UserError(f"model: the adapter {adapter!r} is of the kind {config.peft_type.value}; {REMEDY}")
    return plain, _adapted(plain, peft)


def _adapted(plain: PreTrainedModel, peft: Any) -> Mapping[str, _Entry]:
    """Tensors by their plain names, where modules may stand inside those of peft's."""
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
        elif name.startswith(kept := f"{path}.{inside[path]}."):  # all else there are adapters and what they replace
            leaf = name.removeprefix(kept)
            entries[f"{path}.{leaf}"] = _with_adapters(tensor, leaf, wrappers[path], peft)
    return entries


def _wrapper_of(name: str, wrappers: Mapping[str, Any]) -> str | None:
    """The path of the outermost module of peft's above a tensor or module."""
    above = accumulate(name.split(".")[:-1], "{}.{}".format)
    return next((path for path in above if path in wrappers), None)


def _inside(path: str, module: Any, wrappers: Mapping[str, Any], peft: Any) -> str:
    """The child of a module of peft's that has the plain module's place.

    Raises:
        UserError: the module does something other than adding to weights or replacing them.
    """
    if (outer := _wrapper_of(path, wrappers)) is not None:
        raise UserError(f"model: an adapter at {path} stands inside another at {outer}; adapt only one of them")
    if isinstance(module, peft.utils.ModulesToSaveWrapper):
        chosen = [] if module.disable_adapters else [a for a in module.active_adapters if a in module.modules_to_save]
        return f"modules_to_save.{chosen[0]}" if chosen else "original_module"
    lora = peft.tuners.lora.layer
    if type(module) not in (lora.Linear, lora.Embedding, lora.Conv1d, lora.Conv2d, lora.Conv3d):  # not the quantised
        raise UserError(f"model: the adapter at {path} is a {type(module).__name__}; {REMEDY}")
    if module.merged:
        raise UserError(f"model: the adapter at {path} is merged, hence not trained; call unmerge_adapter() first")
    for adapter in _active(module):
        _check_lora(path, module, adapter)
    return "base_layer"


def _check_lora(path: str, layer: Any, adapter: str) -> None:
    """Raises UserError where what an adapter of a layer adds is no weight, or cannot be had from shards."""
    if adapter in layer.lora_variant:
        kind = type(layer.lora_variant[adapter]).__name__
        raise UserError(f"model: the adapter {adapter!r} at {path} is a {kind}; {REMEDY} (use_dora=False)")
    if layer.lora_bias[adapter] and layer.get_base_layer().bias is None:
        raise UserError(f"model: lora_bias=True adds a bias to {path}, which has none; set lora_bias=False")
    weight = layer.get_base_layer().weight
    if isinstance(weight, DTensor) and weight.dim() > 2:  # peft's sum of a convolution misreads the shards' shapes
        raise UserError(f"model: the adapter at {path} is a sharded convolution's; leave {path} out of target_modules")


def _active(layer: Any) -> list[str]:
    """The adapters that a LoRA layer's forward pass adds."""
    return [] if layer.disable_adapters else [name for name in layer.active_adapters if name in layer.scaling]


def _with_adapters(tensor: Tensor, leaf: str, module: Any, peft: Any) -> _Entry:
    """A tensor of the plain module inside `module`, `leaf` being its name there."""
    if not isinstance(module, peft.tuners.lora.LoraLayer):
        return _Entry(tensor=tensor)
    is_bias = leaf == "bias"
    adapters = [name for name in _active(module) if leaf == "weight" or (is_bias and module.lora_bias[name])]
    return _Entry(tensor=tensor, is_bias=is_bias, layer=module, adapters=adapters)


def _check_ties(plain: PreTrainedModel, entries: Mapping[str, _Entry]) -> None:
    """Raises UserError where tied weights are not made of the same tensors any more."""
    for name, source in plain.all_tied_weights_keys.items():
        if entries[name].places() != entries[source].places():
            raise UserError(
                f"model: {name} and {source} are tied in a plain model but not here, by an adapter or by sharding; "
                "adapt neither or give LoraConfig ensure_weight_tying=True, and shard both in one group"
            )
