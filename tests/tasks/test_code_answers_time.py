"""The time that all tests of one response have together."""

import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import final

import pytest

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.limits import Limits, Run, Status
from uniopd_mm.tasks.sandbox.local import LocalSandbox

FIVE = CodeProblem(mode=Mode.STDIN, tests=(("", "7"),) * 5)
BUSY = "```python\nimport time\nwhile time.process_time() < 0.4: pass\nprint(7)\n```"
ASLEEP = "```python\nimport time\ntime.sleep(0.5)\nprint(7)\n```"


@final
class Sevens:
    """A sandbox whose programs all print 7, after 0.4 seconds of CPU time."""

    level = "none"

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        for _ in inputs:
            yield Run(status=Status.OK, exit_code=0, stdout="7\n", stderr="", seconds=0.4)


@final
class Slow:
    """A sandbox in which a program takes 0.1 seconds, but no time of its own."""

    level = "none"

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        for _ in inputs:
            time.sleep(0.1)
            yield Run(status=Status.OK, exit_code=0, stdout="7\n", stderr="")


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return LocalSandbox(packages=())


def test_a_program_that_computes_beyond_it_is_wrong(sandbox: LocalSandbox) -> None:
    outcome = grade_code(BUSY, FIVE, sandbox, total_seconds=0.1)
    assert (outcome.correct, outcome.reason) == (False, "time limit over all tests, after 1 of 5")


def test_the_time_of_all_tests_counts() -> None:
    assert grade_code(BUSY, FIVE, Sevens(), total_seconds=0.6).reason == "time limit over all tests, after 2 of 5"
    assert grade_code(BUSY, FIVE, Sevens(), total_seconds=2.1).reason == "all 5 tests"


def test_a_program_that_sleeps_beyond_it_is_wrong(sandbox: LocalSandbox) -> None:
    outcome = grade_code(ASLEEP.replace("0.5", "1.5"), FIVE, sandbox, total_seconds=0.4)
    assert (outcome.correct, outcome.reason) == (False, "time limit over all tests, after 1 of 5")


def test_wall_time_alone_is_unknown() -> None:
    """What neither computed nor slept waited for a processor."""
    outcome = grade_code(BUSY, FIVE, Slow(), total_seconds=0.005)
    assert (outcome.correct, outcome.reason) == (None, "no time left for all tests, after 1 of 5")


def test_the_last_test_may_pass_the_limit(sandbox: LocalSandbox) -> None:
    one = CodeProblem(mode=Mode.STDIN, tests=(("", "7"),))
    assert grade_code(BUSY, one, sandbox, total_seconds=0.1).reason == "all 1 tests"


def test_a_failed_test_is_named_rather_than_the_time(sandbox: LocalSandbox) -> None:
    problem = CodeProblem(mode=Mode.STDIN, tests=(("", "8"), ("", "7")))
    assert "wrong output" in grade_code(BUSY, problem, sandbox, total_seconds=0.1).reason


def test_waiting_for_a_core_does_not_count() -> None:
    """The last of four has waited for three seconds, and had two."""
    sandbox = LocalSandbox(packages=(), max_running=1)
    problem = CodeProblem(mode=Mode.STDIN, tests=(("", "7"), ("", "7")))
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(grade_code, ASLEEP, problem, sandbox, total_seconds=1.0) for _ in range(4)]
    assert [one.result().reason for one in asked] == ["all 2 tests"] * 4
