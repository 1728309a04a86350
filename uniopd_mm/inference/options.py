"""vLLM's options, completed."""

from dataclasses import replace

from uniopd_mm.config.parts import VLLMOptions


def with_dtype(options: VLLMOptions, dtype: str) -> VLLMOptions:
    """The options with the dtype that the model is computed in elsewhere, unless they have their own."""
    return options if options.dtype else replace(options, dtype=dtype)
