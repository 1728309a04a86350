r"""The final answer of a response, and when two texts are the same answer. Verdicts in the tables were set by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.answers import Form, final_answer, grade_open, last_boxed, last_tagged, normalise

RIGHT = [
    # form of the answer
    (r"\boxed{left}", "left"),
    (r"\boxed{Left}", "left"),
    (r"\boxed{ left }", "left"),
    (r"\boxed{left}.", "left"),
    (r"\boxed {left}", "left"),
    (r"$\boxed{left}$", "left"),
    (r"\[\boxed{left}\]", "left"),
    (r"\boxed{\text{left}}", "left"),
    (r"\boxed{\textbf{left}}", "left"),
    (r"\boxed{$\mathrm{left}$}", "left"),
    (r"\fbox{left}", "left"),
    (r"It starts right. \boxed{left}", "left"),
    (r"\boxed{right}? No: \boxed{left}", "left"),
    (r"\boxed{left} as asked in \boxed{}", "left"),
    (r"{ \boxed{left}", "left"),
    (r"} \boxed{left} }", "left"),
    (r"\{ \boxed{left} \}", "left"),
    (r"\boxed{right \boxed{left}}", "left"),
    (r"\boxed{The answer is left}", "left"),
    (r"<answer>\boxed{left}</answer>", "left"),
    (r"<answer>right</answer> \boxed{left}", "left"),
    ("<answer>left</answer>", "left"),
    ("<ANSWER> Left </ANSWER>", "left"),
    ("<answer>right</answer><answer>left</answer>", "left"),
    ("<answer>left</answer><answer></answer>", "left"),
    ("<answer>left</answer> <answer>ri", "left"),
    ("<answer><answer>left</answer>", "left"),
    ("<answer>The answer is left.</answer>", "left"),
    ("The answer is left", "left"),
    ("The answer is left.", "left"),
    ("The answer is: left", "left"),
    ("The final answer is **left**.", "left"),
    ("**Answer:** left", "left"),
    ("**Answer**: left", "left"),
    ("Answer:\nleft", "left"),
    ("ANSWER = left", "left"),
    ("The answer is left. It started on the right.", "left"),
    ("The answer is left because it moves so.", "left"),
    ("The answer is left, since it moves so.", "left"),
    ("The answer is right. Wait, the answer is left.", "left"),
    ("The answer would be left", "left"),
    ("My choice is left", "left"),
    ("The answer is St. Louis", "St. Louis"),
    ("left", "left"),
    ("Left.", "left"),
    ("  left\n", "left"),
    ('"left"', "left"),
    ("`left`", "left"),
    ("**left**", "left"),
    ("I watch the square.\nleft", "left"),
    ("<think>right</think>left", "left"),
    (r"<think>\boxed{right}</think>\boxed{left}", "left"),
    (r"so \boxed{right}</think> \boxed{left}", "left"),
    # case, articles, punctuation
    ("The red car", "red car"),
    ("a red car", "the red car"),
    ("red-orange", "red orange"),
    ("don't know", "dont know"),
    ("U.S.", "US"),
    ("vitamin A", "Vitamin A"),
    ("A", "a"),
    ("red, blue", "red blue"),
    ("red\tcar", "red car"),
    ("STRASSE", "straße"),
    ("ｌｅｆｔ", "left"),
    ("cafe\u0301", "café"),
    ("?", "?"),
    ("+", "+"),
    ("yes", "True"),
    ("False.", "no"),
    ("salt & pepper", "salt and pepper"),
    ("C++", "c++"),
    # numbers
    ("2", "two"),
    ("Two", "2"),
    ("2.0", "2"),
    ("2.", "2"),
    ("-0.5", "-.50"),
    ("vitamin a", "vitamin A"),
    ("C#", "c#"),
    ("$5", "5"),
    ("#### 5", "5"),
    ("It is 2.\n#### left", "left"),
    (r"\boxed{}. The answer is left.", "left"),
    (r"\boxed{right} at first, but then \boxed{left}", "left"),
    (r"\boxed{right}. So the final answer is \boxed{left}.", "left"),
    (r"The answer is \boxed{left}, not \boxed{right}.", "left"),
    ("The answer is left, as required.", "left"),
    ("The answer is left, when the clip ends.", "left"),
    ("The answer is left. I hope the answer is clear.", "left"),
    ("<thinking>right</thinking>left", "left"),
    ("[THINK]right[/THINK]left", "left"),
    ("<|channel|>analysis<|message|>right<|end|><|start|>assistant<|channel|>final<|message|>left", "left"),
    ("left\n\nHuman: and then?\nAssistant: right", "left"),
    ("left<|im_end|>\n<|im_start|>user\nright", "left<|im_end|>"),
    (r"\boxed{2}", "2.00"),
    ("twenty-one", "21"),
    ("Twenty one", "21"),
    ("ninety", "90"),
    ("zero", "0"),
    ("1,000", "1000"),
    ("1,234,567.50", "1234567.5"),
    ("1e3", "1000"),
    (".5", "0.5"),
    ("1/2", "0.5"),
    (r"\boxed{\frac{1}{2}}", "0.5"),
    (r"\boxed{\dfrac{3}{4}}", "0.75"),
    ("½", "0.5"),
    ("-3", "−3"),
    ("+3", "3"),
    ("-0", "0"),
    ("$3$", "3"),
    ("50%", "50 percent"),
    ("50 %", r"50\%"),
    ("two cars", "2 cars"),
    ("three red cars and 2 bikes", "3 red cars and two bikes"),
    ("10:30", "10:30"),
    ("9" * 5000, "9" * 5000),
    # references with a form of their own
    ("left", r"\boxed{left}"),
    ("2", r"so it is \boxed{2}"),
]

WRONG = [
    ("", "left", "empty response"),
    (" \n\t", "left", "empty response"),
    ("left</think>", "left", "empty response"),
    ("right", "left", "'right' is not 'left'"),
    (r"\boxed{right}", "left", "boxed: 'right'"),
    (r"\boxed{left} no, \boxed{right}", "left", "boxed: 'right'"),
    (r"\boxed{left}, \boxed{right}", "left", "boxed: 'left, right'"),
    (r"\boxed{left}. Wait, that is wrong. So the answer is right.", "left", "stated: 'right.'"),
    ("<think>left", "left", "its thoughts do not end"),
    ("<thinking>It is left. \\boxed{left}", "left", "its thoughts do not end"),
    ("<|channel|>analysis<|message|>left", "left", "its thoughts do not end"),
    ("02", "2", "plain"),
    ("7", "007", "plain"),
    ("6/8", "3/4", "plain"),
    ("200000", "2E5", "plain"),
    ("C", "C#", "plain"),
    ("€5", "$5", "plain"),
    ("hepatitis", "hepatitis A", "plain"),
    ("hepatitis virus", "hepatitis A virus", "plain"),
    (r"\boxed{}", "left", "plain"),
    (r"\boxed{left", "left", "plain"),
    ("<answer>left", "left", "plain"),
    ("left</answer>", "left", "plain"),
    (r"\boxed{left or right}", "left", "boxed"),
    (r"\boxed{not left}", "left", "boxed"),
    (r"left \boxed{right}", "left", "boxed"),
    (r"\boxed{left}</think>right", "left", "plain"),
    ("<answer>right</answer> left", "left", "tagged"),
    ("The answer is not left", "left", "stated"),
    ("The answer isn't left", "left", "plain"),
    ("The answer is left or right", "left", "stated"),
    ("The answer is left. No, the answer is right", "left", "stated"),
    ("The answer is", "left", "plain"),
    ("left\nright", "left", "plain"),
    ("It is not left", "left", "plain"),
    ("The square moves left and then right", "left", "plain"),
    ("leftover", "left", "plain"),
    ("lef", "left", "plain"),
    ("left left", "left", "plain"),
    ("red", "red car", "plain"),
    ("red car", "red", "plain"),
    ("vitamin A", "vitamin", "plain"),
    ("2", "3", "plain"),
    ("12", "2", "plain"),
    ("2", "12", "plain"),
    ("-3", "3", "plain"),
    ("3", "-3", "plain"),
    ("1,5", "15", "plain"),
    ("1,5", "1.5", "plain"),
    ("1.5", "15", "plain"),
    ("3.5", "35", "plain"),
    ("1,0000", "10000", "plain"),
    ("2 3", "23", "plain"),
    ("10²", "102", "plain"),
    ("1½", "5.5", "plain"),
    ("50%", "50", "plain"),
    ("50%", "0.5", "plain"),
    ("1/0", "1", "plain"),
    ("3-4", "3", "plain"),
    ("2 cars", "2", "plain"),
    ("twenty", "2", "plain"),
    ("twenty two", "202", "plain"),
    ("2.0000001", "2", "plain"),
    ("0.333", "1/3", "plain"),
    ("1e99", "1", "plain"),
    ("1e999999999", "1", "plain"),
    ("a", "the", "plain"),
    ("?", "!", "plain"),
    ("...", "left", "plain"),
    ("\x00", "left", "plain"),
    ("\ud800", "left", "plain"),
]


@pytest.mark.parametrize(("response", "reference"), RIGHT)
def test_right(response: str, reference: str) -> None:
    outcome = grade_open(response, reference)
    assert (outcome.correct, outcome.reward) == (True, 1.0), outcome.reason


@pytest.mark.parametrize(("response", "reference", "reason"), WRONG)
def test_wrong(response: str, reference: str, reason: str) -> None:
    outcome = grade_open(response, reference)
    assert (outcome.correct, outcome.reward) == (False, 0.0), outcome.reason
    assert reason in outcome.reason


DOUBTFUL = [
    "I don't think the answer is {}.",
    "It is unlikely that the answer is {}.",
    "People may think the answer is {}.",
    "The answer could be {}.",
    "The answer is {}, but it could also be up.",
    "The answer is {}, or maybe up.",
    "The answer is {}? Hard to say.",
    "The answer is {}, which is wrong.",
    "The answer is {}. Wait, actually it is up.",
    "The answer is {}. No, it is up.",
    "The answer is {}. Sorry, I made a mistake.",
    "If it were dark, the answer would be {}.",
    r"\boxed{{{}}}. Wait, that is wrong.",
    r"It is not \boxed{{{}}}.",
    r"One car goes \boxed{{up}} there. The other goes \boxed{{{}}} here.",
    r"\boxed{{{}}} and then \boxed{{u",
    "**Answer: up**\n\nCheck: $\\boxed{{{}}}$",
]


@pytest.mark.parametrize("answer", ["left", "12", "B"])
@pytest.mark.parametrize("response", DOUBTFUL)
def test_what_is_denied_hedged_or_taken_back_is_unknown(response: str, answer: str) -> None:
    for reference in (answer, "up", "down"):
        outcome = grade_open(response.format(answer), reference)
        assert outcome.correct is None, outcome.reason


def test_zeros_at_the_end_of_a_decimal_may_matter() -> None:
    assert grade_open("3.1", "3.10").correct is None
    assert grade_open("2.0", "2").correct


@pytest.mark.parametrize("reference", [None, "", "  ", "\n"])
@pytest.mark.parametrize("response", ["left", "", "None"])
def test_a_reference_that_says_nothing_is_unknown(response: str, reference: str | None) -> None:
    outcome = grade_open(response, reference)
    assert (outcome.correct, outcome.reward) == (None, 0.0)
    assert "reference" in outcome.reason


@pytest.mark.parametrize(
    ("response", "form"),
    [(r"\boxed{B}", Form.BOXED), ("<answer>B</answer>", Form.TAGGED), ("answer: B", Form.STATED), ("B", Form.PLAIN)],
)
def test_the_form_is_reported(response: str, form: Form) -> None:
    final = final_answer(response)
    assert final is not None
    assert (final.form, final.readings) == (form, ("B",))


def test_boxes_and_tags_that_hold_nothing_are_no_answer() -> None:
    assert last_boxed(r"\boxed{} \boxed{ } \boxed") is None
    assert last_boxed(r"\boxed{{}}") == "{}"
    assert last_tagged("<answer></answer></answer><answer>") is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_a_number_is_itself_however_it_is_written(number: object) -> None:
    written = [f"{number:f}", f"{number:,f}", f"{number:f}000", str(Fraction(str(number)))]
    assert len({normalise(text) for text in written}) == 1


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_different_numbers_differ(left: int, right: int) -> None:
    assert (normalise(f"{left:,}") == normalise(str(right))) is (left == right)
