"""How fast videos are decoded by one worker process, and by several.

    python benchmarks/videos.py

Clips are made with PyAV and read as a processor reads them: 2 frames per second, at most 768 visual tokens a frame.
Each worker decodes with one thread.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "processors")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from processor_parts import moving_square, write_video  # noqa: E402

from uniopd_mm.processors import decode_pool, readers  # noqa: E402
from uniopd_mm.processors.budget import PixelBudget  # noqa: E402
from uniopd_mm.processors.sampling import FrameSampling  # noqa: E402
from uniopd_mm.processors.video import load_video  # noqa: E402

BUDGET = PixelBudget(factor=32, min_pixels=32 * 32, max_pixels=768 * 32 * 32)
CLIPS = {"demo": (64, 64, 16, 8, 400), "360p": (360, 640, 600, 30, 8), "1080p": (1080, 1920, 240, 30, 4)}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    torch.set_num_threads(1)
    num_cpus = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        for name, (height, width, num_frames, fps, num_videos) in CLIPS.items():
            path = write_video(Path(folder) / f"{name}.mp4", noisy(num_frames, height, width), fps)
            one = seconds(path, num_videos, 1)
            all_ = seconds(path, num_videos, num_cpus)
            print(
                f"{name}: {one * 1e3:.1f} ms a clip with 1 worker, {all_ * 1e3:.1f} with {num_cpus}: {one / all_:.2f} x"
            )


def noisy(num_frames: int, height: int, width: int) -> np.ndarray:
    frames = moving_square(num_frames, height, width)
    return frames + np.random.default_rng(0).integers(0, 12, (1, height, width, 1), np.uint8)


def seconds(path: Path, num_videos: int, num_workers: int) -> float:
    """Of one clip, by the clock."""
    decode_pool.MAX_THREADS = 1
    pool = decode_pool.DecodePool(decode_pool.Limits(), num_workers)
    readers.decode_pool = lambda: pool  # type: ignore[assignment]

    def read(_: int) -> None:
        load_video(path, FrameSampling(), BUDGET)

    with ThreadPoolExecutor(num_workers) as threads:
        list(threads.map(read, range(2 * num_workers)))  # starts the workers
        start = time.perf_counter()
        list(threads.map(read, range(num_videos)))
        taken = time.perf_counter() - start
    pool.end()
    return taken / num_videos


if __name__ == "__main__":
    main()
