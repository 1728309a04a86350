r"""Which choice a response takes, and how a row's choices are read. Verdicts in the tables were set by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.choices import chosen_labels, format_choices, grade_choice, read_choices, read_label
from uniopd_mm.types import BadSample

WAYS = {"A": "left", "B": "right", "C": "up", "D": "the red car"}

TAKES = [
    # the label
    ("B", "B"), ("b", "B"), (" B ", "B"), ("(B)", "B"), ("[B]", "B"), ("B.", "B"), ("B)", "B"), ("B:", "B"),
    ("(b).", "B"), ("**B**", "B"), ("$B$", "B"), ('"B"', "B"), ("{B}", "B"), (r"\text{B}", "B"), ("`B`", "B"),
    ("Option B", "B"), ("option (B).", "B"), ("Choice B", "B"), ("Letter B", "B"), ("So, B.", "B"), ("It is B", "B"),
    ("It's (B)", "B"), ("I choose B", "B"), ("I think B", "B"), ("Therefore, (B).", "B"), ("B is correct", "B"),
    ("B is the correct answer.", "B"), ("(B) is right", "B"), ("Option B is the best choice", "B"), ("B and B", "B"),
    (r"\boxed{B}", "B"), (r"\boxed{(B)}", "B"), (r"\boxed{\text{B}}", "B"), (r"\boxed{\mathrm{B}.}", "B"),
    (r"\boxed{A} wait \boxed{B}", "B"), (r"\boxed{Option B}", "B"), (r"$$\boxed{B}$$", "B"),
    ("<answer>B</answer>", "B"), ("<answer>(B)</answer>", "B"), ("<answer>\nB. right\n</answer>", "B"),
    ("The answer is B", "B"), ("The answer is (B)", "B"), ("The answer is B.", "B"), ("The answer is: **B**", "B"),
    ("The correct answer is option B.", "B"), ("Answer: B", "B"), ("Answer: (B) right", "B"), ("Answer:\nB", "B"),
    ("The correct option is B because A is behind.", "B"), ("The answer is B. C is wrong.", "B"),
    ("A is tempting, but the answer is B", "B"), ("The answer is B, since it turns", "B"),
    ("It turns.\nB", "B"), ("B\nIt turns.", "B"), ("B\n\nIt turns twice.\nThen it stops.", "B"),
    # the text
    ("right", "B"), ("Right.", "B"), ("RIGHT", "B"), (r"\boxed{right}", "B"), ("The answer is right", "B"),
    ("red car", "D"), ("the red car", "D"), ("A red car.", "D"), (r"\boxed{\text{the red car}}", "D"),
    # both
    ("B. right", "B"), ("(B) right", "B"), ("B) right", "B"), ("B: right", "B"), ("B - right", "B"), ("B right", "B"),
    ("(B)right", "B"), ("Option B: right", "B"), ("d. red car", "D"), ("B\nright", "B"), ("A. left", "A"),
    ("A left", "A"), (r"\boxed{B. right}", "B"),
    # a label with a reason
    ("B. It turns to that side.", "B"), ("(B) It turns", "B"), ("B, it turns", "B"), ("B: it turns", "B"),
    # an article before a choice's text
    ("A right", "B"), ("An up", "C"),
]  # fmt: skip

NONE_OF_THEM = [
    "China", "Because", "Be", "A dog", "A car", "a dog", "Dog", "Cat", "B-52", "A-frame", "Apple", "Bright", "upright",
    "E", "F.", "(G)", "AB", "BB", "B2", "not B", "Not (B)", "B is wrong", "It is not B", "vitamin C",
    "Plan B it is not",
    "the square moves right", "neither", "none", "0", "1", "2", "?", "...", "()", r"\boxed{E}", r"\boxed{not B}",
    r"\boxed{China}", "The answer is China", "The answer is not B", "The answer is unclear", "<answer>E</answer>",
    "blue car", "car", "B because", "B dog", "red", "\x00", "\ud800", r"\boxed{B", "C4 plants",
    "Certainly! Here it is", "Definitely to the side", "A man walks", "I", "left-handed",
]  # fmt: skip

SEVERAL = [
    "A or B", "A and B", "A, B", "A B", "A/B", "(A) (B)", "(A) or (B)", "Either A or B", "both A and B", "A & B",
    "A, B, C, D", r"\boxed{A, B}", r"\boxed{A or B}", "The answer is A or B", "<answer>A,B</answer>", "B. left",
    "(B) left", "B left", "Option B: left", "B\nleft", "A\nIt turns.\nB", "B, or maybe C", "B) or C)", "B, C may be",
    "The answer is B. left", "Answer: (A) right", "A. right", "A: right", "(A) up",
]  # fmt: skip


@pytest.mark.parametrize(("response", "label"), TAKES)
def test_takes_one_choice(response: str, label: str) -> None:
    for reference in WAYS:
        outcome = grade_choice(response, reference, WAYS)
        assert outcome.correct is (reference == label), outcome.reason
        assert outcome.reward == float(reference == label)


@pytest.mark.parametrize("response", NONE_OF_THEM)
def test_takes_none(response: str) -> None:
    for reference in WAYS:
        outcome = grade_choice(response, reference, WAYS)
        assert outcome.correct is False
        assert "none of the choices A, B, C, D" in outcome.reason


@pytest.mark.parametrize("response", SEVERAL)
def test_several_choices_are_incorrect_even_if_one_is_right(response: str) -> None:
    for reference in WAYS:
        outcome = grade_choice(response, reference, WAYS)
        assert outcome.correct is False
        assert "several choices" in outcome.reason


@pytest.mark.parametrize("response", ["", "  ", "\n", "B</think>"])
def test_an_empty_response_is_incorrect(response: str) -> None:
    outcome = grade_choice(response, "B", WAYS)
    assert (outcome.correct, outcome.reason) == (False, "empty response")


@pytest.mark.parametrize("reference", [None, "", "E", "blue", "A or B", "7", "\ud800"])
def test_a_reference_that_is_no_choice_is_unknown(reference: str | None) -> None:
    assert grade_choice("B", reference, WAYS).correct is None
    assert grade_choice("None", reference, WAYS | {"D": "None"}).correct is None


@pytest.mark.parametrize(
    ("text", "choices", "labels"),
    [
        ("2", {"A": "3", "B": "2"}, "B"),
        ("two", {"A": "3", "B": "2"}, "B"),
        ("2.0", {"A": "3", "B": "2"}, "B"),
        ("12", {"A": "1", "B": "2"}, ""),
        ("1", {"1": "2", "2": "1"}, "1"),
        ("2. 1", {"1": "2", "2": "1"}, "2"),
        ("1.5", {"1": "2", "2": "1"}, ""),
        ("11", {"1": "x", "11": "y"}, "11"),
        ("B", {"A": "B", "B": "A"}, "B"),
        ("us", {"A": "US", "B": "us"}, "AB"),
        ("U.S.", {"A": "US", "B": "UK"}, "A"),
        ("C++", {"A": "C", "B": "C++"}, "B"),
        ("China", {"A": "China", "C": "Chile"}, "A"),
        ("A dog", {"A": "a cat", "B": "a dog"}, "B"),
        ("-3", {"A": "3", "B": "-3"}, "B"),
        ("!", {"A": "?", "B": "!"}, "B"),
        ("left and right", {"A": "left", "B": "left and right"}, "B"),
        ("A and B", {"A": "red", "B": "blue", "C": "A and B"}, "C"),
    ],
)
def test_choices_of_other_kinds(text: str, choices: dict[str, str], labels: str) -> None:
    assert chosen_labels(text, choices) == ({labels} if labels in choices else set(labels))


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        (["left", "right"], {"A": "left", "B": "right"}),
        (("left", "right"), {"A": "left", "B": "right"}),
        ([1, 2.5], {"A": "1", "B": "2.5"}),
        (["A. left", "B. right"], {"A": "left", "B": "right"}),
        (["(A) left", "(B) right"], {"A": "left", "B": "right"}),
        (["A. left", "right"], {"A": "A. left", "B": "right"}),
        ({"A": "left", "B": "right"}, {"A": "left", "B": "right"}),
        ({"a": "left", "b)": "right"}, {"A": "left", "B": "right"}),
        ({"A": "left", "B": "right", "C": None}, {"A": "left", "B": "right"}),
        ({"0": "left", "1": "right"}, {"0": "left", "1": "right"}),
        ([" left ", "right\n"], {"A": "left", "B": "right"}),
    ],
)
def test_reads_choices(value: Any, choices: dict[str, str]) -> None:
    assert read_choices(value) == choices
    assert format_choices({"A": "left", "B": "right"}) == "A. left\nB. right"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("left, right", "must be a list or an object, got str"),
        (3, "got int"),
        (["left"], "must be 2 to 26, got 1"),
        (["x"] * 27, "got 27"),
        ({"A": "left", "B": None}, "must be 2 to 26"),
        (["left", None], "choice B must be text"),
        (["left", ""], "choice B must be text"),
        (["left", ["right"]], "choice B must be text, got list"),
        ({"first": "left", "second": "right"}, "label 'FIRST'"),
        ({"A": "left", "": "right"}, "label ''"),
        ({"a": "left", "A": "right"}, "labels repeat: 'A, A'"),
    ],
)
def test_refuses_choices(value: Any, reason: str) -> None:
    with pytest.raises(BadSample, match=reason):
        read_choices(value)


@pytest.mark.parametrize(
    ("answer", "choices", "label"),
    [
        ("B", ["left", "right"], "B"),
        ("b", ["left", "right"], "B"),
        ("(B)", ["left", "right"], "B"),
        ("B. right", ["left", "right"], "B"),
        (r"\boxed{B}", ["left", "right"], "B"),
        ("Right", ["left", "right"], "B"),
        (1, ["left", "right"], "B"),
        (1.0, ["left", "right"], "B"),
        (0, ["left", "right"], "A"),
        ("1", ["left", "right"], "B"),
        (3, ["3", "4"], "A"),
        ("1", ["2", "1"], "B"),
        (1, {"1": "left", "2": "right"}, "1"),
        (True, ["no", "yes"], "B"),
        (False, ["yes", "no"], "B"),
        (2.5, ["2.5", "3"], "A"),
        ("left", ["Left.", "left"], "B"),  # the closest spelling
    ],
)
def test_reads_the_right_label(answer: Any, choices: Any, label: str) -> None:
    assert read_label(answer, read_choices(choices)) == label


@pytest.mark.parametrize(
    ("answer", "choices", "reason"),
    [
        ("C", ["left", "right"], "none of the choices A, B"),
        (2, ["left", "right"], "none of the choices A, B"),
        (-1, ["left", "right"], "none of the choices"),
        ("up", ["left", "right"], "none of the choices"),
        ("AB", ["left", "right"], "none of the choices"),
        ("A, B", ["left", "right"], "could mean A, B"),
        (1, ["1", "2"], "could mean A, B"),
        (float("inf"), ["left", "right"], "none of the choices"),
        ([1], ["left", "right"], "none of the choices"),
    ],
)
def test_refuses_an_answer_that_is_no_single_choice(answer: Any, choices: Any, reason: str) -> None:
    with pytest.raises(BadSample, match=reason):
        read_label(answer, read_choices(choices))


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=2, max_size=26))
def test_every_label_is_taken_whatever_the_texts(texts: list[str]) -> None:
    choices = read_choices(texts)
    for label in choices:
        assert grade_choice(rf"\boxed{{{label}}}", label, choices).correct is True
