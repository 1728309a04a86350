"""Describes a processor as names and values in words, so that a run can compare two processors."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.sampling import FrameSampling

NONE = "none"
ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")


def prompt_settings(
    tokenizer: PreTrainedTokenizerBase, template: Any, *, enable_thinking: bool, system_prompt: str | None
) -> dict[str, str]:
    """Settings of the chat template (identified by a digest) and of the tokenizer's special tokens."""
    special = tokenizer.special_tokens_map
    return {
        "chat_template": hashlib.sha256(str(template).encode()).hexdigest()[:12],
        "enable_thinking": "yes" if enable_thinking else "no",
        "system_prompt": NONE if system_prompt is None else system_prompt,
        **{f"special.{role}": str(special.get(role, NONE)) for role in ROLES},
    }


def tensor_settings(kind: str, stock: Any) -> dict[str, str]:
    """How a stock image or video processor computes the model's pixel tensors."""
    settings = {
        "patch_size": _shown(stock.patch_size),
        "merge_size": _shown(stock.merge_size),
        "temporal_patch_size": _shown(stock.temporal_patch_size),
        "rescale_factor": _shown(stock.rescale_factor) if stock.do_rescale else NONE,
        "mean": _shown(stock.image_mean) if stock.do_normalize else NONE,
        "std": _shown(stock.image_std) if stock.do_normalize else NONE,
    }
    return _named(kind, settings)


def stock_settings(stock: Any) -> dict[str, str]:
    """All settings of the image and video processors of a family, under their own names."""
    readers = {kind: getattr(stock, f"{kind}_processor", None) for kind in ("image", "video")}
    return {
        f"{kind}.{name}": str(value)
        for kind, reader in readers.items()
        if reader is not None
        for name, value in sorted(reader.to_dict().items())
        if value is not None and not callable(value)
    }


def budget_settings(kind: str, budget: PixelBudget) -> dict[str, str]:
    """The limits in use, including the user's."""
    return _chosen(kind, budget, ("min_pixels", "max_pixels", "min_total_pixels", "max_total_pixels"))


def sampling_settings(kind: str, sampling: FrameSampling) -> dict[str, str]:
    """The default choice of frames, which samples may override."""
    return _chosen(kind, sampling, ("fps", "num_frames", "min_frames", "max_frames"))


def _chosen(kind: str, record: PixelBudget | FrameSampling, names: Sequence[str]) -> dict[str, str]:
    return _named(kind, {name: _shown(getattr(record, name)) for name in names})


def _named(kind: str, settings: Mapping[str, str]) -> dict[str, str]:
    return {f"{kind}.{name}": value for name, value in settings.items()}


def _shown(value: Any) -> str:
    """One or several numbers as text. Configurations may write the same value as int or float, as list or tuple."""
    if value is None:
        return NONE
    return " ".join(map(_number, value if isinstance(value, list | tuple) else (value,)))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.8g}"
