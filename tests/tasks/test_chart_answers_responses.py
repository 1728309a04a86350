r"""Relaxed accuracy of whole responses: where the answer stands in them, hedges, and hostile texts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.chart_answers import grade_relaxed, relaxed_correct

RIGHT: list[tuple[str, str]] = [
    (r"\boxed{45}", "45"), (r"\boxed{45\%}", "45"), (r"\boxed{\text{Blue line}}", "blue line"),
    (r"\boxed{\$45}", "45"),
    (r"$\boxed{47}$", "45"), (r"\boxed{1{,}234}", "1234"), (r"\boxed{12 \text{ million}}", "12 million"),
    (r"\boxed{45\text{ kg}}", "45"), (r"\boxed{[1, 2]}", "[1, 2]"), (r"\boxed{1}? No: \boxed{45}", "45"),
    ("**45**", "45"),
    ("<answer>45</answer>", "45"), ("<answer>46%</answer>", "45%"), ("The answer is 45.", "45"), ("Answer: $45", "45"),
    ("The answer is 45.5.", "45.5"), ("The answer is 45 because the bar ends there.", "45"), ("**Answer:** 45%", "45"),
    ("<think>60?</think>45", "45"), ("The bar ends there.\n45", "45"), ("The final answer is 2019.", "2019"),
    ("The answer is 12 million people.", "12000000"), ("Answer: Blue, Red", "[blue, red]"), ("45", r"\boxed{45}"),
    ("The answer is: **12,345**", "12345"), ("`45`", "45"), ("Yes.", "Yes"), ("$45$", "45"), (r"\(45\)", "45"),
    ("the Answer is Yes, definitely", "yes, definitely"), ("The answer is red. Blue is lower.", "red"),
]  # fmt: skip

WRONG: list[tuple[str, str]] = [
    (r"\boxed{48}", "45"), (r"\boxed{45 or 60}", "45"), (r"\boxed{45, 60}", "45"), (r"\boxed{45} \boxed{60}", "45"),
    ("45 or 60", "45"), ("either 45 or 60", "45"), ("The answer is 45 or 60", "45"), ("The answer is 45 and 60", "45"),
    ("red or blue", "red"), (r"\boxed{red or blue}", "red"), ("red/blue", "red"), ("The answer is not 45", "45"),
    ("between 40 and 50", "45"), ("40-50", "45"), ("45\n60", "45"), ("", "45"), (" \n", "45"), ("45</think>", "45"),
    (r"\boxed{}", "45"), (r"\boxed{45", "45"), ("<answer>45", "45"), ("The bar of 45 is the highest", "45"),
    ("2020", "2019"), (r"\boxed{2018}", "2019"), ("The answer is 2020.", "2019"), ("I cannot tell", "45"), ("?", "45"),
    ("None", "0"), ("45 < x < 60", "45"), ("\x00", "45"), ("\ud800", "45"), ("٤٥", "45 kg"), ("4\u200b5", "45"),
]  # fmt: skip


@pytest.mark.parametrize(("response", "reference"), RIGHT)
def test_right(response: str, reference: str) -> None:
    outcome = grade_relaxed(response, reference)
    assert (outcome.correct, outcome.reward) == (True, 1.0), outcome.reason


@pytest.mark.parametrize(("response", "reference"), WRONG)
def test_wrong(response: str, reference: str) -> None:
    outcome = grade_relaxed(response, reference)
    assert (outcome.correct, outcome.reward) == (False, 0.0), outcome.reason
    assert outcome.reason


@pytest.mark.parametrize("reference", [None, "", "  ", "\n"])
def test_a_reference_that_says_nothing_is_unknown(reference: str | None) -> None:
    outcome = grade_relaxed("45", reference)
    assert (outcome.correct, outcome.reward) == (None, 0.0)
    assert "reference" in outcome.reason


HOSTILE = {
    "digits": "9" * 500_000,
    "thousands": "1" + ",000" * 100_000,
    "spaced thousands": "1" + " 000" * 100_000,
    "decimals": "1." * 200_000,
    "signs": "-" * 500_000 + "5",
    "percents": "5" + "%" * 500_000,
    "lists": "5, " * 100_000,
    "brackets": "[" * 500_000,
    "nested": "[" * 200_000 + "5" + "]" * 200_000,
    "and": "5 and " * 80_000,
    "lines": "5\n" * 200_000 + "6",
    "blanks": "5" + " " * 500_000 + "x",
    "boxes": r"\boxed{" * 100_000,
    "styles": r"\text{" * 100_000,
    "dollars": "$" * 500_000,
    "braces": "{" * 250_000 + "}" * 250_000,
    "ampersands": "&" * 300_000,
    "right to left": "\u202e" * 300_000,
    "exponents": "1e99" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("reference", ["45", "[1, 2]", "blue line"])
def test_hostile_responses_take_linear_time(name: str, reference: str) -> None:
    start = time.process_time()
    outcome = grade_relaxed(HOSTILE[name], reference)
    assert time.process_time() - start < 15  # linear: one or two seconds
    assert outcome.correct is False
    assert len(outcome.reason) < 1000


PIECES = [
    "45",
    "2019",
    "%",
    "$",
    "-",
    ",",
    ".",
    " ",
    "million",
    "kg",
    "[",
    "]",
    " and ",
    "e9",
    "\n",
    "0",
    "\\boxed{",
    "}",
]
ANY_TEXT = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(ANY_TEXT, st.none() | ANY_TEXT)
def test_grading_never_raises(response: str, reference: str | None) -> None:
    outcome = grade_relaxed(response, reference)
    assert outcome.reward == (1.0 if outcome.correct else 0.0)
    assert "\n" not in outcome.reason
    outcome.reason.encode("utf-8")


@given(ANY_TEXT)
def test_every_text_is_itself(text: str) -> None:
    assert relaxed_correct(text, text) is True
