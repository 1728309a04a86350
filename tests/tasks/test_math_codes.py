"""Times, dates, scores, codes and names of points are no numbers, and a list that goes on is not the list."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from math_verdicts import verdict

from uniopd_mm.tasks.grading.math_answers import grade_math

HOURS, MINUTES = st.integers(1, 12), st.integers(0, 59)


@given(HOURS, MINUTES, HOURS, MINUTES)
@settings(deadline=None, max_examples=150)
def test_times(hour: int, minute: int, other_hour: int, other_minute: int) -> None:
    time, other = f"{hour}:{minute:02d}", f"{other_hour}:{other_minute:02d}"
    assert verdict(f"{time} p.m.", rf"{time} \text{{ PM}}") is True
    assert verdict(f"{time} am", f"{time} pm") is False
    assert verdict(f"{hour}{{:}}{minute:02d}", time) is True
    assert verdict(f"{hour % 12 + 12}:{minute:02d}", f"{time} pm") is True
    assume(time != other)
    assert verdict(other, time) is False
    assert verdict(f"{other} am", f"{time} am") is False


@given(st.integers(1, 12), st.integers(1, 28), st.integers(1990, 2030), st.sampled_from("/-"), st.integers(2, 3))
@settings(deadline=None, max_examples=80)
def test_dates(month: int, day: int, year: int, mark: str, factor: int) -> None:
    date = f"{month}{mark}{day}{mark}{year}"
    assert verdict(date, date) is True
    assert verdict(f"{month:02d}{mark}{day:02d}{mark}{year}", date) is True
    assert verdict(f"{month * factor}{mark}{day * factor}{mark}{year}", date) is not True
    assert verdict(f"{month}{mark}{day + 1}{mark}{year}", date) is False


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
@settings(deadline=None, max_examples=150)
def test_scores_and_ranges(home: int, guest: int, other: int, another: int) -> None:
    assert verdict(f"{home}-{guest}", f"{home}-{guest}") is True
    assert verdict(f"{home}–{guest}", f"{home} - {guest}") is True
    assert verdict(str(home - guest), f"{home}-{guest}") is not True
    assume((home, guest) != (other, another))
    assert verdict(f"{other}-{another}", f"{home}-{guest}") is False


@given(st.integers(1, 30), st.integers(1, 30), st.integers(2, 9), st.integers(1, 5))
@settings(deadline=None, max_examples=100)
def test_ratios_are_quotients(first: int, second: int, factor: int, change: int) -> None:
    assert verdict(f"{first * factor}:{second * factor}", f"{first}:{second}") is not False or factor * second >= 10
    assert verdict(f"{first} to {second}", f"{first} to {second}") is True
    assert verdict(f"{first} to {second}", f"{first}:{second}") is not False
    assert verdict(f"{first * factor}:{second * factor}:{factor}", f"{first}:{second}:1") is not False
    assert verdict(f"{first}:{second + change}", f"{first}:{second}") is False
    assert verdict(f"{first}:{second}:{factor + change}", f"{first}:{second}:{factor}") is False


@pytest.mark.parametrize("code", ["007", "0110", "00", "0123", "000"])
def test_zeros_in_front_of_a_reference_count(code: str) -> None:
    assert verdict(code, code) is True
    assert verdict(code.lstrip("0") or "0", code) is None
    assert verdict("8", code) is False
    assert verdict("016", "16") is True


@given(st.text("ABCDHT", min_size=2, max_size=5), st.text("ABCDHT", min_size=2, max_size=5), st.booleans())
@settings(deadline=None, max_examples=100)
def test_capitals_are_no_product(first: str, second: str, in_text: bool) -> None:
    shape = r"\text{{{}}}" if in_text else "{}"
    assert verdict(shape.format(first), first) is True
    assume(first != second)
    assert verdict(shape.format(second), shape.format(first)) is False


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        (r"\overline{BA}", r"\overline{AB}", None),
        (r"\overline{CD}", r"\overline{AB}", False),
        (r"\vec{BA}", r"\vec{AB}", False),
        (r"\triangle ABD", r"\triangle ABC", False),
        (r"\triangle BCA", r"\triangle ABC", None),
        (r"\angle CBA", r"\angle ABC", True),
        ("C", "C_4", False),
        ("C_5", "C_4", False),
        ("1101_3", "1101_2", False),
    ],
)
def test_names(answer: str, reference: str, expected: bool | None) -> None:
    assert verdict(answer, reference) is expected


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True),
    st.sampled_from(["...", r"\dots", "…", r"\ldots"]),
)
@settings(deadline=None, max_examples=60)
def test_a_list_that_goes_on(values: list[int], dots: str) -> None:
    listed = ", ".join(map(str, values))
    assert verdict(f"{listed}, {dots}", listed) is not True
    assert verdict(listed, f"{listed}, {dots}") is not True
    assert verdict(f"{listed}, {dots}", f"{listed}, {dots}") is True


def test_digits_that_go_on() -> None:
    assert verdict("0.333...", r"\frac{1}{3}") is True
    assert verdict("0.333...", "0.333") is False
    assert verdict("0.1666...", r"\frac{1}{6}") is True
    assert verdict("3.14159...", r"\pi") is None


def test_a_dash_before_an_answer_may_be_a_bullet() -> None:
    assert grade_math("The answer is:\n- 5", "-5").correct is not True
    assert grade_math("The answer is:\n- 5", "5").correct is not False
    assert grade_math(r"\boxed{- 5}", "-5").correct is True
