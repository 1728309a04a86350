"""Grades many responses at once, because a task may wait for programs to run or for a judge to answer."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from uniopd_mm.interfaces import Task
from uniopd_mm.types import Outcome, Sample


def grade_all(task: Task, samples: Sequence[Sample], responses: Sequence[str]) -> list[Outcome]:
    """The outcome of each response, in order. Threads suffice, because the slow work runs outside this process."""
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    pool = ThreadPoolExecutor(max_workers=max(2, 2 * (os.cpu_count() or 1) // local_world_size))
    try:
        return list(pool.map(task.grade, samples, responses))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for queued work
