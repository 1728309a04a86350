"""When the frames of a video are shown, as numbers of frames at a constant rate.

Sampling (sampling.py) and the metadata that the models read know a video as `num_ticks` frames at `fps`. Most files are
just that: tick i is frame i. Where frames were dropped or are shown for different times (screen recordings, animated
GIFs), ticks are finer than frames: at each tick, the frame that is shown then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SLACK = 0.501  # of a frame: rounded time stamps are not another rate
SHORT_GAPS = 0.1  # the share of gaps that may be shorter than a tick
LEAST_GAP = 1e-3
DEFAULT_FPS = 25.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """`times` f64[N] are those of the frames, in seconds from the first; None where tick i is frame i."""

    fps: float
    num_ticks: int
    times: np.ndarray | None = None

    def frames_at(self, ticks: Sequence[int]) -> list[int]:
        """The numbers of the frames that are shown at these ticks.

        Timeline(fps=2.0, num_ticks=9, times=np.array([0, 0.5, 4])).frames_at([0, 1, 7, 8]) == [0, 1, 1, 2]
        """
        if self.times is None:
            return list(ticks)
        limits = (np.array(ticks) + 0.5) / self.fps
        return (np.searchsorted(self.times, limits, side="right") - 1).tolist()

    def ticks_of(self, frames: Sequence[int]) -> list[int]:
        """The ticks at which these frames begin to be shown, so that `tick / fps` is the time of the frame."""
        if self.times is None:
            return list(frames)
        return np.round(self.times[list(frames)] * self.fps).astype(int).tolist()


def timeline(times: np.ndarray, claimed_fps: float) -> Timeline:
    """The timeline of frames at `times` f64[N], ascending, in seconds from the first.

    The file's own rate is used if the frames keep to it, otherwise their mean rate, if they keep to that. Otherwise a
    tick is as long as the short gaps between frames.
    """
    gaps = np.diff(times)
    length = float(np.max(times))
    mean = (len(times) - 1) / length if length > 0 else 0.0
    for fps in (claimed_fps, mean):
        if fps > 0 and np.abs(times * fps - np.arange(len(times))).max() <= SLACK:
            return Timeline(fps=fps, num_ticks=len(times))
    if mean == 0:
        return Timeline(fps=claimed_fps or DEFAULT_FPS, num_ticks=len(times))
    fps = 1 / max(float(np.quantile(gaps[gaps > 0], SHORT_GAPS)), LEAST_GAP)
    return Timeline(fps=fps, num_ticks=round(length * fps) + 1, times=times)
