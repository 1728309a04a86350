"""Chooses the frames of a video to use: by rate or by count, within a time range.

The rules are those of qwen-vl-utils. Not here: reading the frames (readers.py).
"""

from dataclasses import dataclass

import torch
from qwen_vl_utils.vision_process import (
    FRAME_FACTOR,
    calculate_video_frame_range,
    floor_by_factor,
    round_by_factor,
    smart_nframes,
)

from uniopd_mm.types import BadSample, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameSampling:
    """`num_frames` frames if given, otherwise `fps` frames per second, between `min_frames` and `max_frames` in total.

    `start` and `end` (seconds) limit the time range. The count is a multiple of `multiple` (the backbone's
    temporal_patch_size). A video that is too short repeats its last frame.
    """

    fps: float | None = 2.0
    num_frames: int | None = None
    min_frames: int = 4
    max_frames: int = 768
    start: float | None = None
    end: float | None = None
    multiple: int = 2

    def __post_init__(self) -> None:
        if self.num_frames is None and self.fps is None:
            raise UserError("video_fps and video_num_frames are both null; set one of them")
        if self.fps is not None and not self.fps > 0:
            raise UserError(f"video_fps={self.fps} must be positive")
        if self.num_frames is not None and self.num_frames < 1:
            raise UserError(f"video_num_frames={self.num_frames} must be at least 1")
        if not 1 <= self.min_frames <= self.max_frames or self.max_frames < FRAME_FACTOR:
            raise UserError(
                f"video_min_frames={self.min_frames} must be between 1 and video_max_frames={self.max_frames}, "
                f"which must be at least {FRAME_FACTOR}"
            )

    def choose(self, total: int, video_fps: float) -> tuple[list[int], int]:
        """Frame numbers to read, ascending, and the number of frames in the time range.

            FrameSampling(num_frames=4).choose(total=31, video_fps=15.0) == ([0, 10, 20, 30], 31)

        Raises:
            BadSample: the time range contains no frames.
        """
        bounds = {"video_start": self.start, "video_end": self.end}
        try:
            first, last, length = calculate_video_frame_range(bounds, total, video_fps)
        except ValueError as error:
            raise BadSample(str(error)) from error
        count = self._count(length, video_fps)
        indices = torch.linspace(first, last, count).round().long().tolist()
        return indices + indices[-1:] * (-count % self.multiple), length

    def _count(self, total: int, video_fps: float) -> int:
        if total < FRAME_FACTOR:
            return total
        if self.num_frames is not None:
            # qwen-vl-utils refuses a count above the video's length. Use fewer frames of a short clip rather than
            # losing the sample.
            count = max(round_by_factor(self.num_frames, FRAME_FACTOR), FRAME_FACTOR)
            return min(count, floor_by_factor(total, FRAME_FACTOR))
        assert self.fps is not None
        if self.fps >= video_fps:
            return floor_by_factor(min(total, self.max_frames), FRAME_FACTOR)
        bounds = {"fps": self.fps, "min_frames": self.min_frames, "max_frames": self.max_frames}
        return smart_nframes(bounds, total, video_fps)
