"""The processor that a checkpoint needs, found from its configuration: with eyes or without."""

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from uniopd_mm.interfaces import Processor
from uniopd_mm.processors.chat import mendable
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
    """A `QwenVLProcessor` of these parameters, or a `TextProcessor`, which has no media to bound.

    Args:
        path: a checkpoint folder or hub name.

    Raises:
        UserError: there is no checkpoint, or it is of a family that is not known.
    """
    if not _has_eyes(path):
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


def _has_eyes(path: str) -> bool:
    try:
        config = AutoConfig.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        raise mendable(path, error) from error
    return config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
