"""Videos as cameras, editors and recorders write them: trimmed, turned, tagged, dropped, of varying rate, cut off."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from numbered_parts import FPS, HEIGHT, SHUT, WIDTH, Case, number_in, numbered, write_case
from processor_parts import moving_square, write_video

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.packets import is_whole_gif
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.timeline import Timeline, timeline
from uniopd_mm.processors.video import Clip, load_video
from uniopd_mm.types import BadSample

BUDGET = PixelBudget(factor=1, min_pixels=1, max_pixels=10**6)
ALL = FrameSampling(fps=1000.0, max_frames=10**4)
CAMERA = Case("mp4", "libx264", SHUT["libx264"], tuple(range(60)))


def load(path: Path | bytes, sampling: FrameSampling = ALL) -> Clip:
    return load_video(path, sampling, BUDGET)


def numbers_of(clip: Clip) -> list[int]:
    return [number_in(frame) for frame in clip.frames.permute(0, 2, 3, 1).numpy()]


def times_of(clip: Clip) -> np.ndarray:
    return np.array(clip.metadata["frames_indices"]) / clip.metadata["fps"]


def remuxed(source: Path, target: Path, first: int = 0, shift: int = 0, **options: str) -> Path:
    """The packets from number `first` on, copied and shifted in time."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options=options) as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        packets = [packet for packet in reader.demux(video=0) if packet.size][first:]
        unit = int(1 / (FPS * packets[0].time_base))
        for packet in packets:
            packet.pts, packet.dts = packet.pts + shift * unit, packet.dts + shift * unit
            packet.stream = stream
            writer.mux(packet)
    return target


def test_a_trimmed_copy_begins_where_it_was_cut(tmp_path: Path) -> None:
    """`ffmpeg -ss 0.8 -c copy` keeps the frames back to the last key frame, and an edit list that hides them."""
    path = remuxed(write_case(CAMERA, tmp_path), tmp_path / "trimmed.mp4", first=12, shift=-20)
    clip = load(path)
    assert numbers_of(clip) == list(range(20, 60))
    np.testing.assert_allclose(times_of(clip), np.arange(40) / FPS, atol=1e-3)


def test_a_recording_that_begins_in_the_middle(tmp_path: Path) -> None:
    data = write_case(Case("ts", "libx264", SHUT["libx264"], tuple(range(60))), tmp_path).read_bytes()
    start = len(data) // 3 // 188 * 188
    numbers = numbers_of(load(data[:376] + data[start:]))  # the programme's tables stay
    assert numbers == list(range(numbers[0], 60))
    assert 12 <= numbers[0] <= 36


def test_a_screen_recording_lasts_as_long_as_it_lasts(tmp_path: Path) -> None:
    ticks = (0, 1, 2, 250, 251, 252, 253, 700, 1000, 1025)
    path = write_case(Case("mkv", "libx264", {}, ticks), tmp_path)
    clip = load(path, FrameSampling(fps=2.0))
    shown = [max(number for number, tick in enumerate(ticks) if tick <= time) for time in times_of(clip) * FPS + 0.5]
    assert numbers_of(clip) == shown
    assert len(clip.frames) == 82
    assert clip.metadata["duration"] == pytest.approx(41.04)
    np.testing.assert_allclose(times_of(clip), np.array(ticks)[shown] / FPS, atol=0.5 / FPS)


def test_the_timeline_by_hand() -> None:
    even = timeline(np.arange(5) / 24, 23.976)
    assert (even.fps, even.num_ticks, even.times) == (23.976, 5, None)
    assert timeline(np.array([0.0, 2.0, 4.0]), 25.0) == Timeline(fps=0.5, num_ticks=3)
    assert timeline(np.zeros(1), 0.0).num_ticks == 1
    gaps = timeline(np.array([0, 0.1, 0.2, 1.0, 1.1]), 25.0)
    assert (gaps.fps, gaps.num_ticks) == (pytest.approx(10), 12)
    assert gaps.frames_at([0, 1, 5, 9, 10, 11]) == [0, 1, 2, 2, 3, 4]
    assert gaps.ticks_of([0, 2, 3, 4]) == [0, 2, 10, 11]


def matrices() -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    for turns, plain in enumerate(((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))):
        yield f"{90 * turns}", plain
        a, b, c, d = plain
        yield f"{90 * turns}-mirrored", (-a, b, -c, d)


@pytest.mark.parametrize("matrix", [matrix for _, matrix in matrices()], ids=[name for name, _ in matrices()])
def test_turned_and_mirrored(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Every pixel (x, y) of the stored picture is shown at (a x + c y, b x + d y), moved back into view."""
    a, b, c, d = matrix
    flat = write_video(tmp_path / "flat.mp4", moving_square(4, 48, 64), 2)
    stored = load(flat).frames[2].numpy()
    y, x = np.mgrid[:48, :64]
    columns, rows = a * x + c * y, b * x + d * y
    height, width = (48, 64) if a else (64, 48)
    shown = np.zeros((3, height, width), np.uint8)
    shown[:, rows - rows.min(), columns - columns.min()] = stored
    data = bytearray(flat.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", *(v << 16 for v in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)
    np.testing.assert_array_equal(load(bytes(data)).frames[2].numpy(), shown)


@pytest.mark.parametrize("codec", ["libx264", "libaom-av1", "libvpx-vp9"])
@pytest.mark.parametrize(("space", "full"), [(1, False), (9, False), (5, False), (2, False), (1, True)])
def test_colours_are_read_by_their_matrix(tmp_path: Path, codec: str, space: int, full: bool) -> None:
    """BT.709, BT.2020, BT.601 and none (BT.601), in the ranges of television and of computers."""
    path = tmp_path / "colours.mp4"
    green = np.full((HEIGHT, WIDTH, 3), (20, 200, 40), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=5, options={"crf": "1", "cpu-used": "8"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = space, 2 if full else 1
        red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(space, (0.299, 0.114))
        for _ in range(4):
            frame = yuv(green, red, blue, full)
            frame.colorspace, frame.color_range = space, 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    np.testing.assert_allclose(load(path).frames[1, :, 20, 20].int().numpy(), (20, 200, 40), atol=4)


def yuv(rgb: np.ndarray, red: float, blue: float, full: bool) -> av.VideoFrame:
    """One colour in YUV (ITU-R BT.601, BT.709: Y' = Kr R + Kg G + Kb B)."""
    r, g, b = rgb[0, 0] / 255
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    y, u, v = (
        (luma * 255, *(128 + 255 * c for c in chroma)) if full else (16 + 219 * luma, *(128 + 224 * c for c in chroma))
    )
    planes = np.full((HEIGHT * 3 // 2, WIDTH), round(y), np.uint8)
    planes[HEIGHT : HEIGHT + HEIGHT // 4], planes[HEIGHT + HEIGHT // 4 :] = round(u), round(v)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
        cover.disposition = Disposition.attached_pic.value
        picture = av.VideoFrame.from_ndarray(numbered(1), format="rgb24").reformat(format="yuvj420p")
        container.mux(cover.encode(picture))
        container.mux(cover.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with pytest.raises(BadSample, match="no video track"):
        load(path)


def test_an_encrypted_video_is_refused(tmp_path: Path) -> None:
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key[::-1]}
    path = remuxed(write_case(CAMERA, tmp_path), tmp_path / "encrypted.mp4", **options)
    with pytest.raises(BadSample, match=r"damaged or encrypted|cannot be decoded"):
        load(path)


def test_frames_that_change_in_size(tmp_path: Path) -> None:
    streams = [write_video(tmp_path / f"{h}.h264", moving_square(8, h, 64)).read_bytes() for h in (64, 96)]
    with pytest.raises(BadSample, match="its frames change in size, from 64x64 to 64x96"):
        load(b"".join(streams))


def test_odd_gifs(tmp_path: Path) -> None:
    data = write_case(Case("gif", "gif", {}, tuple(range(0, 40, 4))), tmp_path).read_bytes()
    assert data.endswith(b";")
    comment = b"!\xfe\x05hello\x00"
    for odd in (data[:-1] + comment + b";", data[:-1], data + bytes(7)):
        assert is_whole_gif(odd)
        assert numbers_of(load(odd)) == list(range(10))
    for end in range(len(data) - 40, len(data) - 2):
        assert not is_whole_gif(data[:end])


@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "mpeg4"), ("mkv", "libx264"), ("webm", "libvpx"), ("wmv", "wmv2"), ("gif", "gif")]
)
@pytest.mark.parametrize("share", [0.6, 0.97])
def test_cut_files_are_refused(tmp_path: Path, suffix: str, codec: str, share: float) -> None:
    data = write_case(Case(suffix, codec, {"g": "12"}), tmp_path).read_bytes()
    assert len(load(data).frames) == 40
    with pytest.raises(BadSample, match=r"cut off|not a readable video"):
        load(data[: int(len(data) * share)])


def test_few_frames_of_a_long_video_need_few_groups_of_pictures(tmp_path: Path) -> None:
    """A damaged group of pictures does no harm where none of its frames is wanted."""
    path = write_case(Case("mp4", "libx264", SHUT["libx264"], tuple(range(120))), tmp_path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[48:60]:
        data[packet.pos + 5 : packet.pos + packet.size] = bytes(packet.size - 5)
    clip = load(bytes(data), FrameSampling(num_frames=4))
    assert numbers_of(clip) == [0, 40, 79, 119]
    with pytest.raises(BadSample, match="frame"):
        load(bytes(data))


def test_large_frames_are_scaled_while_decoding(tmp_path: Path) -> None:
    frames = moving_square(4, 64, 64).repeat(36, 1).repeat(64, 2)
    path = write_video(tmp_path / "large.avi", frames, Fraction(2), "mpeg4", qscale="1")
    small = PixelBudget(factor=16, min_pixels=16, max_pixels=64 * 48)
    clip = load_video(path, ALL, small)
    assert clip.frames.shape[2] * clip.frames.shape[3] <= 64 * 48
    expected = [frame.mean((0, 1)) for frame in frames]
    np.testing.assert_allclose(clip.frames.float().mean((2, 3)).numpy(), expected, atol=6)
