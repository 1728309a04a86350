"""Videos that cannot be used: each is a BadSample that names the file and the reason, at once; never a hang."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from processor_parts import moving_square, write_video

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.video import load_video
from uniopd_mm.types import BadSample, UserError

BUDGET = PixelBudget(factor=32, min_pixels=32 * 32, max_pixels=128 * 128)
FPS2 = FrameSampling()


def bad_files(folder: Path) -> dict[str, str]:
    """File name and what the reason must say."""
    whole = write_video(folder / "whole.mp4", moving_square(60)).read_bytes()
    front = write_video(folder / "front.mp4", moving_square(60), movflags="faststart").read_bytes()
    webm = write_video(folder / "whole.webm", moving_square(60), 15, "libvpx-vp9").read_bytes()
    damaged = bytearray(front)
    damaged[len(front) // 2 :] = bytes(len(front) - len(front) // 2)
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"no video at all\n" * 100,
        "picture.mp4": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "no_index.mp4": whole[: len(whole) // 2],
        "cut.mp4": front[: len(front) * 2 // 3],
        "cut.webm": webm[: len(webm) // 2],
        "damaged.mp4": bytes(damaged),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    reasons = dict.fromkeys(contents, "video|frame") | {
        "empty.mp4": "empty",
        "cut.mp4": "cut off",
        "cut.webm": "cut off",
    }
    return reasons | {"missing.mp4": "no such file", "": "not a file"}


@pytest.mark.timeout(120)
def test_bad_files_are_named_and_never_waited_for(tmp_path: Path) -> None:
    for name, reason in bad_files(tmp_path).items():
        path = tmp_path / name
        sources = [path, str(path)]
        if path.is_file() and path.stat().st_size:
            sources.append(path.read_bytes())
        for source in sources:
            with pytest.raises(BadSample, match=reason) as caught:
                load_video(source, FPS2, BUDGET)
            named = f"<{len(source)} bytes>" if isinstance(source, bytes) else str(path)
            assert str(caught.value).startswith(f"{named}: ")
            assert "\n" not in str(caught.value)


def test_a_file_cut_between_two_frames_is_noticed(tmp_path: Path) -> None:
    """Every frame there is intact; only the header tells that there were more."""
    path = write_video(tmp_path / "front.mp4", moving_square(60), movflags="faststart")
    with av.open(str(path)) as container:
        end = max(packet.pos + packet.size for number, packet in enumerate(container.demux(video=0)) if number < 40)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(BadSample, match="cut off: 40 of 60 frames are present"):
        load_video(path, FPS2, BUDGET)


def test_audio_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadSample, match="no video track"):
        load_video(path, FPS2, BUDGET)


def test_bad_options_are_bad_samples(clip_file: Path) -> None:
    for options, reason in (
        ({"speed": 2}, "unknown option 'speed'; choose from fps"),
        ({"fps": 0}, "fps"),
        ({"fps": "two"}, "str"),
        ({"num_frames": 0}, "num_frames"),
        ({"video_start": 5.0}, "range"),
        ({"video_start": 1.0, "video_end": 0.5}, "range"),
        ({"max_pixels": 3}, "max_pixels=3"),
    ):
        with pytest.raises(BadSample, match=reason):
            load_video(clip_file, FPS2, BUDGET, options)
    with pytest.raises(BadSample, match="differ in size"):
        load_video([Image.new("RGB", (64, 64)), Image.new("RGB", (64, 32))], FPS2, BUDGET)
    with pytest.raises(BadSample, match="has no frames"):
        load_video([], FPS2, BUDGET)


@pytest.mark.parametrize(
    "settings_",
    [{"fps": None}, {"fps": -1.0}, {"num_frames": 0}, {"min_frames": 9, "max_frames": 8}, {"max_frames": 1}],
)
def test_impossible_settings(settings_: dict[str, object]) -> None:
    with pytest.raises(UserError, match="video_"):
        FrameSampling(**settings_)


@pytest.mark.timeout(120)
def test_damaged_files_never_hang_or_crash(tmp_path: Path) -> None:
    """Files cut and changed at random: a clip or a BadSample."""
    generator = np.random.default_rng(0)
    front = write_video(tmp_path / "front.mp4", moving_square(60), movflags="faststart").read_bytes()
    webm = write_video(tmp_path / "a.webm", moving_square(30), 15, "libvpx-vp9").read_bytes()
    path = tmp_path / "damaged.bin"
    outcomes = {"clip": 0, "bad": 0}
    for case in range(150):
        blob = bytearray((front, webm)[case % 2])
        if generator.random() < 0.3:
            blob = blob[: generator.integers(1, len(blob))]
        for place in generator.integers(0, len(blob), generator.integers(0, 12)):
            blob[place] = generator.integers(256)
        path.write_bytes(blob)
        try:
            assert load_video(path, FPS2, BUDGET).frames.shape[0] >= 2
            outcomes["clip"] += 1
        except BadSample as error:
            assert str(error).startswith(f"{path}: ")
            outcomes["bad"] += 1
    assert min(outcomes.values()) > 10
