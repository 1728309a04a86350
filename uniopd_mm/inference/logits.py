"""The scale of a model's logits in vLLM.

vLLM 0.32 applies a sampling temperature only to the tokens that it samples. Log-probs of a prompt come from the model's
own logits in every `logprobs_mode`. The layer that computes logits has a scale, though, which comes after the model's
soft cap; a temperature is one more factor of it.
"""

from torch import nn


def divide_logits(model: nn.Module, by: float) -> bool:
    """Divide all logits of vLLM's `model` from now on; False if it has no layer that can. Runs in vLLM's workers."""
    from vllm.model_executor.layers.logits_processor import LogitsProcessor  # vLLM is optional

    layers = [module for module in model.modules() if isinstance(module, LogitsProcessor)]
    for layer in layers:
        layer.scale /= by
    return bool(layers)
