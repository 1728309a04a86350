"""Answers that are made to hang, exhaust or confuse: they end in time, and the next answer is graded as ever.

Time in the worker processes is bounded by the limits that they are given; our own is measured on the CPU.
"""

import time

import pytest

from uniopd_mm.tasks.grading import math_answers
from uniopd_mm.tasks.grading.math_answers import LONGEST_ANSWER, grade_math
from uniopd_mm.tasks.grading.math_pool import Verdict, WorkerPool

pytestmark = pytest.mark.timeout(120)

SECONDS = 1.0
SLOWEST = r"\int_0^1 1 dx + \sum_{k=1}^{10^{12}} \sin(k^2)"
ENDLESS = [
    r"10^{10^{10}}",
    r"9^{9^{9^{9}}}",
    r"(10^{10})!",
    r"1000000000!",
    r"\binom{10^{9}}{10^{8}}",
    SLOWEST,
    r"\prod_{k=1}^{10^{9}} k",
    r"\sum_{k=1}^{10^{12}} \sin(k^2)",
    r"(a+b+c+d+e+f)^{60}",
    r"\sqrt{" * 30 + "2" + "}" * 30,
    r"2^{" * 30 + "2" + "}" * 30,
    "+".join(f"x_{{{index}}}^{{{index}}}" for index in range(90)),
    "(1+x)" * 200,
    "x=" * 900,
    r"10^{999999999}",
    "-" * 1000 + "5",
    "1+" * 900 + "1",
    "5!" + "!" * 200,
    r"\frac{1}{1+" * 30 + "1" + "}" * 30,
]
WRONG_BY_RULE = [
    "5" * 100_000,
    "{" * 50_000 + "5" + "}" * 50_000,
    "(" * 300 + "5" + ")" * 300,
    "(" * 900 + "1",
    "1, " * 600,
    "1 or " * 300 + "1",
    r"\text{" * 200 + "5" + "}" * 200,
    "=" * 1900,
    "9" * 1900,
    "1e999999999",
    "0." + "3" * 1900 + "4",
    "\\" * 1999,
    "\ud800",
    "%" * 1999,
    "$" * 1998,
    "_" * 1999,
    r"\pm" * 600,
    " " * 1000 + "6" + " " * 900,
    "{,}" * 600,
]


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each comparison in a worker was given."""
    grade_math(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")  # a worker is there
    given: list[float] = []
    compare = WorkerPool.compare

    def noted(pool: WorkerPool, reference: str, answer: str, seconds: float) -> tuple[Verdict, float]:
        given.append(seconds)
        return compare(pool, reference, answer, seconds)

    monkeypatch.setattr(WorkerPool, "compare", noted)
    return given


def graded(answer: str, reference: str, seconds: float = 60) -> tuple[bool | None, str]:
    began = time.process_time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(math_answers, "TIME_LIMIT", seconds)
        outcome = grade_math(rf"\boxed{{{answer}}}", reference)
    assert time.process_time() - began < 5  # usually 0.01 s
    return outcome.correct, outcome.reason


def share_one(limits: list[float]) -> bool:
    """Whether each comparison had what the ones before it left of `SECONDS`."""
    return limits == sorted(set(limits), reverse=True) and all(limit <= SECONDS for limit in limits)


@pytest.mark.parametrize("answer", ENDLESS, ids=range(len(ENDLESS)))
def test_endless_answer_is_never_right_and_ends(answer: str, limits: list[float]) -> None:
    correct, reason = graded(answer, "7", SECONDS)
    assert correct is not True
    assert share_one(limits)
    if correct is None:
        assert "time" in reason or "process ended" in reason or "failed" in reason
    assert graded(r"\sqrt{50}", r"5\sqrt{2}")[0] is True


@pytest.mark.parametrize("answer", WRONG_BY_RULE, ids=range(len(WRONG_BY_RULE)))
def test_answer_that_is_none_is_wrong_after_one_comparison_at_most(answer: str, limits: list[float]) -> None:
    correct, reason = graded(answer, "5")
    assert correct is False, reason
    assert len(limits) <= 1


@pytest.mark.parametrize(
    "text", ["5" * 1_000_000, "{" * 1_000_000, r"\boxed{" * 100_000, "answer is " * 100_000, "1, " * 300_000]
)
def test_long_response_without_a_box_is_graded_quickly(text: str) -> None:
    began = time.process_time()
    assert grade_math(text, "5").correct is False
    assert time.process_time() - began < 10  # linear: under a second


def test_a_comparison_that_takes_too_long_says_so() -> None:
    correct, reason = graded(SLOWEST, "7", SECONDS)
    assert correct is None
    assert "time" in reason


def test_endless_reference_is_unknown() -> None:
    assert graded("7", SLOWEST, SECONDS)[0] is None


def test_many_endless_values_share_one_limit(limits: list[float]) -> None:
    answer = ", ".join(f"{SLOWEST} + {number}" for number in range(10))
    assert graded(answer, ", ".join(str(value) for value in range(10)), SECONDS)[0] is not True
    assert limits and share_one(limits)


def test_longest_answer() -> None:
    assert graded("5" + "0" * (LONGEST_ANSWER - 1), "5")[0] is False
    assert "2,000" in graded("5" + "0" * LONGEST_ANSWER, "5")[1]
    assert graded(" " * LONGEST_ANSWER + "5", "5")[0] is True
