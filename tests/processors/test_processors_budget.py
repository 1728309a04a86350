"""Sizes within a pixel budget: bounds, grid, shape, and agreement with the stock processors' own resizing."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from processor_parts import stock_processor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as stock_image_resize
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as stock_video_resize

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.qwen_budget import image_budget, video_budget
from uniopd_mm.types import UserError

SIDES = st.integers(1, 5000)


@settings(max_examples=300, deadline=None)
@given(height=SIDES, width=SIDES, factor=st.sampled_from([28, 32]), tokens=st.integers(4, 2000))
def test_sizes_are_on_the_grid_within_bounds_and_final(height: int, width: int, factor: int, tokens: int) -> None:
    assume(max(height, width) <= 200 * min(height, width))
    low, high = 4 * factor**2, 4 * tokens * factor**2
    resized = PixelBudget(factor=factor, min_pixels=low, max_pixels=high).fit(height, width)
    assert all(side > 0 and side % factor == 0 for side in resized)
    assert resized[0] * resized[1] <= max(high, int(1.05 * low))
    if max(resized) <= 200 * min(resized):
        # An engine whose stock processor resizes again must find nothing to do.
        assert stock_image_resize(*resized, factor, low, high) == resized


@settings(max_examples=200, deadline=None)
@given(height=st.integers(20, 4000), width=st.integers(20, 4000), num_frames=st.integers(1, 384))
def test_qwen3_clips_stay_within_their_total(height: int, width: int, num_frames: int) -> None:
    """The bounds of the released Qwen3-VL checkpoints' video processor, in pixels of all frames."""
    num_frames *= 2
    assume(max(height, width) <= 100 * min(height, width))
    low, high = 4096, 25_165_824
    stock = stock_processor_once()
    stock.size = {"shortest_edge": low, "longest_edge": high}
    resized = video_budget(stock, None, None, None).fit(height, width, num_frames)
    assert num_frames * resized[0] * resized[1] <= high
    assert resized[0] * resized[1] <= 768 * 32 * 32
    assert stock_video_resize(num_frames, *resized, 2, 32, low, high) == resized


def stock_processor_once(cache: dict[str, object] = {}) -> object:  # noqa: B006 the cache is the point
    if not cache:
        cache["stock"] = stock_processor("qwen3_vl").video_processor
    return cache["stock"]


def test_worked_sizes() -> None:
    budget = PixelBudget(factor=28, min_pixels=56 * 56, max_pixels=112 * 112)
    assert budget.fit(1, 1) == (56, 56)
    assert budget.fit(60, 80) == (56, 84)  # 60/28 = 2.1 and 80/28 = 2.9, rounded
    assert budget.fit(1000, 1000) == (112, 112)
    assert budget.fit(100, 20000) == (28, 448)  # 12544 pixels allow 16 patches in a row


def test_shares_of_a_clip() -> None:
    budget = PixelBudget(factor=28, min_pixels=28 * 28, max_pixels=280 * 280, max_total_pixels=8 * 56 * 56)
    assert budget.fit(280, 280, num_frames=1) == (140, 140)  # 8 * 56 * 56 = 158.4 ** 2
    assert budget.fit(280, 280, num_frames=8) == (56, 56)
    assert budget.fit(280, 280, num_frames=1000) == (28, 28)


def test_users_bounds_replace_and_reach_the_saved_processor() -> None:
    stock = stock_processor("qwen3_vl")
    assert image_budget(stock.image_processor, None, 2048).max_pixels == 2048
    assert stock.image_processor.size["longest_edge"] == 2048
    budget = video_budget(stock.video_processor, 1024, 4096, 65536)
    assert (budget.min_pixels, budget.max_pixels, budget.max_total_pixels) == (1024, 4096, 65536)
    assert stock.video_processor.size["longest_edge"] == 65536
    frame = stock_processor("qwen2_vl").video_processor
    budget = video_budget(frame, None, 28 * 28 * 8, 28 * 28 * 64)
    assert (budget.max_pixels, budget.max_total_pixels) == (28 * 28 * 8, 28 * 28 * 64)
    assert frame.size["longest_edge"] == 28 * 28 * 8


@pytest.mark.parametrize("bounds", [(0, 5000), (5000, 4000), (1, 100)])
def test_impossible_bounds(bounds: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="max_pixels"):
        PixelBudget(factor=28, min_pixels=bounds[0], max_pixels=bounds[1])
