"""Opens a video file with PyAV, counts its frames, and reads chosen ones. Runs in a worker process (decode_worker.py).

A frame is named by its number in the order of showing. Two ways lead to it:

- By packets: in MP4, Matroska and WebM every packet is one frame with its time, so that nothing need be decoded to
  count them. Decoding starts at the last closed group of pictures before a wanted frame. The frames that come out must
  have the times of the packets, one by one; otherwise `RecountError` is raised, and the file is read in order.
- In order: all frames are decoded to count them, and again to read them. This is right for every container.

Not here: which frames are wanted (sampling.py) and when they are shown (timeline.py). This module imports neither torch
nor the core, so that a worker starts quickly and stays small.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import chain, count, groupby

import av
import numpy as np
from av.stream import Disposition

from uniopd_mm.processors.packets import PacketTable, missing_part
from uniopd_mm.processors.pixels import oriented

av.logging.set_level(None)

MAX_PIXELS = 89_478_485  # of a frame, as of an image
KEPT_BYTES = 2**25  # the packets of small files are kept between counting and reading
PART_BYTES = 2**24
# A playlist could refer to a server that never answers. Given as `options`, they crash on files without a header.
CONTAINER_OPTIONS = {"protocol_whitelist": "file,pipe"}
# Raised by PyAV for broken files: its own errors, and errors for invalid metadata or sizes.
PYAV_ERRORS = (av.FFmpegError, OSError, IndexError, ValueError, OverflowError)
# Recordings that may begin anywhere. What comes before their first key frame cannot be decoded.
HEADERLESS_FORMATS = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc"}
# Starting threads costs more than decoding small frames. Of huge ones, each thread would hold several.
THREADED_PIXELS = range(320 * 240, 2**24)
DEFAULT_RATE = 25.0  # of raw streams that do not tell, as in FFmpeg

Size = tuple[int, int]


class UnreadableError(Exception):
    """The video cannot be used; the message is the reason."""


class RecountError(Exception):
    """The packets of this file do not tell its frames; it must be read in order."""


class VideoFile:
    """An open video file.

    Args:
        content: its path or its bytes.
        in_order: decode all frames instead of relying on packets.
        threads: of the decoder, for frames of usual sizes.
        alive: called after each packet and each frame.

    Raises:
        UnreadableError: not a video, too large, or cut off.
    """

    def __init__(self, content: str | bytes, *, in_order: bool, threads: int, alive: Callable[[], None]) -> None:
        self._content = content
        self._threads = threads
        self._alive = alive
        self._kept: list[av.Packet] | None = []
        with unreadable("not a readable video"):
            self._container = self._open()
            self._stream = _video_stream(self._container)
            self.height, self.width = self._stream.height, self._stream.width
            check_size(self.width, self.height)
            table = self._scan()
        self.rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        self._table = None if in_order or not table.is_index(self._container, self._stream) else table
        if self._table:
            self._shown = table.shown_times()
            self.times = self._seconds(self._shown)
        else:
            self.times = self._seconds([frame.pts for frame in self._in_order()])
        if not len(self.times):
            raise UnreadableError("the video holds no frames")

    def close(self) -> None:
        self._container.close()

    def read(self, wanted: Sequence[int], upright: Size | None, sideways: Size | None) -> Iterator[np.ndarray]:
        """Frames `wanted` (ascending, without repeats) in parts u8[n, H, W, 3]. For the sizes see `pixels.oriented`.

        Raises:
            UnreadableError: one of the frames cannot be decoded, or is damaged, or differs in size.
            RecountError: see above.
        """
        part: list[np.ndarray] = []
        shape = None
        for number, frame in self._wanted(wanted):
            part.append(_picture(number, frame, upright, sideways))
            shape = shape or part[0].shape
            if part[-1].shape != shape:
                raise UnreadableError(f"its frames change in size, from {_size(shape)} to {_size(part[-1].shape)}")
            if len(part) * part[0].nbytes >= PART_BYTES:
                yield np.stack(part)
                part = []
        if part:
            yield np.stack(part)

    def _wanted(self, wanted: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """The wanted frames with their numbers."""
        remaining = set(wanted)
        frames = self._by_packets(wanted) if self._table else enumerate(self._in_order())
        for number, frame in frames:
            if number in remaining:
                remaining.remove(number)
                yield number, frame
            if not remaining:
                return
        raise UnreadableError(f"frame {min(remaining)} is missing: the video is cut off or broken")

    def _in_order(self) -> Iterator[av.VideoFrame]:
        num_frames = 0
        with self._open() as container:
            stream = _video_stream(container)
            context = self._prepared(stream)
            for packet in chain(_packets(container, stream), [None]):
                try:
                    frames = context.decode(packet)
                except PYAV_ERRORS as error:
                    if num_frames == 0 and container.format.name in HEADERLESS_FORMATS:
                        continue
                    raise UnreadableError(f"frame {num_frames} cannot be decoded: {reason(error)}") from error
                self._alive()
                num_frames += len(frames)
                yield from frames

    def _by_packets(self, wanted: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """The frames of the closed groups of pictures that hold wanted frames, with their numbers."""
        assert self._table is not None
        groups, group_of = self._table.groups()
        needed = set(group_of[list(wanted)].tolist())
        context = self._prepared(self._stream)
        numbered, last = count(), None
        for group, packets in groupby(zip(groups, self._all_packets(), strict=False), key=lambda pair: int(pair[0])):
            if group not in needed:
                continue
            if last is None or group > last + 1:
                yield from self._checked(context, [] if last is None else [None], numbered)
                context.flush_buffers()
                numbered = count(int(np.searchsorted(group_of, group)))
            yield from self._checked(context, (packet for _, packet in packets), numbered)
            last = group
        yield from self._checked(context, [None], numbered)

    def _checked(
        self, context: av.VideoCodecContext, packets: Iterable[av.Packet | None], numbered: Iterator[int]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """The decoded frames, each with the next number. Raises RecountError if its time is not that frame's."""
        for packet in packets:
            try:
                frames = context.decode(packet)
            except PYAV_ERRORS as error:
                raise UnreadableError(f"frame {next(numbered)} cannot be decoded: {reason(error)}") from error
            self._alive()
            for frame in frames:
                number = next(numbered)
                if number >= len(self._shown) or frame.pts != self._shown[number] or frame.interlaced_frame:
                    raise RecountError
                yield number, frame

    def _all_packets(self) -> Iterator[av.Packet]:
        if self._kept is not None:
            yield from self._kept
            return
        with self._open() as container:
            yield from _packets(container, _video_stream(container))

    def _prepared(self, stream: av.VideoStream) -> av.VideoCodecContext:
        context = stream.codec_context
        context.thread_count = self._threads if self.width * self.height in THREADED_PIXELS else 1
        context.thread_type = "AUTO"
        return context

    def _open(self) -> av.container.InputContainer:
        content = self._content
        return av.open(
            content if isinstance(content, str) else BytesIO(content),
            mode="r",
            container_options=CONTAINER_OPTIONS,
            metadata_errors="ignore",
        )

    def _scan(self) -> PacketTable:
        """Read all packets. Keep them if they are small."""
        table, num_bytes = PacketTable(), 0
        for packet in _packets(self._container, self._stream):
            self._alive()
            if packet.is_corrupt:
                raise UnreadableError(f"the video is cut off or broken at frame {len(table.pts)}")
            table.add(packet, self._stream)
            num_bytes += packet.size
            if num_bytes > KEPT_BYTES:
                self._kept = None
            elif self._kept is not None:
                self._kept.append(packet)
        if not table.pts:
            raise UnreadableError("the video holds no frames")
        if missing := missing_part(self._content, self._container, self._stream, table):
            raise UnreadableError(f"the video is cut off: {missing}")
        return table

    def _seconds(self, pts: Sequence[int | None]) -> np.ndarray:
        """f64[N]: times since the first frame, sorted because AVI and ASF mix up those of B-frames.

        Without times in the file, the frames follow each other at its rate.
        """
        if None in pts or not self._stream.time_base:
            return np.arange(len(pts)) / (self.rate or DEFAULT_RATE)
        times = np.sort(np.array(pts, np.float64)) * float(self._stream.time_base)
        return times - times[:1]


@contextmanager
def unreadable(what: str) -> Iterator[None]:
    """Turn the errors of PyAV into an UnreadableError."""
    try:
        yield
    except PYAV_ERRORS as error:
        raise UnreadableError(f"{what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def check_size(width: int, height: int) -> None:
    """Raises UnreadableError if frames of this size take too much memory."""
    if width * height > MAX_PIXELS:
        raise UnreadableError(f"{width}x{height} pixels are more than the limit of {MAX_PIXELS}")


def _picture(number: int, frame: av.VideoFrame, upright: Size | None, sideways: Size | None) -> np.ndarray:
    if frame.is_corrupt:
        raise UnreadableError(f"frame {number} is damaged or encrypted")
    check_size(frame.width, frame.height)
    with unreadable(f"frame {number} cannot be converted"):
        return oriented(frame, upright, sideways)


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first video track; a cover picture is none."""
    stream = next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
    if stream is None:
        raise UnreadableError("not a readable video: it has no video track")
    if stream.codec_context is None:
        raise UnreadableError("its codec is unknown")
    return stream


def _packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """The packets that hold data."""
    return (packet for packet in container.demux(stream) if packet.size)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
