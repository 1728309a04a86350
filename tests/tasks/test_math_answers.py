"""Mathematical answers against verdicts set by hand, however the response gives them, and over random numbers."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from math_cases import RIGHT
from math_near_misses import UNKNOWN, WRONG

from uniopd_mm.tasks.grading.math_answers import grade_math

CASES = [
    *((answer, reference, True) for answer, reference in RIGHT),
    *((answer, reference, False) for answer, reference in WRONG),
    *((answer, reference, None) for answer, reference in UNKNOWN),
]


@pytest.mark.parametrize(("answer", "reference", "expected"), CASES)
def test_verdict(answer: str, reference: str | None, expected: bool | None) -> None:
    outcome = grade_math(rf"So it is \boxed{{{answer}}}.", reference)
    assert outcome.correct is expected, outcome.reason
    assert outcome.reward == (1.0 if expected else 0.0)
    assert outcome.reason


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 300
    assert len({case[:2] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (r"\boxed{5}", True),
        (r"<think>\boxed{6}</think> \boxed{5}", True),
        (r"<think>\boxed{5}</think> \boxed{6}", False),
        (r"<think>\boxed{5}</think>", False),
        (r"\boxed{6}, no: \boxed{5}", True),
        (r"\boxed{5}, no: \boxed{6}", False),
        (r"\boxed{5} and \boxed{6}", False),
        (r"\boxed{5}\boxed{", True),
        ("<answer>5</answer>", True),
        ("The answer is 5.", True),
        ("The answer is $x = 5$.", True),
        ("The answer is 5 cm. It was short.", True),
        ("The final answer is: **5**", True),
        ("The answer is 5 or 6.", False),
        ("5", True),
        ("We add 2 and 3.\n$5$", True),
        ("We add 2 and 3.\n6", False),
        ("The sum of 2 and 3 is 5, I think, or 6", False),
        ("", False),
        ("  \n", False),
        (r"\boxed{}", False),
    ],
)
def test_final_answer_of_a_response(response: str, expected: bool) -> None:
    assert grade_math(response, "5").correct is expected


@st.composite
def spellings(draw: st.DrawFn, value: Fraction) -> str:
    """One of many ways of writing a rational number."""
    factor = draw(st.integers(1, 40))
    top, bottom = value.numerator * factor, value.denominator * factor
    sign, size = ("-" if top < 0 else ""), abs(top)
    ways = [f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}", rf"{sign}\dfrac{{{size}}}{{{bottom}}}"]
    ways.append(rf"${sign}\frac{{{size}}}{{{bottom}}}$")
    ways.append(rf"x = {top}/{bottom}")
    if size > bottom and size % bottom:
        ways.append(rf"{sign}{size // bottom}\frac{{{size % bottom}}}{{{bottom}}}")
    if value.denominator == 1:
        ways += [
            f"{value.numerator}",
            f"{value.numerator:,}",
            f"{value.numerator}.00",
            rf"{value.numerator}\text{{ m}}",
        ]
    if 10**6 % value.denominator == 0:
        scaled = value * 10**6
        ways.append(f"{sign}{abs(scaled.numerator) // 10**6}.{abs(scaled.numerator) % 10**6:06d}")
        ways.append(rf"{scaled.numerator} \times 10^{{-6}}")
    return draw(st.sampled_from(ways))


@given(data=st.data(), value=st.fractions(-(10**6), 10**6, max_denominator=1000))
@settings(deadline=None, max_examples=300)
def test_any_two_spellings_of_a_number_agree(data: st.DataObject, value: Fraction) -> None:
    answer, reference = data.draw(spellings(value)), data.draw(spellings(value))
    outcome = grade_math(rf"\boxed{{{answer}}}", reference)
    assert outcome.correct is True, outcome.reason


@given(
    data=st.data(), value=st.fractions(-(10**6), 10**6, max_denominator=1000), change=st.sampled_from([1, -1, 0.001])
)
@settings(deadline=None, max_examples=300)
def test_another_number_is_never_right(data: st.DataObject, value: Fraction, change: float) -> None:
    answer, reference = data.draw(spellings(value + Fraction(str(change)))), data.draw(spellings(value))
    outcome = grade_math(rf"\boxed{{{answer}}}", reference)
    assert outcome.correct is False, outcome.reason


@given(st.text(max_size=60), st.text(max_size=30))
@settings(deadline=None, max_examples=60)
def test_no_text_breaks_it(response: str, reference: str) -> None:
    assert grade_math(response, reference).reason
