"""Chooses the processor for a checkpoint from its configuration: Qwen-VL, another vision-language family, or text."""

from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from uniopd_mm.interfaces import Processor
from uniopd_mm.processors.chat import load_error
from uniopd_mm.processors.generic import GenericProcessor
from uniopd_mm.processors.qwen_vl import FAMILIES, QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.types import UserError


def auto_processor(
    path: str,
    *,
    enable_thinking: bool = False,
    system_prompt: str | None = None,
    max_pixels: int | None = None,
    min_pixels: int | None = None,
    video_fps: float | None = 2.0,
    video_num_frames: int | None = None,
    video_min_frames: int = 4,
    video_max_frames: int = 768,
    video_max_pixels: int | None = None,
    video_min_pixels: int | None = None,
    video_total_pixels: int | None = None,
) -> Processor:
    """A `QwenVLProcessor` or a `GenericProcessor` with these parameters, or a `TextProcessor`, which needs no media
    limits.

    Args:
        path: a checkpoint folder or hub name.

    Raises:
        UserError: the checkpoint does not exist, its processor cannot be used, or its family has no such limit.
    """
    family = _family(path)
    if family not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return TextProcessor(path, enable_thinking=enable_thinking, system_prompt=system_prompt)
    common: dict[str, Any] = {
        "max_pixels": max_pixels,
        "video_fps": video_fps,
        "video_num_frames": video_num_frames,
        "video_min_frames": video_min_frames,
        "video_max_frames": video_max_frames,
        "video_max_pixels": video_max_pixels,
        "enable_thinking": enable_thinking,
        "system_prompt": system_prompt,
    }
    bounds: dict[str, Any] = {
        "min_pixels": min_pixels,
        "video_min_pixels": video_min_pixels,
        "video_total_pixels": video_total_pixels,
    }
    if PROCESSOR_MAPPING_NAMES.get(family) in {kind.__name__ for kind in FAMILIES}:
        return QwenVLProcessor(path, **common, **bounds)
    if given := [f"{name}={value}" for name, value in bounds.items() if value is not None]:
        raise UserError(f"model.processor.{given[0]}: only the Qwen-VL families have this limit; leave it out")
    return GenericProcessor(path, **common)


def _family(path: str) -> str:
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise load_error(path, error) from error
    return str(config.model_type)
