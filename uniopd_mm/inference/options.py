"""Defaults for vLLM's options."""

from dataclasses import replace

from uniopd_mm.config.parts import VLLMOptions


def with_dtype(options: VLLMOptions, dtype: str) -> VLLMOptions:
    """The options, with this dtype if they set none."""
    return options if options.dtype else replace(options, dtype=dtype)
