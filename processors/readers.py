"""Reads chosen frames of a video file: with decord, or with PyAV if decord cannot.

PyAV first inspects the file's packets. decord hung on some files whose header promises more frames than follow, and
killed the process on others. Both kinds can be detected from the packets, without decoding. Not here: choosing the
frames (sampling.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import decord
import numpy as np
import torch
from torch import Tensor

from uniopd_mm.types import BadSample

# Both libraries raise exceptions; their own output on stderr would break the progress display.
decord.logging.set_level(decord.logging.QUIET)
av.logging.set_level(None)

CHUNK = 32
SMALL_VIDEO_PIXELS = 2**26
# A playlist could refer to a server that never answers.
CONTAINER_OPTIONS = {"protocol_whitelist": "file,pipe"}
# Raised by PyAV for broken files: its own errors, and errors for a missing video stream or for invalid metadata or
# sizes.
PYAV_ERRORS = (av.FFmpegError, OSError, IndexError, ValueError, MemoryError, OverflowError)
# decord's own errors, and the plain ones of its Python wrapper.
DECORD_ERRORS = (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError, IndexError)

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a video file contains: the number of frames actually present, their mean rate (1/s), and the size as
    stored."""

    num_frames: int
    fps: float
    height: int
    width: int


def probe(content: Path | bytes) -> VideoInfo:
    """Count the frames without decoding them.

    Raises:
        BadSample: not a video, or truncated: fewer frames follow than the header promises.
    """
    try:
        with _open(content) as container:
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise BadSample("its codec is unknown")
            num_frames, end = _count_packets(container, stream)
            _check_complete(container, stream, num_frames, end)
            rate = stream.average_rate or stream.guessed_rate
            height, width = stream.height, stream.width
    except BadSample:
        raise
    except PYAV_ERRORS as error:
        raise BadSample(f"not a readable video: {_reason(error)}") from error
    if not rate or not height or not width:
        raise BadSample("its frame rate or size is missing")
    return VideoInfo(num_frames=num_frames, fps=float(rate), height=height, width=width)


def read_frames(
    content: Path | bytes, info: VideoInfo, indices: Sequence[int], transform: Transform
) -> tuple[Tensor, str]:
    """Frames `indices` (ascending) as uint8 [T, C, H, W], upright, and the name of the library that read them.

    `transform` is applied to parts of the clip as they are read, so that a long clip of large frames is never held at
    full size.

    Raises:
        BadSample: neither library can decode these frames.
    """
    wanted = sorted(set(indices))
    try:
        frames, backend = torch.cat([transform(part) for part in _decord_parts(content, info, wanted)]), "decord"
    except DECORD_ERRORS:
        frames, backend = torch.cat([transform(part) for part in _pyav_parts(content, wanted)]), "pyav"
    if len(wanted) == len(indices):
        return frames, backend
    return frames[torch.searchsorted(torch.tensor(wanted), torch.tensor(indices))], backend


def _decord_parts(content: Path | bytes, info: VideoInfo, wanted: Sequence[int]) -> Iterator[Tensor]:
    uri = str(content) if isinstance(content, Path) else BytesIO(content)
    # For a small clip, starting decoder threads costs more than decoding.
    small = info.num_frames * info.height * info.width < SMALL_VIDEO_PIXELS
    # With this tiny tolerance, decord raises an error instead of repeating a neighbour of a broken frame.
    reader = decord.VideoReader(uri, num_threads=1 if small else 0, fault_tol=1e-9)
    if len(reader) != info.num_frames:
        raise RuntimeError(f"decord counts {len(reader)} frames, PyAV {info.num_frames}")
    for start in range(0, len(wanted), CHUNK):
        frames_THWC = reader.get_batch(wanted[start : start + CHUNK]).asnumpy()
        yield torch.from_numpy(frames_THWC).permute(0, 3, 1, 2)


def _pyav_parts(content: Path | bytes, wanted: Sequence[int]) -> Iterator[Tensor]:
    part: list[np.ndarray] = []
    remaining = set(wanted)
    try:
        with _open(content) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number not in remaining:
                    continue
                remaining.remove(number)
                part.append(_upright(frame))
                if len(part) == CHUNK or not remaining:
                    yield torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2)
                    part = []
                if not remaining:
                    return
    except PYAV_ERRORS as error:
        raise BadSample(f"frame {min(remaining)} cannot be decoded: {_reason(error)}") from error
    raise BadSample(f"frame {min(remaining)} is missing: the video is cut off or broken")


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """u8[H, W, 3], rotated by the file's display matrix (decord does this by itself)."""
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)


def _open(content: Path | bytes) -> av.container.InputContainer:
    file = str(content) if isinstance(content, Path) else BytesIO(content)
    return av.open(file, mode="r", options=CONTAINER_OPTIONS, metadata_errors="ignore")


def _count_packets(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[int, float]:
    """The number of packets that hold a frame, and the time (s) when the last of them ends."""
    count, end = 0, 0
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.is_corrupt:
            raise BadSample(f"the video is cut off or broken at frame {count}")
        count += 1
        end = max(end, (packet.pts or 0) + (packet.duration or 0))
    return count, float(end * (stream.time_base or 0))


def _check_complete(
    container: av.container.InputContainer, stream: av.VideoStream, num_frames: int, end: float
) -> None:
    if num_frames == 0:
        raise BadSample("the video holds no frames")
    if stream.frames and num_frames < stream.frames:
        raise BadSample(f"the video is cut off: {num_frames} of {stream.frames} frames are present")
    # Matroska and WebM store a duration instead of a frame count; with an audio track it may be the audio's.
    if not stream.frames and container.duration and len(container.streams) == 1:
        duration = container.duration / av.time_base
        if end < 0.9 * duration - 0.5:
            raise BadSample(f"the video is cut off: {end:.1f} of {duration:.1f} seconds are present")


def _reason(error: BaseException) -> str:
    if isinstance(error, IndexError):
        return "it has no video track"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
