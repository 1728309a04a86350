"""What the packets of a video tell without decoding: its frames and their times, where decoding may start, and whether
the file is cut off. Runs in a worker process (decode_worker.py)."""

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

# Formats and codecs in which a packet is one frame and has its time.
INDEXED_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
INDEXED_CODECS = {"h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg"}
HEAD_BYTES = 4096
ASF = b"\x30\x26\xb2\x75"
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
NAL_LENGTH_BYTE = {"h264": 4, "hevc": 21}  # in the decoder configuration record (ISO 14496-15)


@dataclass(frozen=True, slots=True)
class PacketTable:
    """The packets that hold data, in the order of the file. Times are in units of the stream's time base."""

    pts: list[int | None] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    starts: list[bool] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def add(self, packet: av.Packet, stream: av.VideoStream) -> None:
        self.pts.append(packet.pts)
        self.shown.append(not packet.is_discard)
        self.starts.append(packet.is_keyframe and refreshes(bytes(packet), stream))
        self.ends.append((packet.pts or 0) + (packet.duration or 0))

    def is_index(self, container: av.container.InputContainer, stream: av.VideoStream) -> bool:
        """Whether each packet is one frame with a time of its own."""
        known = container.format.name in INDEXED_FORMATS and canonical_name(stream) in INDEXED_CODECS
        return known and None not in self.pts and len(set(self.pts)) == len(self.pts)

    def shown_times(self) -> list[int]:
        """The times of the frames of an index, in the order of showing. An edit list discards some."""
        return sorted(pts for pts, shown in zip(self.pts, self.shown, strict=True) if shown and pts is not None)

    def groups(self) -> tuple[np.ndarray, np.ndarray]:
        """The closed group of pictures of each packet of an index, and of each frame in the order of showing.

        A group begins where the decoder forgets what came before, and where all later times are greater than all
        earlier ones.
        """
        pts = np.array(self.pts, np.int64)
        before = np.concatenate([[pts.min() - 1], np.maximum.accumulate(pts)[:-1]])
        after = np.minimum.accumulate(pts[::-1])[::-1]
        groups = np.cumsum(np.array(self.starts) & (after > before))
        order = np.argsort(pts)
        return groups, groups[order][np.array(self.shown)[order]]


def canonical_name(stream: av.VideoStream) -> str:
    return stream.codec_context.codec.canonical_name


def refreshes(data: bytes, stream: av.VideoStream) -> bool:
    """Whether a key frame lets no later frame refer to earlier ones. H.264 and HEVC also mark frames as key frames
    where decoding can merely recover; there, only IDR pictures do (types 5 of H.264, 19 and 20 of HEVC)."""
    codec = canonical_name(stream)
    if codec not in NAL_LENGTH_BYTE:
        return True
    extra, place = stream.codec_context.extradata or b"", NAL_LENGTH_BYTE[codec]
    if len(extra) <= place or extra[0] != 1:
        return False
    width = (extra[place] & 3) + 1
    at = 0
    while at + width < len(data):
        first = data[at + width]
        kind = first & 31 if codec == "h264" else first >> 1 & 63
        if kind in range(1, 6) if codec == "h264" else kind < 32:
            return kind == 5 if codec == "h264" else kind in (19, 20)
        at += width + int.from_bytes(data[at : at + width])
    return False


def missing_part(
    content: str | bytes, container: av.container.InputContainer, stream: av.VideoStream, table: PacketTable
) -> str | None:
    """What a cut-off file lacks, by its own headers; None if nothing."""
    head, size = _head(content)
    if (declared := declared_size(head)) is not None and declared > size:
        return f"{size} of {declared} bytes are present"
    if head[:4] == b"GIF8" and not is_whole_gif(content if isinstance(content, bytes) else Path(content).read_bytes()):
        return "it ends within a frame"
    if stream.frames:
        return None if head.startswith(b"RIFF") else _missing_frames(stream, table)
    # Matroska and WebM store a duration instead of a frame count; with an audio track it may be the audio's.
    if container.duration and len(container.streams) == 1:
        end = float((max(table.ends) - (stream.start_time or 0)) * (stream.time_base or 0))
        duration = container.duration / av.time_base
        if end < 0.9 * duration - 0.5:
            return f"{end:.1f} of {duration:.1f} seconds are present"
    return None


def _missing_frames(stream: av.VideoStream, table: PacketTable) -> str | None:
    """Fewer frames than the header counts are a cut, unless they last as long as the header says: an edit list leaves
    frames out."""
    count, end = len(table.pts), max(table.ends)
    if count >= stream.frames or (stream.duration and end > stream.duration - 0.5 * stream.duration / stream.frames):
        return None
    return f"{count} of {stream.frames} frames are present"


def declared_size(head: bytes) -> int | None:
    """The least size of an AVI, ASF or Matroska file by its first bytes; None if they do not say."""
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return int.from_bytes(head[4:8], "little") + 8
    if (at := head.find(ASF_FILE_PROPERTIES)) >= 0 and head[:4] == ASF:
        return int.from_bytes(head[at + 40 : at + 48], "little")
    if head[:4] == b"\x1a\x45\xdf\xa3":
        length, start = _ebml_size(head, 4)
        at = start + (length or 0)
        if head[at : at + 4] == b"\x18\x53\x80\x67":
            length, start = _ebml_size(head, at + 4)
            return None if length is None else start + length
    return None


def _ebml_size(head: bytes, at: int) -> tuple[int | None, int]:
    """The size (None if unknown) that is written at `at`, and where the content begins (RFC 8794, section 6)."""
    first = head[at] if at < len(head) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(head[at : at + width]) & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), at + width


def is_whole_gif(data: bytes) -> bool:
    """Whether no block is cut off (GIF89a, sections 15 to 27). The trailer may be missing."""

    def colors(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    at = 13 + colors(data[10]) if len(data) > 10 else 13
    while at < len(data) and data[at] in b"!,":
        if data[at] == ord(","):
            at += 11 + (colors(data[at + 9]) if at + 9 < len(data) else 0)
        else:
            at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return at <= len(data)


def _head(content: str | bytes) -> tuple[bytes, int]:
    """The first bytes of a file, and its size."""
    if isinstance(content, bytes):
        return content[:HEAD_BYTES], len(content)
    with Path(content).open("rb") as file:
        return file.read(HEAD_BYTES), Path(content).stat().st_size
