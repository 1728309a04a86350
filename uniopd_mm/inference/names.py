"""The weights of a transformers model under the names that its checkpoint has, which are those that vLLM knows."""

from collections.abc import Iterable, Iterator

from torch import Tensor
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion


def as_saved(model: PreTrainedModel, named_tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of `state_dict()` as `save_pretrained` writes them, one at a time.

    transformers renames some modules when it loads a checkpoint, and back when it saves one.
    """
    for name, tensor in named_tensors:
        yield from revert_weight_conversion(model, {name: tensor}).items()
