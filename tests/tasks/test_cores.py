"""Graders of several ranks on one machine share its cores."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from uniopd_mm.tasks.grading.math_pool import _forget, shared_pool
from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank, quota
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import LocalSandbox

NUM_CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "own", "cores"),
    [
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "10000 100000"}, "0::/", 0.1),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "250000 100000", "cpu.max": "900000 100000"}, "0::/a/b", 2.5),
        ({"cpu.max": "150000 100000"}, "0::/system.slice/docker-1f.scope", 1.5),
        ({"unified/a/cpu.max": "50000 100000"}, "5:pids:/x\n0::/a", 0.5),
        ({"cpu/a/cpu.cfs_quota_us": "20000", "cpu/a/cpu.cfs_period_us": "10000"}, "1:cpu:/a\n0::/", 2.0),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "5", "cpu,cpuacct/cpu.cfs_period_us": "10"}, "4:cpu,cpuacct:/docker/1", 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "10000"}, "1:cpu:/", None),
        ({"cpu.max": "nonsense"}, "0::/", None),
        ({}, "", None),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, files: dict[str, str], own: str, cores: float | None) -> None:
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    own_groups = tmp_path / "self"
    own_groups.write_text(own + "\n" if own else "")
    assert quota(tmp_path / "cgroup", own_groups) == (cores or os.cpu_count())
    assert quota(tmp_path / "cgroup", tmp_path / "missing") == os.cpu_count()


def test_a_part_of_a_core_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for allowed, cores in ((0.1, 1), (NUM_CORES - 0.5, NUM_CORES), (1000.0, NUM_CORES)):
        monkeypatch.setattr("uniopd_mm.tasks.sandbox.cores.quota", lambda *_, allowed=allowed: allowed)
        assert cores_of_this_rank() == cores


@pytest.mark.parametrize(("cores", "ranks", "share"), [(8, None, 8), (8, 1, 8), (8, 3, 2), (8, 8, 1), (8, 16, 1)])
def test_each_rank_has_its_share(monkeypatch: pytest.MonkeyPatch, cores: int, ranks: int | None, share: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.setattr("uniopd_mm.tasks.sandbox.cores.quota", lambda *_: 100.0)
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
