"""Videos whose frames tell their own number, in many codecs, containers and kinds of groups of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH = 48, 64
BITS = 8
NUM_FRAMES = 40
FPS = 25
CLOSED = {"g": "12", "bf": "0"}
B_FRAMES = {"g": "12", "bf": "2"}
OPEN = {"libx264": {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1"}}
OPEN["libx265"] = {"x265-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1:log-level=none"}
SHUT = {"libx264": {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3"}}
SHUT["libx265"] = {"x265-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=0:log-level=none"}
ONE = {"libx264": {}, "libx265": {"x265-params": "log-level=none"}}
REFRESH = {"x264-params": "keyint=12:bframes=0:intra-refresh=1"}
FIELDS = {"x264-params": "keyint=12:bframes=2:interlaced=1"}
FORMATS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "png": "rgb24", "ffv1": "yuv420p", "huffyuv": "yuv422p"}
FORMATS |= {"gif": "rgb8", "apng": "rgb24", "utvideo": "yuv420p", "qtrle": "rgb24", "rawvideo": "yuv420p"}
FORMATS |= {"jpeg2000": "yuv420p", "cinepak": "rgb24", "ljpeg": "yuvj420p"}
SPEED = {"libaom-av1": {"cpu-used": "8", "usage": "realtime"}, "libsvtav1": {"preset": "12"}}
SPEED |= {"libvpx": {"deadline": "realtime", "cpu-used": "8"}, "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}}
SPEED |= {"libx264": {"preset": "veryfast"}, "libx265": {"preset": "ultrafast"}}


@dataclass(frozen=True)
class Case:
    """A file to write. `ticks` are the times of its frames in 1/FPS seconds."""

    suffix: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    ticks: tuple[int, ...] = tuple(range(NUM_FRAMES))
    container: dict[str, str] = field(default_factory=dict)
    format: str | None = None

    @property
    def name(self) -> str:
        kind = "-".join(f"{key}={value}" for key, value in self.options.items())[:60]
        return f"{self.codec}-{kind}-{len(self.ticks)}of{self.ticks[-1] + 1}.{self.suffix}".replace(":", ",")


def numbered(number: int) -> np.ndarray:
    """u8[H, W, 3]: two rows of four grey blocks, which are the bits of the number."""
    bits = [(number >> bit & 1) * 160 + 48 for bit in range(BITS)]
    blocks = np.array(bits, np.uint8).reshape(2, 4)
    return np.repeat(blocks.repeat(HEIGHT // 2, 0).repeat(WIDTH // 4, 1)[:, :, None], 3, 2)


def number_in(frame: np.ndarray) -> int:
    blocks = frame[..., 1].reshape(2, HEIGHT // 2, 4, WIDTH // 4)[:, 6:-6, :, 4:-4].mean((1, 3))
    return sum(1 << bit for bit, level in enumerate(blocks.flatten()) if level > 128)


def write_case(case: Case, folder: Path, numbers: Sequence[int] | None = None) -> Path:
    path = folder / case.name
    numbers = range(len(case.ticks)) if numbers is None else numbers
    with av.open(str(path), "w", format=case.format, options=case.container) as container:
        options = SPEED.get(case.codec, {}) | case.options
        stream = container.add_stream(case.codec, rate=FPS, options=options)
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = FORMATS.get(case.codec, "yuv420p")
        stream.codec_context.thread_count = 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        for number, tick in zip(numbers, case.ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = tick, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


GAPS = tuple(tick for tick in range(60) if tick % 7 < 5 and not 30 <= tick < 44)
KINDS = {
    "mp4": ("libx264", "libx265", "mpeg4", "mpeg2video", "libaom-av1", "libvpx-vp9", "mjpeg", "mpeg1video", "jpeg2000"),
    "mov": ("libx264", "libx265", "mpeg4", "mpeg2video", "mjpeg", "prores_ks", "png", "qtrle", "cinepak"),
    "mkv": ("libx264", "libx265", "mpeg4", "mpeg2video", "mpeg1video", "libvpx", "libvpx-vp9", "libaom-av1", "ffv1"),
    "webm": ("libvpx", "libvpx-vp9", "libsvtav1"),
    "avi": ("libx264", "mpeg4", "mpeg2video", "msmpeg4", "msmpeg4v2", "wmv1", "mjpeg", "huffyuv", "utvideo", "ffv1"),
    "ts": ("libx264", "libx265", "mpeg2video", "mpeg1video"),
    "m2ts": ("libx264", "mpeg2video"),
    "mpg": ("mpeg1video", "mpeg2video", "libx264"),
    "vob": ("mpeg2video",),
    "flv": ("flv", "libx264"),
    "wmv": ("wmv1", "wmv2", "msmpeg4"),
    "asf": ("mpeg4", "libx264"),
    "ogv": ("libvpx",),
    "nut": ("libx264", "mpeg4", "rawvideo"),
    "3gp": ("mpeg4", "libx264"),
    "y4m": ("rawvideo",),
    "gif": ("gif",),
    "apng": ("apng",),
    "h264": ("libx264",),
    "hevc": ("libx265",),
    "m4v": ("mpeg4",),
    "ivf": ("libvpx", "libvpx-vp9", "libaom-av1"),
    "mxf": ("mpeg2video",),
}
WITH_B = {"mpeg4", "mpeg2video", "mpeg1video"}
NO_TIMES = {"y4m", "h264", "hevc", "m4v", "mxf", "mpg", "vob", "ogv"}  # these give every frame the same length


def groups_of_pictures(codec: str) -> list[dict[str, str]]:
    if codec in OPEN:
        return [OPEN[codec], SHUT[codec], ONE[codec]]
    if codec in WITH_B:
        return [CLOSED, B_FRAMES]
    return [{"g": "12"}]


def all_cases() -> list[Case]:
    cases = [
        Case(suffix, codec, options)
        for suffix, codecs in KINDS.items()
        for codec in codecs
        for options in groups_of_pictures(codec)
    ]
    cases += [
        Case(suffix, "libx264", options) for suffix in ("mp4", "mkv", "ts", "flv") for options in (REFRESH, FIELDS)
    ]
    cases += [
        Case(suffix, codecs[0], groups_of_pictures(codecs[0])[0], GAPS)
        for suffix, codecs in KINDS.items()
        if suffix not in {*NO_TIMES, "avi"}
    ]
    cases.append(Case("avi", "mpeg4", CLOSED, GAPS))  # AVI does not tell when B-frames are shown
    return cases
