"""Small clips, drawn from a description and written as H.264 files.

A clip is uint8 [F, S, S, 3] (frames, height, width, RGB). `video_questions` decides what is drawn. Every scene lasts an
even number of frames, so that a model with temporal patches of two frames sees each of them.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

COLORS = {
    "red": (220, 40, 40),
    "green": (40, 190, 70),
    "blue": (50, 80, 230),
    "yellow": (235, 210, 50),
}
BACKGROUND = (18, 18, 24)


def blank(num_frames: int, size: int) -> np.ndarray:
    """An empty clip, uint8 [num_frames, size, size, 3]."""
    return np.full((num_frames, size, size, 3), BACKGROUND, dtype=np.uint8)


def draw(frame: np.ndarray, shape: str, color: str, center: tuple[float, float], radius: float) -> None:
    """Paint a filled square, circle or triangle into uint8 [S, S, 3]. `center` is (x, y) in pixels."""
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    dx, dy = x - center[0], y - center[1]
    inside = {
        "square": np.maximum(abs(dx), abs(dy)) <= radius,
        "circle": dx**2 + dy**2 <= radius**2,
        "triangle": (abs(dx) <= (dy + radius) / 2) & (dy <= radius),
    }
    frame[inside[shape]] = COLORS[color]


def write_mp4(frames: np.ndarray, path: Path, fps: int) -> None:
    """Encode uint8 [F, S, S, 3] as H.264 in an MP4 file, written whole or not at all."""
    partial = path.with_suffix(".part")
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=Fraction(fps), options={"crf": "18", "preset": "ultrafast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    partial.replace(path)


def spread(low: float, high: float, num: int) -> Sequence[float]:
    """`num` equally spaced values from low to high, as Python floats."""
    return np.linspace(low, high, num).tolist()
