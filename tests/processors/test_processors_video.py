"""Videos: which frames are taken and when they were shown, in which pixels."""

import io
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from processor_parts import decoded, moving_square, write_video
from torchvision.transforms.v2 import functional as tvf

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.readers import probe
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.video import Clip, load_video

BUDGET = PixelBudget(factor=32, min_pixels=32 * 32, max_pixels=128 * 128)
FPS2 = FrameSampling()


def load(path: Path, sampling: FrameSampling = FPS2, **options: object) -> Clip:
    return load_video(path, sampling, BUDGET, options)


def pixels(clip: Clip) -> np.ndarray:
    return clip.frames.permute(0, 2, 3, 1).numpy()


def test_frames_and_metadata_by_hand(clip_file: Path) -> None:
    clip = load(clip_file)
    assert clip.frames.dtype == torch.uint8
    assert clip.frames.shape == (4, 3, 64, 64)
    np.testing.assert_array_equal(pixels(clip), decoded(clip_file)[[0, 10, 20, 30]])
    assert dict(clip.metadata) == {
        "total_num_frames": 31,
        "fps": 15.0,
        "frames_indices": [0, 10, 20, 30],
        "duration": 31 / 15,
        "height": 64,
        "width": 64,
        "video_backend": "pyav",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_frames": 2}, [0, 30]),
        ({"num_frames": 3}, [0, 10, 20, 30]),  # rounded to an even count; 1.5 pairs round to 2
        ({"num_frames": 1}, [0, 30]),
        ({"fps": 5}, [0, 3, 7, 10, 13, 17, 20, 23, 27, 30]),
        ({"fps": 0.1}, [0, 10, 20, 30]),
        ({"fps": 0.1, "min_frames": 2}, [0, 30]),
        ({"fps": 15, "max_frames": 4}, [0, 10, 20, 30]),
        ({"num_frames": 4, "video_start": 1.0}, [15, 20, 25, 30]),
        ({"num_frames": 4, "video_start": 0.4, "video_end": 1.0}, [6, 9, 12, 15]),
        ({"num_frames": 2, "video_end": 99.0}, [0, 30]),
    ],
)
def test_sampling_options(clip_file: Path, options: dict[str, float], expected: list[int]) -> None:
    clip = load(clip_file, **options)
    assert clip.metadata["frames_indices"] == expected
    np.testing.assert_array_equal(pixels(clip), decoded(clip_file)[expected])


def test_asking_for_more_frames_than_there_are(clip_file: Path) -> None:
    expected = torch.linspace(0, 30, 30).round().int().tolist()
    for options in ({"num_frames": 1000}, {"fps": 15}, {"fps": 1000}):
        assert load(clip_file, **options).metadata["frames_indices"] == expected


def test_rate_option_overrides_a_default_count(clip_file: Path) -> None:
    assert len(load(clip_file, FrameSampling(num_frames=2)).frames) == 2
    assert len(load(clip_file, FrameSampling(num_frames=2), fps=5).frames) == 10


@pytest.mark.parametrize(("length", "expected"), [(1, [0, 0]), (2, [0, 1]), (3, [0, 2]), (4, [0, 1, 2, 3])])
def test_short_videos(tmp_path: Path, length: int, expected: list[int]) -> None:
    path = write_video(tmp_path / "short.mp4", moving_square(length))
    for sampling in (FPS2, FrameSampling(num_frames=8)):
        clip = load(path, sampling)
        assert clip.metadata["frames_indices"] == expected
        assert clip.metadata["total_num_frames"] == length
        np.testing.assert_array_equal(pixels(clip), decoded(path)[expected])


def test_fractional_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "ntsc.mp4", moving_square(60), Fraction(30000, 1001))
    clip = load(path)
    assert clip.metadata["fps"] == pytest.approx(29.97003)
    assert clip.metadata["duration"] == pytest.approx(2.002)
    assert clip.metadata["frames_indices"] == [0, 20, 39, 59]


@settings(max_examples=200, deadline=None)
@given(
    total=st.integers(1, 3000),
    rate=st.floats(0.5, 120),
    fps=st.floats(0.05, 200),
    count=st.none() | st.integers(1, 900),
    least=st.integers(1, 16),
    most=st.integers(16, 800),
    multiple=st.sampled_from([2, 4]),
)
def test_sampled_frames_are_ordered_even_and_span_the_video(
    total: int, rate: float, fps: float, count: int | None, least: int, most: int, multiple: int
) -> None:
    sampling = FrameSampling(fps=fps, num_frames=count, min_frames=least, max_frames=most, multiple=multiple)
    indices, length = sampling.choose(total, rate)
    assert length == total
    assert len(indices) % multiple == 0
    assert indices == sorted(indices)
    assert (indices[0], indices[-1]) == (0, total - 1)
    assert len(indices) <= max(most if count is None else count + 1, 2) + multiple


def test_resizing_equals_torchvisions(tmp_path: Path) -> None:
    path = write_video(tmp_path / "wide.mp4", moving_square(8, 100, 300), fps=4)
    clip = load(path)
    # 3 : 1 within 128 * 128 pixels on a grid of 32: sqrt(16384 / 3) = 73.9 and 221.7, rounded down.
    assert clip.frames.shape == (4, 3, 64, 192)
    source = torch.from_numpy(decoded(path)[clip.metadata["frames_indices"]]).permute(0, 3, 1, 2)
    expected = tvf.resize(source, [64, 192], interpolation=tvf.InterpolationMode.BICUBIC, antialias=True)
    assert torch.equal(clip.frames, expected)


def test_pixel_options(clip_file: Path) -> None:
    assert load(clip_file, max_pixels=32 * 32).frames.shape[-2:] == (32, 32)
    assert load(clip_file, min_pixels=128 * 128).frames.shape[-2:] == (128, 128)
    assert load(clip_file, total_pixels=4 * 32 * 32).frames.shape[-2:] == (32, 32)


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "libvpx-vp9"), ("a.mkv", "ffv1"), ("a.avi", "mpeg4")])
def test_other_containers(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, moving_square(12), 6, codec)
    clip = load(path)
    assert clip.metadata["frames_indices"] == [0, 4, 7, 11]
    np.testing.assert_allclose(pixels(clip).astype(int), decoded(path)[[0, 4, 7, 11]], atol=2)


@pytest.mark.parametrize(("name", "codec"), [("av1.mp4", "libaom-av1"), ("moving.gif", "gif")])
def test_other_codecs_and_containers(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, moving_square(12), 6, codec)
    clip = load(path)
    np.testing.assert_array_equal(pixels(clip), decoded(path)[clip.metadata["frames_indices"]])


def test_bytes_and_uris_read_like_the_path(clip_file: Path, tmp_path: Path) -> None:
    expected = load(clip_file)
    gif = write_video(tmp_path / "moving.gif", moving_square(12), 6, "gif")
    for source in (clip_file.read_bytes(), str(clip_file), clip_file.as_uri()):
        assert torch.equal(load_video(source, FPS2, BUDGET).frames, expected.frames)
    assert torch.equal(load_video(gif.read_bytes(), FPS2, BUDGET).frames, load(gif).frames)


def test_long_clips_are_read_in_parts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", moving_square(150), 15)
    clip = load(path, fps=15)
    np.testing.assert_array_equal(pixels(clip), decoded(path))
    gif = write_video(tmp_path / "long.gif", moving_square(90), 10, "gif")
    np.testing.assert_array_equal(pixels(load(gif, fps=10)), decoded(gif))


def test_pictures_as_frames() -> None:
    frames = moving_square(5)
    clip = load_video([Image.fromarray(frame) for frame in frames], FPS2, BUDGET, {"sample_fps": 4.0})
    # All of an even number of pictures; of five, four spread over them.
    assert clip.metadata["frames_indices"] == [0, 1, 3, 4]
    assert (clip.metadata["fps"], clip.metadata["duration"]) == (4.0, 1.25)
    np.testing.assert_array_equal(pixels(clip), frames[[0, 1, 3, 4]])
    assert load_video([Image.fromarray(frames[0])], FPS2, BUDGET).metadata["frames_indices"] == [0, 0]
    buffer = io.BytesIO()
    Image.fromarray(frames[2]).save(buffer, "PNG")
    assert np.array_equal(pixels(load_video([buffer.getvalue()] * 2, FPS2, BUDGET))[1], frames[2])


def rotated(path: Path, degrees: int, target: Path) -> Path:
    """The file with the display matrix of its track header (ISO 14496-12, 8.3.2) set to a turn."""
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    matrix = [x * 65536 for x in (a, b, 0, c, d, 0, 0, 0)] + [0x40000000]
    data[start : start + 36] = struct.pack(">9i", *matrix)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("codec", ["libx264", "libaom-av1"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_orientation_of_the_track_is_applied(tmp_path: Path, degrees: int, codec: str) -> None:
    """A matrix of 90 degrees turns the picture clockwise."""
    flat = write_video(tmp_path / "flat.mp4", moving_square(4, 64, 96), 2, codec)
    clip = load(rotated(flat, degrees, tmp_path / "turned.mp4"))
    expected = np.rot90(decoded(flat), -degrees // 90, axes=(1, 2))
    np.testing.assert_array_equal(pixels(clip), expected)


def test_probe_counts_what_is_there(clip_file: Path) -> None:
    info = probe(clip_file)
    assert (info.timeline.num_ticks, info.timeline.fps, info.height, info.width) == (31, 15.0, 64, 64)
