r"""ANLS against its formula: hand-computed scores, a table-filling edit distance, and responses with wrappers."""

import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.document_answers import anls, grade_anls, levenshtein

# prediction, references, edits, length of the longer text: the score is 1 - edits / length where edits / length < 0.5
SCORES: list[tuple[str, list[str], int, int]] = [
    # the same but for case and blanks
    ("total", ["total"], 0, 5), ("Total", ["tOTAL"], 0, 5), ("  total\n", ["total"], 0, 5),
    ("net   income", ["net income"], 0, 10), ("net\tincome", ["Net\n Income"], 0, 10), ("", [""], 0, 1),
    ("É", ["é"], 0, 1), ("$45.00", ["$45.00"], 0, 6), ("a\u00a0b", ["a b"], 0, 3),
    # one edit of each kind
    ("tota", ["total"], 1, 5), ("totall", ["total"], 1, 6), ("totel", ["total"], 1, 5), ("otal", ["total"], 1, 5),
    ("Hello Wrld", ["Hello World"], 1, 11), ("1000", ["1,000"], 1, 5), ("45", ["45%"], 1, 3), ("$45", ["45"], 1, 3),
    ("net-income", ["net income"], 1, 10), ("total.", ["total"], 1, 6), ("e\u0301a", ["éa"], 2, 3),
    # more edits
    ("kitten", ["sitting"], 3, 7), ("saturday", ["sunday"], 3, 8), ("flaw", ["lawn"], 2, 4), ("abcd", ["badc"], 3, 4),
    ("intention", ["execution"], 5, 9), ("gumbo", ["gambol"], 2, 6), ("rosettacode", ["raisethysword"], 8, 13),
    ("abc", ["xyz"], 3, 3), ("", ["total"], 5, 5), ("total", [""], 5, 5), ("2019", ["2020"], 2, 4),
    # on each side of the threshold: 0.5 itself is none
    ("abcdefghij", ["abcdefxxxx"], 4, 10), ("abcdefghij", ["abcdexxxxx"], 5, 10),
    ("abcdefghij", ["abcdxxxxxx"], 6, 10),
    ("abc", ["abx"], 1, 3), ("ab", ["ax"], 1, 2), ("ab", ["a"], 1, 2), ("abc", ["ab"], 1, 3),
    ("abcde", ["abcxx"], 2, 5),
    ("abcde", ["abxxx"], 3, 5), ("a" * 99, ["a" * 50], 49, 99), ("a" * 100, ["a" * 50], 50, 100),
    ("a" * 101, ["a" * 50], 51, 101), ("a" * 199, ["a" * 100], 99, 199), ("a" * 200, ["a" * 100], 100, 200),
    # the nearest of several references
    ("total", ["sum", "total"], 0, 5), ("tota", ["sum", "total", "tots"], 1, 5), ("x", ["total", "x y"], 2, 3),
    ("june 5", ["June 5, 2019", "June 5", "5 June"], 0, 6), ("sum", ["total", "amount"], 6, 6),
    # longer answers are far, however right their beginning
    ("the answer is total", ["total"], 14, 19), ("red or blue", ["red"], 8, 11), ("total amount", ["total"], 7, 12),
]  # fmt: skip


@pytest.mark.parametrize(("prediction", "references", "edits", "length"), SCORES)
def test_scores_computed_by_hand(prediction: str, references: list[str], edits: int, length: int) -> None:
    expected = 1 - edits / length if edits / length < 0.5 else 0.0
    assert anls(prediction, references) == expected
    assert anls(prediction, references[::-1]) == expected


@pytest.mark.parametrize(("threshold", "score"), [(0.0, 0.0), (0.2, 0.0), (0.41, 0.6), (0.4, 0.0), (1.0, 0.6)])
def test_the_threshold_is_the_distance_from_which_a_text_is_another_answer(threshold: float, score: float) -> None:
    assert anls("abcde", ["abcxx"], threshold) == score


def test_without_references_there_is_nothing_to_be_near_to() -> None:
    assert anls("total", []) == 0.0


def table_distance(left: str, right: str) -> int:
    """Wagner and Fischer's table, cell by cell."""
    table = [[row + column for column in range(len(right) + 1)] for row in range(len(left) + 1)]
    for row in range(1, len(left) + 1):
        for column in range(1, len(right) + 1):
            swap = table[row - 1][column - 1] + (left[row - 1] != right[column - 1])
            table[row][column] = min(swap, table[row - 1][column] + 1, table[row][column - 1] + 1)
    return table[-1][-1]


@pytest.mark.parametrize("seed", range(150))
def test_the_distance_and_the_score_are_those_of_the_table(seed: int) -> None:
    draw = random.Random(seed)
    alphabet = draw.choice(["ab", "abc ", "abcdefghij 0123", "日本語é\u0301"])
    left = "".join(draw.choices(alphabet, k=draw.randrange(0, 90)))
    kept = [char for char in left if draw.random() < 0.8]
    right = "".join(draw.choice(alphabet) if draw.random() < 0.2 else char for char in kept)
    distance = table_distance(left, right)
    for limit in (distance - 1, distance, distance + 1, 200):
        assert levenshtein(left, right, limit) == (distance if distance <= limit else None)
    clean, other = " ".join(left.split()), " ".join(right.split())
    longest = max(len(clean), len(other))
    share = table_distance(clean, other) / longest if longest else 0.0
    assert anls(left, [right]) == (1 - share if share < 0.5 else 0.0)


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_score_is_symmetric_and_bounded(left: str, right: str) -> None:
    score = anls(left, [right])
    assert score == anls(right, [left])
    assert score == 0.0 or 0.5 < score <= 1.0
    assert anls(left, [right, left]) == 1.0


@given(st.text("abc", max_size=12), st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_distance_obeys_the_triangle_inequality(one: str, two: str, three: str) -> None:
    distances = [levenshtein(*pair, limit=99) for pair in ((one, three), (one, two), (two, three))]
    assert all(distance is not None for distance in distances)
    direct, first, second = (distance or 0 for distance in distances)
    assert direct <= first + second


# response, references, reward
GRADED: list[tuple[str, list[str], float]] = [
    (r"\boxed{Total}", ["total"], 1.0), (r"\boxed{\text{Total}}", ["total"], 1.0), (r"\boxed{$45}", ["$45"], 1.0),
    (r"\boxed{\$45}", ["$45"], 1.0), (r"\boxed{45\%}", ["45%"], 1.0), (r"\boxed{1{,}000}", ["1,000"], 1.0),
    (r"$\boxed{\mathrm{Net\ income}}$", ["Net income"], 1 - 1 / 11), ("**Total**", ["total"], 1.0),
    ("The answer is **Total**.", ["total"], 1.0), ("Answer: Total", ["total"], 1.0), ("Total.", ["total"], 1.0),
    ('"Total"', ["total"], 1.0), ("“Total”", ["total"], 1.0), ("`Total`", ["total"], 1.0),
    ("'Total'.", ["total"], 1.0),
    ("<answer>Total</answer>", ["total"], 1.0), ("<think>sum?</think>\nTotal", ["total"], 1.0),
    ("It is at the foot of the page.\nTotal", ["total"], 1.0), ("\\boxed{sum}? No: \\boxed{Total}", ["total"], 1.0),
    ("The answer is $45.50.", ["$45.50"], 1.0), ("The answer is U.S. Army", ["U.S. Army"], 1.0),
    (r"\boxed{Totel}", ["total"], 0.8), (r"\boxed{Totel}", ["sum", "total"], 0.8),
    ("Hello Wrld", ["Hello World"], 10 / 11),
    (r"\boxed{sum}", ["total"], 0.0), (r"\boxed{}", ["total"], 0.0), ("The total is 45", ["45"], 0.0),
    ("", ["x"], 0.0),
    ("total</think>", ["total"], 0.0), ("2019", ["2020"], 0.0), ("abcdefxxxx", ["abcdefghij"], 0.6),
    ("abcdexxxxx", ["abcdefghij"], 0.0), ("U.S.", ["U.S."], 1.0), ("...", ["total"], 0.0),
    # alternatives
    ("red or blue", ["red"], 0.0), ("Alexander Hamilton or Bob", ["Alexander Hamilton"], 0.0),
    ("Bob or Alexander Hamilton", ["Alexander Hamilton"], 0.0), ("either 12345678 or 9", ["12345678"], 0.0),
    ("Alexander Hamilton / Bob", ["Alexander Hamilton"], 0.0),
    ("Alexander Hamilton (or Bob)", ["Alexander Hamilton"], 0.0),
    ("Alexander Hamilton, or Bob", ["Alexander Hamilton"], 0.0),
    ("Alexander Hamilton\nBob", ["Alexander Hamilton"], 0.0),
    (r"\boxed{Alexander Hamilton or Bob}", ["Alexander Hamilton"], 0.0), ("red or blue", ["red or blue"], 1.0),
    ("Department or Energy", ["Department of Energy"], 0.95), ("12 / 31 / 2019", ["12 / 31 / 2019"], 1.0),
    ("Florida", ["Florida"], 1.0), ("123 Main St\nNew York", ["123 Main St New York"], 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("response", "references", "reward"), GRADED)
def test_grades(response: str, references: list[str], reward: float) -> None:
    outcome = grade_anls(response, references)
    assert math.isclose(outcome.reward, reward), outcome.reason
    assert outcome.correct is (reward >= 0.5)
    assert outcome.reason


@pytest.mark.parametrize("references", [[], [""], ["  ", "\n"]])
def test_references_that_say_nothing_are_unknown(references: list[str]) -> None:
    outcome = grade_anls("total", references)
    assert (outcome.correct, outcome.reward) == (None, 0.0)
    assert "reference" in outcome.reason


HOSTILE = {
    "long": "total " * 20_000,
    "answer and much more": "total" + " " * 100_000 + "xxxxxx",
    "alternatives": "total or " * 50_000,
    "slashes": "total / " * 50_000,
    "lines": "total\n" * 50_000 + "sum",
    "non-words": "." * 100_000 + "or",
    "boxes": r"\boxed{" * 50_000,
    "text wrappers": r"\text{" * 50_000,
    "dollars": "$" * 100_000,
    "stops": "total" + "." * 100_000 + "x",
    "every character": "".join(map(chr, range(100_000))),
    "right to left": "\u202e" * 100_000 + "latot",
    "zero width": "\u200b" * 100_000 + "total",
    "nul": "\x00" * 100_000,
    "surrogate": "\ud800" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_responses_take_linear_time(name: str) -> None:
    start = time.process_time()
    outcome = grade_anls(HOSTILE[name], ["total", "a total of 45", "t" * 300])
    assert time.process_time() - start < 5  # linear: about 0.2 s
    assert (outcome.correct, outcome.reward) == (False, 0.0)
    assert len(outcome.reason) < 1000
    outcome.reason.encode("utf-8")


def test_a_long_reference_is_graded_too() -> None:
    start = time.process_time()
    assert grade_anls("ab" * 5_000, ["ba" * 5_000]).reward == 1 - 2 / 10_000
    assert time.process_time() - start < 5


@given(st.text(), st.lists(st.text(), max_size=3))
def test_grading_never_raises(response: str, references: list[str]) -> None:
    outcome = grade_anls(response, references)
    assert 0.0 <= outcome.reward <= 1.0
    assert outcome.correct in (None, outcome.reward >= 0.5)
    assert "\n" not in outcome.reason
