"""The time that all tests of one response have together."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.local import LocalSandbox

FIVE = CodeProblem(mode=Mode.STDIN, tests=(("", "7"),) * 5)
BUSY = "```python\nimport time\nwhile time.process_time() < 0.4: pass\nprint(7)\n```"
ASLEEP = "```python\nimport time\ntime.sleep(0.5)\nprint(7)\n```"


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return LocalSandbox(packages=())


def test_a_program_that_computes_beyond_it_is_wrong(sandbox: LocalSandbox) -> None:
    outcome = grade_code(BUSY, FIVE, sandbox, total_seconds=0.6)
    assert (outcome.correct, outcome.reason) == (False, "time limit over all tests, after 2 of 5")


def test_a_program_that_sleeps_beyond_it_is_unknown_and_stopped(sandbox: LocalSandbox) -> None:
    began = time.monotonic()
    outcome = grade_code(ASLEEP.replace("0.5", "2"), FIVE, sandbox, total_seconds=0.9)
    assert (outcome.correct, outcome.reason) == (None, "no time left for all tests, after 1 of 5")
    assert time.monotonic() - began < 8


def test_the_last_test_may_pass_the_limit(sandbox: LocalSandbox) -> None:
    one = CodeProblem(mode=Mode.STDIN, tests=(("", "7"),))
    assert grade_code(BUSY, one, sandbox, total_seconds=0.1).reason == "all 1 tests"


def test_a_failed_test_is_named_rather_than_the_time(sandbox: LocalSandbox) -> None:
    problem = CodeProblem(mode=Mode.STDIN, tests=(("", "8"), ("", "7")))
    assert "wrong output" in grade_code(BUSY, problem, sandbox, total_seconds=0.1).reason


def test_waiting_for_a_core_does_not_count() -> None:
    """The last of six has waited for five seconds, and had two."""
    sandbox = LocalSandbox(packages=(), max_running=1)
    problem = CodeProblem(mode=Mode.STDIN, tests=(("", "7"), ("", "7")))
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(grade_code, ASLEEP, problem, sandbox, total_seconds=1.0) for _ in range(6)]
    assert [one.result().reason for one in asked] == ["all 2 tests"] * 6
