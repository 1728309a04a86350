"""Limits on the pixels of a picture or a video frame, and the size that follows from them.

The size is qwen-vl-utils' smart resize: both sides are multiples of the backbone's patch factor, and the aspect ratio
is kept as closely as this grid allows. Not here: the resizing itself (image.py, video.py).
"""

from dataclasses import dataclass

from qwen_vl_utils.vision_process import smart_resize

from uniopd_mm.types import BadSample, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelBudget:
    """Limits on the area of one picture, and on the total area of all frames of a clip.

    `factor` is patch_size * merge_size: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL. The area of a frame is at
    least `min_pixels` and its share of `min_total_pixels`, and at most `max_pixels` and its share of
    `max_total_pixels`. As in qwen-vl-utils, the upper limit is never below 1.05 times the lower one.
    """

    factor: int
    min_pixels: int
    max_pixels: int
    min_total_pixels: int = 0
    max_total_pixels: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise UserError(f"min_pixels={self.min_pixels} must be positive and at most max_pixels={self.max_pixels}")
        if self.max_pixels < self.factor**2:
            raise UserError(
                f"max_pixels={self.max_pixels} is less than one visual token; set it to {self.factor**2} or more"
            )

    def fit(self, height: int, width: int, num_frames: int = 1) -> tuple[int, int]:
        """The (height, width) to resize to. Fitting the result again does not change it.

            PixelBudget(factor=28, min_pixels=3136, max_pixels=1003520).fit(1, 1) == (56, 56)

        Raises:
            BadSample: one side is more than 200 times the other.
        """
        low = max(self.min_pixels, -(-self.min_total_pixels // num_frames))
        high = self.max_pixels
        if self.max_total_pixels is not None:
            high = max(min(high, self.max_total_pixels // num_frames), self.factor**2)
        high = max(high, int(low * 1.05))
        try:
            resized_height, resized_width = smart_resize(height, width, self.factor, min_pixels=low, max_pixels=high)
        except ValueError as error:
            raise BadSample(f"{width}x{height} pixels cannot be used: {error}") from error
        return self._kept_within(resized_height, resized_width, high)

    def _kept_within(self, height: int, width: int, high: int) -> tuple[int, int]:
        """For thin pictures, qwen-vl-utils rounds the short side down to 0, or the area up beyond its limit. Here the
        short side is at least one patch, and the long side gets what is left."""
        height, width = max(height, self.factor), max(width, self.factor)
        if height * width <= high:
            return height, width
        short = min(height, width)
        long = max(high // short // self.factor, 1) * self.factor
        return (short, long) if height < width else (long, short)
