"""New weights for a model that vLLM has loaded.

vLLM's own reload puts every layer together anew, packs it for its kernels and copies it into place: about three times
the copying. Where it keeps weights as the checkpoint has them, they are copied straight into place.
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
    """Models loaded in this block keep their float32 weights on a CPU as they are, instead of packed for oneDNN's
    kernels; torch's own multiply them as fast."""
    from vllm import _custom_ops

    if torch.cuda.is_available():
        yield
        return
    known = _custom_ops._supports_onednn
    _custom_ops._supports_onednn = False
    try:
        yield
    finally:
        _custom_ops._supports_onednn = known


def keeps_weights(model: nn.Module) -> bool:
    """Whether every parameter is what a checkpoint has: nothing packed, quantised, absorbed or reordered."""
    methods = {type(getattr(module, "quant_method", None)).__name__ for module in model.modules()}
    return methods <= set(PLAIN) and all(parameter.numel() for parameter in model.parameters())


def load_directly(llm: Any, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Into the parameters of a model that `keeps_weights`.

    Raises:
        RuntimeError: some of them got nothing.
    """
    (missing,) = llm.apply_model(lambda model: _names(model) - model.load_weights(named_tensors))
    if missing:
        raise RuntimeError(f"{len(missing)} weights of vLLM's model got nothing, among them {min(missing)}")


def _names(model: nn.Module) -> set[str]:
    return {name for name, _ in model.named_parameters()}


def reload(llm: Any, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Through vLLM's own reload, which knows every kernel's order of weights."""
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": named_tensors})


def reload_everywhere(llm: Any, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """For workers in processes of their own: through a file in shared memory, one tensor after another in the host's
    memory, and all of them there until the workers have read them."""
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with TemporaryDirectory(dir=place, prefix="uniopd_mm_weights_") as folder:
        for number, (name, tensor) in enumerate(named_tensors):
            save_file({name: tensor.contiguous().cpu()}, Path(folder) / f"{number:06}.safetensors")
        llm.collective_rpc("reload_weights", kwargs={"weights_path": folder})
