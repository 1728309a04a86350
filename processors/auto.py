"""Chooses the processor for a checkpoint from its configuration: vision-language or text-only."""

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from uniopd_mm.interfaces import Processor
from uniopd_mm.processors.chat import load_error
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor


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
    """A `QwenVLProcessor` with these parameters, or a `TextProcessor`, which needs no media limits.

    Args:
        path: a checkpoint folder or hub name.

    Raises:
        UserError: the checkpoint does not exist, or its family is unknown.
    """
    if not _is_vision_language(path):
        return TextProcessor(path, enable_thinking=enable_thinking, system_prompt=system_prompt)
    return QwenVLProcessor(
        path,
        max_pixels=max_pixels,
        min_pixels=min_pixels,
        video_fps=video_fps,
        video_num_frames=video_num_frames,
        video_min_frames=video_min_frames,
        video_max_frames=video_max_frames,
        video_max_pixels=video_max_pixels,
        video_min_pixels=video_min_pixels,
        video_total_pixels=video_total_pixels,
        enable_thinking=enable_thinking,
        system_prompt=system_prompt,
    )


def _is_vision_language(path: str) -> bool:
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise load_error(path, error) from error
    return config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
