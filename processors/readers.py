"""Reads chosen frames of a video file in a worker process (decode_pool.py), and resizes them as they come.

Not here: choosing the frames (sampling.py), and decoding them (frames.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from uniopd_mm.processors.decode_pool import Worker, WorkerDiedError, decode_pool
from uniopd_mm.processors.timeline import Timeline, timeline
from uniopd_mm.types import BadSample

BACKEND = "pyav"
# Larger frames are scaled by the decoder's own scaler, so that neither a worker nor a pipe holds them in full size.
LARGEST_FRAME = 2048 * 2048

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a video file contains: its timeline, and the size of its frames as stored."""

    timeline: Timeline
    height: int
    width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Frames to read, by ascending numbers that may repeat; `fit` gives the size that upright frames of a (height,
    width) are resized to. `indices` are their ticks on the timeline, and `length` is the number of ticks in the sampled
    time range."""

    frames: Sequence[int]
    fit: Callable[[int, int], Size]
    indices: Sequence[int]
    length: int
    fps: float


def probe(content: Path | bytes) -> VideoInfo:
    """Raises BadSample: not a video, or cut off."""
    try:
        with decode_pool().worker() as worker:
            return _opened(worker, content, in_order=False)
    except WorkerDiedError as error:
        raise BadSample(str(error)) from error


def read_frames(content: Path | bytes, choose: Callable[[Timeline], Choice]) -> tuple[Choice, Tensor]:
    """The chosen frames as uint8 [T, C, H, W], upright.

    They are resized as they are decoded, so that a long clip of large frames is never held at full size.

    Raises:
        BadSample: not a video, or cut off; a frame cannot be decoded, or not within a worker's limits.
    """
    try:
        with decode_pool().worker() as worker:
            for in_order in (False, True):
                info = _opened(worker, content, in_order=in_order)
                choice = choose(info.timeline)
                frames = _read(worker, info, choice)
                if frames is not None:
                    return choice, frames
    except WorkerDiedError as error:
        raise BadSample(str(error)) from error
    raise BadSample("its frames cannot be counted")


def resized(frames: Tensor, size: Size) -> Tensor:
    """Frames uint8 [T, C, H, W] in another size. The same call as in the stock video processors: uint8 in, rounded
    uint8 out."""
    if size == tuple(frames.shape[-2:]):
        return frames.contiguous()
    return resize(frames.contiguous(), list(size), interpolation=InterpolationMode.BICUBIC, antialias=True)


def _opened(worker: Worker, content: Path | bytes, *, in_order: bool) -> VideoInfo:
    path, data = (str(content.absolute()), b"") if isinstance(content, Path) else (None, content)
    worker.send({"open": path, "in_order": in_order, "threads": worker.threads}, data)
    header, times = worker.receive()
    _refuse_bad(header)
    return VideoInfo(
        timeline=timeline(np.frombuffer(times), header["rate"]), height=header["height"], width=header["width"]
    )


def _read(worker: Worker, info: VideoInfo, choice: Choice) -> Tensor | None:
    """None if the file must be read in order."""
    wanted, fit = sorted(set(choice.frames)), choice.fit
    height, width = info.height, info.width
    is_large = height * width > LARGEST_FRAME
    scaled = {"upright": fit(height, width), "sideways": fit(width, height)} if is_large else {}
    worker.send({"read": wanted, **scaled})
    parts: list[Tensor] = []
    while "shape" in (reply := worker.receive())[0]:
        frames = torch.frombuffer(reply[1], dtype=torch.uint8).view(reply[0]["shape"]).permute(0, 3, 1, 2)
        parts.append(resized(frames, fit(*frames.shape[-2:])))
    if "recount" in reply[0]:
        return None
    _refuse_bad(reply[0])
    frames = torch.cat(parts)
    if len(wanted) == len(choice.frames):
        return frames
    return frames[torch.searchsorted(torch.tensor(wanted), torch.tensor(choice.frames))]


def _refuse_bad(header: Any) -> None:
    if "bad" in header:
        raise BadSample(header["bad"])
