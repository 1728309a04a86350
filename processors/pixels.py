"""From a decoded frame to RGB pixels as they are to be shown: colour matrix, size and orientation. Runs in a worker
process (decode_worker.py)."""

from collections.abc import Iterator
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.reformatter import ColorRange, Colorspace, Interpolation

MATRICES = {1, 4, 7, 9, 10}  # BT.709, FCC, SMPTE 240M, BT.2020: numbers of AVColorSpace that swscale knows as well
FULL_RANGE = 2


def oriented(frame: av.VideoFrame, upright: tuple[int, int] | None, sideways: tuple[int, int] | None) -> np.ndarray:
    """u8[H, W, 3], turned and mirrored by the display matrix.

    Scaled to `upright` (height, width), or where the matrix turns the frame, to `sideways`; None keeps the size.
    """
    transpose, mirror, flip = orientation(frame)
    size = (sideways[::-1] if sideways else None) if transpose else upright
    pixels = rgb(frame, size)
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels[:: -1 if flip else 1, :: -1 if mirror else 1])


def orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to transpose the stored picture, and then to mirror it left to right and to flip it upside down.

    The display matrix puts the pixel (x, y) at (a x + c y, b x + d y) and moves the picture back into view
    (ISO 14496-12, 6.2.2). Turns that are no multiple of 90 degrees are rounded.
    """
    entries = cast(Iterator[SideData], iter(frame.side_data))  # a Mapping by its type, a list of entries in fact
    data = next((bytes(entry) for entry in entries if entry.type is Type.DISPLAYMATRIX), None)
    if data is None:
        return False, False, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(data, np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def rgb(frame: av.VideoFrame, size: tuple[int, int] | None) -> np.ndarray:
    """u8[H, W, 3] by the colour matrix that the frame is tagged with; BT.601 if it has none, as FFmpeg does."""
    space = int(frame.colorspace)
    full = int(frame.color_range) == FULL_RANGE
    height, width = size or (frame.height, frame.width)
    converted = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        interpolation=Interpolation.BICUBIC if size else Interpolation.BILINEAR,
        src_colorspace=space if space in MATRICES else Colorspace.ITU601.value,
        dst_colorspace=Colorspace.ITU601.value,
        src_color_range=ColorRange.JPEG.value if full else ColorRange.MPEG.value,
    )
    return converted.to_ndarray()
