"""Graders of several ranks on one machine share its cores."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from uniopd_mm.tasks.grading.math_pool import _forget, shared_pool
from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import LocalSandbox

NUM_CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("cores", "ranks", "share"), [(8, None, 8), (8, 1, 8), (8, 3, 2), (8, 8, 1), (8, 16, 1)])
def test_each_rank_has_its_share(monkeypatch: pytest.MonkeyPatch, cores: int, ranks: int | None, share: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if ranks:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert cores_of_this_rank() == share


def test_programs_of_one_rank_run_on_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(2 * NUM_CORES))
    sandbox = LocalSandbox(packages=())
    running, most, lock = 0, 0, threading.Lock()

    def inputs() -> Iterator[str]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        yield ""
        with lock:
            running -= 1

    with ThreadPoolExecutor(4) as threads:
        sources = ["import time; time.sleep(0.1)"] * 4
        assert all(threads.map(lambda source: list(sandbox.runs(source, inputs(), Limits())), sources))
    assert most == 1


def test_workers_of_one_rank_are_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(2 * NUM_CORES))
    _forget()  # what a process does after its fork
    pool = shared_pool()
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda number: pool.compare("2", str(number), 30), range(12)))
        assert len(pool._all) == 1
    finally:
        pool.close()
        monkeypatch.undo()
        _forget()
