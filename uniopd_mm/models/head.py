"""How a model makes logits of its hidden states, read from its configuration and confirmed by its own forward pass.

Backbones compute the logits of a few positions at a time, which no model's `forward` does, so they must know what it
does after its output embedding. Not here: the computation (`distill.logprobs.logits_of`).
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from uniopd_mm.distill.logprobs import log_softmax, logits_of
from uniopd_mm.types import Head, UserError

SCALES = ("logits_scaling", "logit_scale", "output_multiplier", "lm_head_multiplier")
CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""Entries of a configuration. The same name divides in one model and multiplies in another, and a configuration may
name a cap that its class does not apply."""

NUM_TOKENS = 8
LARGEST = 64.0  # logits to which the second row of `_observed` is magnified: well above every cap
TOLERANCE = {torch.float32: 0.01, torch.float64: 0.01}  # nats; both sides make the same operations
COARSE_TOLERANCE = 1.0  # in half precision, whose step at LARGEST is 0.5


@torch.no_grad()
def head_of(model: PreTrainedModel) -> Head:
    """The head of a model: of all readings of its configuration, the one that agrees with its own logits.

    They are compared over the whole vocabulary, on a few tokens, as they are and magnified.

    Raises:
        UserError: no reading agrees, so its log-probs would be wrong.
    """
    output = model.get_output_embeddings()
    ids = _text_ids(model.config, len(output.weight))
    states, logits = _observed(model, output, ids.to(model.device))
    differences = [(_difference(logits_of(states, head), logits), head) for head in _readings(model.config, output)]
    difference, head = min(differences, key=lambda pair: pair[0])
    if difference > TOLERANCE.get(logits.dtype, COARSE_TOLERANCE):
        raise UserError(
            f"log-probs of its own forward pass differ by up to {difference:.3g} nats from those of its output "
            "embedding: it changes its logits in a way that is not supported (a bias, a factor and a soft cap are); "
            "choose another model, or run a teacher with engine=vllm or engine=remote"
        )
    return head


def _readings(config: PreTrainedConfig, output: Any) -> Iterator[Head]:
    """What the configuration may mean; first, that nothing is done to the logits."""
    declared = config.get_text_config().to_dict()
    scales, caps = ([float(declared[name]) for name in names if declared.get(name)] for names in (SCALES, CAPS))
    for cap, scale in product([None, *caps], [1.0, *scales, *(1 / scale for scale in scales)]):
        yield Head(weight=output.weight, bias=getattr(output, "bias", None), scale=scale, cap=cap)


def _text_ids(config: PreTrainedConfig, num_ids: int) -> Tensor:
    """The first ids i64[P] that are not named as special, such as placeholders of media."""
    special = {*_special_ids(config.to_dict()), *_special_ids(config.get_text_config().to_dict())}
    return torch.tensor([index for index in range(num_ids) if index not in special][:NUM_TOKENS])


def _special_ids(declared: Mapping[str, Any]) -> Iterator[int]:
    for name, value in declared.items():
        if name.endswith(("_token_id", "_token_ids", "_token_index")):
            yield from (index for index in (value if isinstance(value, list) else [value]) if isinstance(index, int))


def _observed(model: PreTrainedModel, output: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """States [2, P, H] before the output embedding, and the model's own logits [2, P, V]. Both rows are of the same
    tokens; those of the second are magnified, because a cap does not show in small logits."""
    inputs = {"input_ids": ids.expand(2, -1), "attention_mask": torch.ones_like(ids).expand(2, -1), "use_cache": False}
    states = model.base_model(**inputs).last_hidden_state
    largest = logits_of(states, Head(weight=output.weight)).abs().max().item()
    gains = states.new_tensor([1.0, max(1.0, LARGEST / max(largest, 1e-3))])[:, None, None]
    magnify = output.register_forward_pre_hook(lambda _, arguments: (arguments[0] * gains, *arguments[1:]))
    try:
        logits = model(**inputs).logits
    finally:
        magnify.remove()
    return states * gains, logits


def _difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of log-probs [nats]; infinite where they are not comparable."""
    if ours.shape != theirs.shape:
        return float("inf")
    difference = (log_softmax(ours, 1.0) - log_softmax(theirs, 1.0)).abs().max().item()
    return difference if difference == difference else float("inf")
