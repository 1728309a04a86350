"""The worker processes: from several threads, after a fork, in daemonic children, killed, and gone at the end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.tasks.grading.math_pool import TimeUp, Verdict, Worker, WorkerLost, WorkerPool

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = r"\int_0^1 1 dx + \sum_{k=1}^{10^{12}} \sin(k^2)"
QUESTION = (r"\boxed{\sqrt{%d}}", r"\frac{\sqrt{%d}}{2}")  # equal for n and 4n


def grade_one(number: int) -> bool | None:
    return grade_math(QUESTION[0] % number, QUESTION[1] % (4 * number)).correct


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def gone(pid: int, seconds: float = 300) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_several_threads_get_their_own_verdicts() -> None:
    def one(number: int) -> bool | None:
        return grade_math(QUESTION[0] % number, QUESTION[1] % (4 * number + number % 2)).correct

    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(one, range(2, 102)))
    assert verdicts == [number % 2 == 0 for number in range(2, 102)]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_daemonic_child_process(method: str) -> None:
    assert grade_one(3) is True
    with multiprocessing.get_context(method).Pool(2) as pool:  # its processes are daemonic
        assert pool.map(grade_one, range(2, 8)) == [True] * 6
    assert grade_one(5) is True


def test_forked_child_while_another_thread_compares() -> None:
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(lambda: [grade_one(number) for number in range(2, 60)])
        pid = os.fork()
        if not pid:
            os._exit(0 if grade_one(7) is True else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert busy.result() == [True] * 58


def test_worker_over_its_time_is_ended_and_replaced() -> None:
    pool = WorkerPool(1)
    with pytest.raises(TimeUp):
        pool.compare("5", ENDLESS, 0.5)
    assert pool.compare(r"\sqrt{8}", r"2\sqrt{2}", 30)[0] is Verdict.EQUAL
    assert pool.compare(r"\sqrt{8}", r"2\sqrt{3}", 30)[0] is Verdict.DIFFERENT
    assert pool.compare("{", "5", 30)[0] is Verdict.BAD_REFERENCE
    assert pool.compare("5", "{", 30)[0] is Verdict.BAD_ANSWER
    pool.close()
    with pytest.raises(WorkerLost):
        pool.compare("5", "5", 30)


def test_waiting_for_a_worker_is_no_time_of_the_comparison() -> None:
    pool = WorkerPool(1)
    pool.compare("2", "2", 30)
    with ThreadPoolExecutor(1) as threads:
        with pool._free:
            waiting = threads.submit(pool.compare, r"\sqrt{8}", r"2\sqrt{2}", 30)
            time.sleep(0.5)
            freed = time.monotonic()
        seconds = waiting.result()[1]
        assert seconds <= time.monotonic() - freed
    pool.close()


def test_worker_that_dies_is_an_error_and_not_a_verdict() -> None:
    worker = Worker()
    assert worker.compare("2", "2", 30)[0] is Verdict.EQUAL
    os.kill(worker._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        worker.compare("2", "2", 30)
    worker.end()


def test_closing_ends_the_processes() -> None:
    worker = Worker()
    assert worker.compare("2", "2", 30)[0] is Verdict.EQUAL
    pid = worker._process.pid
    assert Path(f"/proc/{pid}").exists()
    worker.end()
    assert gone(pid)


SCRIPT = r"""
import sys, time
from uniopd_mm.tasks.grading.math_answers import grade_math
print(grade_math(r"\boxed{\sqrt{8}}", r"2\sqrt{2}").correct, flush=True)
if sys.argv[1] == "stay":
    grade_math(r"\boxed{\int_0^1 1 dx + \sum_{k=1}^{10^{12}} \sin(k^2)}", "7")
    time.sleep(60)
"""  # unguarded by `if __name__`: a start method that imports the main module again would run it again


def script(argument: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, argument], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_no_process_is_left_when_ours_ends() -> None:
    process = script("go")
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    left = children_of(process.pid)
    assert process.wait(300) == 0
    assert process.stdout.read() == ""
    assert all(gone(pid) for pid in left)


def test_no_process_is_left_when_ours_is_killed_in_the_middle_of_a_comparison() -> None:
    process = script("stay")
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)
    left = children_of(process.pid)
    assert left
    process.kill()
    process.wait()
    process.stdout.close()
    assert all(gone(pid) for pid in left)
