r"""Soft VQA accuracy: scores summed by hand over the leave-one-out subsets, and the official normalisation."""

import time
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.vqa_answers import agreement, grade_vqa, normalise_vqa, vqa_accuracy

# matches among n answers: the score, worked out by hand
BY_HAND: list[tuple[int, int, float]] = [
    (0, 10, 0.0), (1, 10, 0.3), (2, 10, 0.6), (3, 10, 0.9), (4, 10, 1.0), (5, 10, 1.0), (9, 10, 1.0), (10, 10, 1.0),
    (0, 1, 0.0), (1, 1, 1.0), (0, 2, 0.0), (1, 2, 0.5), (2, 2, 1.0), (0, 3, 0.0), (1, 3, 1 / 3), (2, 3, 2 / 3),
    (3, 3, 1.0), (1, 4, 1 / 4), (2, 4, 1 / 2), (3, 4, 3 / 4), (4, 4, 1.0), (1, 5, 4 / 15), (2, 5, 8 / 15),
    (3, 5, 4 / 5), (4, 5, 1.0), (1, 100, 0.33), (0, 0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("matches", "answers", "score"), BY_HAND)
def test_scores_by_hand(matches: int, answers: int, score: float) -> None:
    assert vqa_accuracy("red", ["Red."] * matches + ["blue"] * (answers - matches)) == pytest.approx(score, abs=1e-15)


def leave_one_out(prediction: str, answers: list[str]) -> float:
    """The definition, subset by subset."""
    size = len(answers) - 1
    subsets = list(combinations(answers, size)) if size else [tuple(answers)]
    needed = min(3, size) or 1
    return float(
        sum(min(Fraction(1), Fraction(sum(a == prediction for a in s), needed)) for s in subsets) / len(subsets)
    )


@pytest.mark.parametrize("answers", range(1, 13))
def test_scores_are_the_mean_over_the_subsets(answers: int) -> None:
    for matches in range(answers + 1):
        given_answers = ["yes"] * matches + ["no"] * (answers - matches)
        assert vqa_accuracy("yes", given_answers) == pytest.approx(leave_one_out("yes", given_answers), abs=1e-15)


@given(st.lists(st.sampled_from(["red", "blue", "green", "2"]), min_size=1, max_size=10), st.randoms())
def test_scores_of_mixed_answers(answers: list[str], shuffled: object) -> None:
    total = 0.0
    for prediction in ("red", "blue", "green", "2"):
        score = vqa_accuracy(prediction, answers)
        assert score == pytest.approx(leave_one_out(prediction, answers), abs=1e-15)
        assert score == vqa_accuracy(prediction, sorted(answers))
        total += score
    assert total >= 1.0 - 1e-12 if len(answers) > 1 else total == 1.0


@pytest.mark.parametrize("answers", range(2, 30))
def test_one_more_match_never_lowers_the_score(answers: int) -> None:
    scores = [agreement(matches, answers) for matches in range(answers + 1)]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (0.0, 1.0)


NORMAL: list[tuple[str, str]] = [
    # case, blanks, articles
    ("Red", "red"), (" red ", "red"), ("red\ncar", "red car"), ("red\tcar", "red car"), ("the red car", "red car"),
    ("A red car", "red car"), ("an apple", "apple"), ("The", ""), ("a", ""), ("vitamin a", "vitamin"), ("", ""),
    ("theatre", "theatre"), ("another", "another"), ("red  car", "red car"),
    # numbers
    ("two", "2"), ("Two dogs", "2 dogs"), ("none", "0"), ("zero", "0"), ("ten", "10"), ("eleven", "eleven"),
    ("one", "1"), ("three", "3"), ("four", "4"), ("five", "5"), ("six", "6"), ("seven", "7"), ("eight", "8"),
    ("nine", "9"), ("someone", "someone"), ("2", "2"), ("2.0", "2.0"), ("2.5", "2.5"), ("twenty one", "twenty 1"),
    # punctuation that touches a space goes, otherwise it becomes a space
    ("red, blue", "red blue"), ("red,blue", "red blue"), ("red-brick", "red brick"), ("red - brick", "red brick"),
    ("a red-brick - wall", "redbrick wall"), ("yes!", "yes"), ("yes?", "yes"), ("(red)", "red"), ("[red]", "red"),
    ("red/blue", "red blue"), ("red / blue", "red blue"), ("x=y", "x y"), ("x+y", "x y"), ("a@b", "b"), ("x_y", "x y"),
    ('"red"', "red"), ("{red}", "red"), ("`red`", "red"), ("<red>", "red"), (r"red\blue", "red blue"), ("red;", "red"),
    ("10:30", "10:30"), ("50%", "50%"), ("$5", "$5"), ("#1", "#1"), ("salt & pepper", "salt & pepper"), ("*", "*"),
    ("red~", "red~"), ("t-shirt", "t shirt"), ("t - shirt", "t shirt"), ("-5", "5"), ("?", ""), ("...", ""),
    # a comma between digits takes all punctuation away
    ("1,000", "1000"), ("1,234,567", "1234567"), ("1,000-2,000", "10002000"), ("well-known 1,000", "wellknown 1000"),
    ("1, 000", "1 000"), ("a,1", "1"), ("2,5", "25"),
    # full stops
    ("red.", "red"), ("U.S.", "us"), ("3.14", "3.14"), ("3.", "3"), (".5", ".5"), ("dr. who", "dr who"),
    ("a.b", "ab"), ("no.1", "no.1"), ("1.2.3.", "1.2.3"), ("." * 40 + "x", "x"),
    # contractions
    ("isnt", "isn't"), ("isn't", "isn't"), ("dont", "don't"), ("wont", "won't"), ("cant", "can't"),
    ("youre", "you're"),
    ("couldntve", "couldntve"), ("couldnt've", "couldn't've"), ("couldn'tve", "couldn't've"), ("hes", "he's"),
    ("its", "its"), ("it's", "it's"), ("well", "well"), ("ill", "ill"), ("were", "were"), ("shed", "shed"),
    ("hell", "hell"), ("oclock", "o'clock"), ("5 oclock", "5 o'clock"), ("yall", "y'all"), ("twas", "'twas"),
    ("yall'd've", "y'all'd've"), ("y'alld've", "y'all'd've"), ("'ows'at", "'ow's'at"), ("im", "im"), ("Ive", "ive"),
    ("maam", "ma'am"), ("Whos there", "who's there"), ("somebodys", "somebody's"), ("lets", "lets"),
    ("Dont, isnt", "don't isn't"), ("dogs", "dogs"), ("dog's", "dog's"),
    # together
    ("The Red-Brick one, isnt it?", "red brick 1 isn't it"), ("None", "0"),
    ("A two-story house.", "2 story house"),
    ("None of the above!", "0 of above"), ("Yes, they're.", "yes they're"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "normal"), NORMAL)
def test_normalisation(text: str, normal: str) -> None:
    assert normalise_vqa(text) == normal
    assert vqa_accuracy(text, [normal or text]) == 1.0


PEOPLE = ["red", "red", "Red.", "dark red", "maroon", "blue", "a red", "brown", "brown", "two"]  # four times "red"

# response, reward with PEOPLE
GRADED: list[tuple[str, float]] = [
    ("red", 1.0), ("Red.", 1.0), ("the red", 1.0), (r"\boxed{red}", 1.0), (r"\boxed{\text{Red}}", 1.0),
    ("**red**", 1.0),
    ("<answer>red</answer>", 1.0), ("The answer is red.", 1.0), ("The answer is red because it is dark.", 1.0),
    ("Answer: red", 1.0), ("<think>blue</think> red", 1.0), ("I look at it.\nred", 1.0), ("$\\text{red}$", 1.0),
    (r"\boxed{blue}? No: \boxed{red}", 1.0), ("brown", 0.6), ("Brown!", 0.6), (r"\boxed{\textbf{brown}}", 0.6),
    ("blue", 0.3), ("maroon", 0.3), ("dark red", 0.3), ("dark-red", 0.3), ("Dark red.", 0.3), ("2", 0.3),
    ("Two", 0.3), ("two.", 0.3),
    ("red or blue", 0.0), ("red and blue", 0.0), ("red, blue", 0.0), ("red/brown", 0.0), ("either red or brown", 0.0),
    (r"\boxed{red or brown}", 0.0), ("The answer is red or brown", 0.0), ("not red", 0.0), ("It is red", 0.0),
    ("reddish", 0.0), ("re", 0.0), ("green", 0.0), ("", 0.0), ("  \n", 0.0), ("red</think>", 0.0), ("?", 0.0),
    (r"\boxed{}", 0.0), (r"\boxed{red", 0.0), ("red\ngreen", 0.0), ("rеd", 0.0), ("red\u200b", 0.0),
    ("\u202ered", 0.0),
    ("\x00", 0.0), ("red\x00", 0.0), ("\ud800", 0.0), ("\u30ecッド", 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("response", "reward"), GRADED)
def test_grades(response: str, reward: float) -> None:
    outcome = grade_vqa(response, PEOPLE)
    assert (outcome.reward, outcome.correct) == (reward, reward >= 0.5), outcome.reason
    assert outcome.reason


def test_the_reason_counts_the_people() -> None:
    assert grade_vqa("Brown", PEOPLE).reason == "plain: 'Brown' is 2 of 10 answers, as 'red'"


@pytest.mark.parametrize(
    ("response", "answers", "reward"),
    [
        ("cat", ["cat"], 1.0),
        ("Cat.", ["a cat"], 1.0),
        ("dog", ["cat"], 0.0),
        ("cat", ["cat", "dog"], 0.5),
        ("cat", ["cat", "dog", " "], 0.5),
        ("cat", ["cat", "dog", "cow"], 1 / 3),
        ("red or blue", ["red or blue"], 1.0),
        ("?", ["?"], 1.0),
    ],
)
def test_grades_of_few_answers(response: str, answers: list[str], reward: float) -> None:
    outcome = grade_vqa(response, answers)
    assert outcome.reward == pytest.approx(reward)
    assert outcome.correct is (reward >= 0.5)


@pytest.mark.parametrize("answers", [[], [""], ["  ", "\n"]])
def test_answers_that_say_nothing_are_unknown(answers: list[str]) -> None:
    outcome = grade_vqa("cat", answers)
    assert (outcome.correct, outcome.reward) == (None, 0.0)


HOSTILE = {
    "words": "red, " * 100_000,
    "commas": "1," * 200_000,
    "stops": "." * 500_000 + "x",
    "blanks": "red" + " " * 500_000 + "x",
    "marks": ';/[]"{}()=+\\_-><@`,?!' * 20_000 + "x",
    "apostrophes": "'" * 500_000,
    "contractions": "isnt " * 100_000,
    "boxes": r"\boxed{" * 100_000,
    "styles": r"\text{" * 100_000,
    "right to left": "\u202e" * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_responses_take_linear_time(name: str) -> None:
    start = time.process_time()
    outcome = grade_vqa(HOSTILE[name], PEOPLE)
    assert time.process_time() - start < 10  # linear: under a second
    assert (outcome.correct, outcome.reward) == (False, 0.0)
    assert len(outcome.reason) < 1000


@given(st.text(), st.lists(st.text(), max_size=4))
def test_grading_never_raises(response: str, answers: list[str]) -> None:
    outcome = grade_vqa(response, answers)
    assert 0.0 <= outcome.reward <= 1.0
    assert outcome.correct in (None, outcome.reward >= 0.5)
    outcome.reason.encode("utf-8")
