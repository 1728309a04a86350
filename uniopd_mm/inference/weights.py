"""Replaces the weights of a model in vLLM.

vLLM's own reload rebuilds every layer, packs it for its kernels and copies it into place: about three times the
copying. If vLLM keeps the weights in the checkpoint's layout, they are copied directly into place.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

PLAIN = ("UnquantizedLinearMethod", "UnquantizedEmbeddingMethod", "NoneType")
SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def unpacked_weights() -> Iterator[None]:
    """On a CPU, models loaded in this block keep their float32 weights in the checkpoint's layout. They are not packed
    for oneDNN; torch's own kernels are as fast."""
    from vllm import _custom_ops

    if torch.cuda.is_available():
        yield
        return
    supported = _custom_ops._supports_onednn
    _custom_ops._supports_onednn = False
    try:
        yield
    finally:
        _custom_ops._supports_onednn = supported


def keeps_weights(model: nn.Module) -> bool:
    """Whether every parameter has the checkpoint's layout: none is packed, quantised, absorbed or reordered."""
    methods = {type(getattr(module, "quant_method", None)).__name__ for module in model.modules()}
    return methods <= set(PLAIN) and all(parameter.numel() for parameter in model.parameters())


def load_directly(llm: Any, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Copy into the parameters of a model that `keeps_weights`.

    Raises:
        RuntimeError: some parameters got no weights.
    """

    def load(model: Any) -> set[str]:
        return {name for name, _ in model.named_parameters()} - model.load_weights(named_tensors)

    (missing,) = llm.apply_model(load)
    if missing:
        raise RuntimeError(f"{len(missing)} parameters of vLLM's model got no weights, such as {min(missing)}")


def reload(llm: Any, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Use vLLM's own reload, which supports every kernel's layout of weights."""
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": named_tensors})


def reload_everywhere(llm: Any, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Reload in workers that are other processes, through files in shared memory. Tensors are copied to host memory one
    by one; all files stay there until the workers have read them."""
    parent = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with TemporaryDirectory(dir=parent, prefix="uniopd_mm_weights_") as folder:
        for number, (name, tensor) in enumerate(named_tensors):
            save_file({name: tensor.contiguous().cpu()}, Path(folder) / f"{number:06}.safetensors")
        llm.collective_rpc("reload_weights", kwargs={"weights_path": folder})
