"""Many responses judged at once: a task may wait for programs to run or for a judge to answer."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from uniopd_mm.interfaces import Task
from uniopd_mm.types import Outcome, Sample


def grade_all(task: Task, samples: Sequence[Sample], responses: Sequence[str]) -> list[Outcome]:
    """The outcome of each response, in order. Threads suffice: what takes long runs outside of this process."""
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        return list(pool.map(task.grade, samples, responses))
