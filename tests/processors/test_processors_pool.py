"""Worker processes: a decoder that crashes, hangs or takes too much memory costs one video and nothing else."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numbered_parts import Case, number_in, write_case
from processor_parts import moving_square, write_video

from uniopd_mm.processors import readers
from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.decode_pool import DecodePool, Limits
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.video import Clip, load_video
from uniopd_mm.types import BadSample

BUDGET = PixelBudget(factor=1, min_pixels=1, max_pixels=10**6)
ALL = FrameSampling(fps=1000.0, max_frames=10**4)


def load(path: Path) -> Clip:
    return load_video(path, ALL, BUDGET)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_case(Case("mp4", "libx264"), tmp_path)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seconds of decoding."""
    frames = moving_square(300, 64, 64).repeat(12, 1).repeat(18, 2)
    return write_video(tmp_path_factory.mktemp("slow") / "slow.ts", frames, 25, "mpeg4", bf="2")


def pool_of(monkeypatch: pytest.MonkeyPatch, limits: Limits, size: int = 1) -> Iterator[DecodePool]:
    pool = DecodePool(limits, size)
    monkeypatch.setattr(readers, "decode_pool", lambda: pool)
    yield pool
    pool.end()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[DecodePool]:
    yield from pool_of(monkeypatch, Limits())


def pid_of(pool: DecodePool) -> int:
    with pool.worker() as worker:
        return worker.pid


def test_a_worker_is_used_again(pool: DecodePool, small: Path) -> None:
    first = pid_of(pool)
    for _ in range(3):
        assert [number_in(frame) for frame in load(small).frames.permute(0, 2, 3, 1).numpy()] == list(range(40))
    assert pid_of(pool) == first


def test_a_crash_is_a_bad_sample_and_the_worker_is_replaced(pool: DecodePool, slow: Path, small: Path) -> None:
    first = pid_of(pool)
    crash = threading.Timer(0.2, os.kill, (first, signal.SIGSEGV))
    crash.start()
    with pytest.raises(BadSample, match=r"slow.ts: decoding it crashed \(SIGSEGV\)"):
        load(slow)
    assert len(load(small).frames) == 40
    assert pid_of(pool) != first


def test_a_worker_that_died_between_two_videos_costs_nothing(pool: DecodePool, small: Path) -> None:
    first = pid_of(pool)
    os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    assert len(load(small).frames) == 40
    assert pid_of(pool) != first


@pytest.mark.parametrize("limits", [Limits(total=0.3), Limits(stall=0.001)])
def test_a_decoder_that_hangs_is_ended(
    monkeypatch: pytest.MonkeyPatch, slow: Path, small: Path, limits: Limits
) -> None:
    for _ in pool_of(monkeypatch, limits):
        start = time.monotonic()
        with pytest.raises(BadSample, match=r"slow.ts: decoding it hung for .* seconds"):
            load(slow)
        assert time.monotonic() - start < 5
    for _ in pool_of(monkeypatch, Limits()):
        assert len(load(small).frames) == 40


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    large = write_video(tmp_path / "large.avi", np.zeros((3, 4000, 6000, 3), np.uint8), 5, "mpeg4")
    for _ in pool_of(monkeypatch, Limits(memory=320 * 2**20)):
        with pytest.raises(BadSample, match=r"memory|cannot be decoded"):
            load(large)
    for _ in pool_of(monkeypatch, Limits()):
        assert len(load_video(large, ALL, PixelBudget(factor=16, min_pixels=16, max_pixels=256)).frames) == 2


def test_a_bad_video_leaves_the_worker_alive(pool: DecodePool, tmp_path: Path) -> None:
    first = pid_of(pool)
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(BadSample, match="not a readable video"):
        load(tmp_path / "bad.mp4")
    assert pid_of(pool) == first


def test_a_worker_whose_replies_were_not_read_is_ended(pool: DecodePool, small: Path) -> None:
    with pytest.raises(KeyboardInterrupt), pool.worker() as worker:
        worker.send({"open": str(small), "in_order": False, "threads": 1})
        raise KeyboardInterrupt
    assert len(load(small).frames) == 40


def test_threads_share_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cases = [Case("mp4", codec) for codec in ("libx264", "mpeg4", "mjpeg")] + [Case("ts", "mpeg2video")]
    paths = [write_case(case, tmp_path) for case in cases] * 8
    for pool in pool_of(monkeypatch, Limits(), size=2):
        with ThreadPoolExecutor(5) as threads:
            clips = list(threads.map(load, paths))
        assert all(np.array_equal(clip.frames, load(path).frames) for clip, path in zip(clips, paths, strict=True))
        pids = set()
        with pool.worker() as one, pool.worker() as two:
            pids = {one.pid, two.pid}
        assert len(pids) == 2


def test_a_worker_is_light_and_ends_with_its_parent() -> None:
    """It imports no torch, and does not outlive a parent that is killed."""
    code = (
        "import os, time; from uniopd_mm.processors.decode_pool import Limits, Worker; worker = Worker(Limits());"
        "worker.send({'open': 'missing', 'in_order': False, 'threads': 1}); worker.receive();"
        "maps = open(f'/proc/{worker.pid}/maps').read(); print(worker.pid, 'torch' in maps, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, has_torch = parent.stdout.readline().split()
    parent.kill()
    parent.communicate()
    assert has_torch == "False"
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError("the worker lives on")


def test_a_forked_process_has_workers_of_its_own() -> None:
    """And does not end its parent's, also when it runs the functions that are registered for the exit."""
    code = (
        "import os, sys; from uniopd_mm.processors.decode_pool import decode_pool\n"
        "with decode_pool().worker() as worker: mine = worker.pid\n"
        "child = os.fork()\n"
        "with decode_pool().worker() as worker: own = worker.pid\n"
        "if child == 0: sys.exit(own == mine)\n"
        "print(os.waitpid(child, 0)[1], own == mine and worker.is_alive())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]
