"""Answers that are made to hang, exhaust or confuse: they end in time, and the next answer is graded as ever."""

import time

import pytest

from uniopd_mm.tasks.grading import math_answers
from uniopd_mm.tasks.grading.math_answers import LONGEST_ANSWER, grade_math

SECONDS = 1.0
SLOWEST = r"\sum_{k=1}^{10^{12}} \sin(k^2)"
ENDLESS = [
    r"10^{10^{10}}",
    r"9^{9^{9^{9}}}",
    r"(10^{10})!",
    r"1000000000!",
    r"\binom{10^{9}}{10^{8}}",
    SLOWEST,
    r"\prod_{k=1}^{10^{9}} k",
    r"\int_0^1 e^{e^{x^x}} \sin(x^{x}) dx",
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
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    grade_math(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")  # a worker is there
    monkeypatch.setattr(math_answers, "TIME_LIMIT", SECONDS)


def timed(answer: str, reference: str) -> tuple[bool | None, str, float]:
    began = time.monotonic()
    outcome = grade_math(rf"\boxed{{{answer}}}", reference)
    return outcome.correct, outcome.reason, time.monotonic() - began


@pytest.mark.parametrize("answer", ENDLESS, ids=range(len(ENDLESS)))
def test_endless_answer_is_never_right_and_ends(answer: str) -> None:
    correct, reason, seconds = timed(answer, "7")
    assert correct is not True
    assert seconds < SECONDS + 3
    if correct is None:
        assert "time" in reason or "process ended" in reason or "failed" in reason
    assert timed(r"\sqrt{50}", r"5\sqrt{2}")[0] is True


@pytest.mark.parametrize("answer", WRONG_BY_RULE, ids=range(len(WRONG_BY_RULE)))
def test_answer_that_is_none_is_wrong_at_once(answer: str) -> None:
    correct, reason, seconds = timed(answer, "5")
    assert correct is False, reason
    assert seconds < 1


@pytest.mark.parametrize(
    "text", ["5" * 1_000_000, "{" * 1_000_000, r"\boxed{" * 100_000, "answer is " * 100_000, "1, " * 300_000]
)
def test_long_response_without_a_box_is_graded_quickly(text: str) -> None:
    began = time.monotonic()
    assert grade_math(text, "5").correct is False
    assert time.monotonic() - began < 3


def test_a_comparison_that_takes_too_long_says_so() -> None:
    correct, reason, _ = timed(SLOWEST, "7")
    assert correct is None
    assert "time" in reason


def test_endless_reference_is_unknown() -> None:
    correct, _, seconds = timed("7", SLOWEST)
    assert correct is None
    assert seconds < SECONDS + 3


def test_many_endless_values_share_one_limit() -> None:
    answer = ", ".join(f"{SLOWEST} + {number}" for number in range(10))
    correct, _, seconds = timed(answer, ", ".join(str(value) for value in range(10)))
    assert correct is not True
    assert seconds < SECONDS + 3


def test_longest_answer() -> None:
    assert timed("5" + "0" * (LONGEST_ANSWER - 1), "5")[0] is False
    assert "2,000" in timed("5" + "0" * LONGEST_ANSWER, "5")[1]
    assert timed(" " * LONGEST_ANSWER + "5", "5")[0] is True
