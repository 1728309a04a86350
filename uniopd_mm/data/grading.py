"""Many responses judged at once: a task may wait for programs to run or for a judge to answer."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from uniopd_mm.interfaces import Task
from uniopd_mm.types import Outcome, Sample


def grade_all(task: Task, samples: Sequence[Sample], responses: Sequence[str]) -> list[Outcome]:
    """The outcome of each response, in order. Threads suffice: what takes long runs outside of this process."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # processes that share this machine
    pool = ThreadPoolExecutor(max_workers=max(2, 2 * (os.cpu_count() or 1) // here))
    try:
        return list(pool.map(task.grade, samples, responses))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a person who interrupts does not wait for what has not begun
