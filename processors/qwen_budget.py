"""The pixel budgets of a Qwen-VL checkpoint: the limits of its stock processors, overridden by the user's.

The user's limits are written into the stock processors, so that a saved checkpoint, and an engine that loads it, keep
them. The stock processors would not resize anything that fits these budgets.
"""

from typing import Any

from qwen_vl_utils.vision_process import FRAME_FACTOR, MODEL_SEQ_LEN, VIDEO_MAX_TOKEN_NUM
from transformers import Qwen3VLVideoProcessor

from uniopd_mm.processors.budget import PixelBudget


def image_budget(stock: Any, min_pixels: int | None, max_pixels: int | None) -> PixelBudget:
    """Limits on one image; None keeps the stock processor's."""
    low, high = _write_size(stock, min_pixels, max_pixels)
    return PixelBudget(factor=stock.patch_size * stock.merge_size, min_pixels=low, max_pixels=high)


def video_budget(stock: Any, min_pixels: int | None, max_pixels: int | None, total_pixels: int | None) -> PixelBudget:
    """Limits on one frame and on a clip; None keeps the stock processor's.

    `size` of the video processor limits one frame in Qwen2-VL and Qwen2.5-VL, and all frames together in Qwen3-VL. A
    frame never has more than qwen-vl-utils' 768 visual tokens. Both apply this limit with `cap_pixels_per_frame`, which
    is set here because its default changes in transformers 5.22.
    """
    stock.cap_pixels_per_frame = True
    factor = stock.patch_size * stock.merge_size
    frame_limit = VIDEO_MAX_TOKEN_NUM * factor**2
    if isinstance(stock, Qwen3VLVideoProcessor):
        low, total = _write_size(stock, min_pixels, total_pixels)
        low_frame, low_total = (factor**2, low) if min_pixels is None else (min_pixels, 0)
        high = frame_limit if max_pixels is None else min(max_pixels, frame_limit)
        return PixelBudget(
            factor=factor, min_pixels=low_frame, max_pixels=high, min_total_pixels=low_total, max_total_pixels=total
        )
    low, high = _write_size(stock, min_pixels, max_pixels)
    # qwen-vl-utils lets video take up to 90 % of the context. FRAME_FACTOR frames make one group of tokens.
    context = int(MODEL_SEQ_LEN * 0.9) * factor**2 * FRAME_FACTOR
    total = context if total_pixels is None else min(total_pixels, context)
    return PixelBudget(factor=factor, min_pixels=low, max_pixels=min(high, frame_limit), max_total_pixels=total)


def _write_size(stock: Any, low: int | None, high: int | None) -> tuple[int, int]:
    low = stock.size["shortest_edge"] if low is None else low
    high = stock.size["longest_edge"] if high is None else high
    stock.size = {"shortest_edge": low, "longest_edge": high}
    return low, high
