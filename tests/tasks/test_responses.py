r"""Grading under texts nobody planned: random and hostile responses, and right answers in every accepted form."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.answers import grade_open, normalise
from uniopd_mm.tasks.grading.choices import CHOICES, grade_choice
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Corpus, Sample

WAYS = {"A": "left", "B": "right", "C": "up", "D": "the red car"}

HOSTILE = {
    "unclosed boxes": r"\boxed{" * 100_000,
    "nested boxes": r"\boxed{" * 100_000 + "B" + "}" * 100_000,
    "open braces": "{" * 500_000,
    "close braces": "}" * 500_000 + r"\boxed{B}",
    "backslashes": "\\" * 500_000,
    "open tags": "<answer>" * 100_000,
    "close tags": "</answer>" * 100_000,
    "blanks": "B" + " " * 500_000 + "x",
    "blanks before because": "the answer is B" + " " * 500_000 + "because",
    "cues": "answer is " * 50_000,
    "broken cues": "answer " * 50_000 + "answer" + " " * 200_000,
    "thinking": "</think>" * 100_000 + "B",
    "digits": "9" * 500_000,
    "thousands": "1,000" + ",000" * 100_000 + "0",
    "decimals": "1." * 200_000,
    "fractions": r"\frac{1}{" * 50_000,
    "letters": "A, B, " * 80_000,
    "lines": "B\n" * 200_000,
    "is correct": "B is correct" + "." * 300_000 + "x",
    "is": "B is the " * 80_000,
    "expanding": "ﷺ" * 100_000,
    "marks": "e" + "\u0301" * 100_000,
    "number words": "twenty " * 100_000,
}

PIECES = ["\\boxed{", "}", "{", "<answer>", "</answer>", "answer is ", "A", "(B)", "2", ".", ",", " ", "\n", "</think>"]
ANY_TEXT = st.text(st.characters(), max_size=200) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
WORDS = st.sampled_from(["red", "blue", "left", "car", "two", "17", "3.5", "moving"])
FORMS = [
    r"\boxed{%s}",
    r"I think so. $\boxed{%s}$.",
    r"\boxed{nothing}? No: \boxed{%s}",
    "<answer>%s</answer>",
    "<think>well\n</think> <answer> %s </answer>",
    "The answer is %s",
    "First.\n**Answer:** %s",
    "%s",
    "Some words before it.\n%s",
]


class Nothing:
    """A source without samples: grading needs none."""

    def samples(self, split: str) -> Corpus:
        return Corpus(samples=())


@pytest.mark.parametrize("name", HOSTILE)
def test_half_a_million_hostile_characters_take_linear_time(name: str) -> None:
    start = time.process_time()
    for outcome in (grade_open(HOSTILE[name], "left"), grade_choice(HOSTILE[name], "A", WAYS)):
        assert outcome.correct is False
        assert len(outcome.reason) < 1000
    assert time.process_time() - start < 15  # linear: one or two seconds; quadratic: minutes


@given(ANY_TEXT, st.none() | ANY_TEXT)
def test_grading_an_open_answer_never_raises(response: str, reference: str | None) -> None:
    outcome = grade_open(response, reference)
    assert outcome.reward == (1.0 if outcome.correct else 0.0)
    assert "\n" not in outcome.reason
    outcome.reason.encode("utf-8")


@given(ANY_TEXT, st.none() | ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4) | st.just(WAYS))
def test_grading_a_choice_never_raises(response: str, reference: str | None, choices: dict[str, str]) -> None:
    outcome = grade_choice(response, reference, choices)
    assert outcome.reward == (1.0 if outcome.correct else 0.0)
    assert "\n" not in outcome.reason
    outcome.reason.encode("utf-8")


@given(
    ANY_TEXT,
    st.none() | ANY_TEXT,
    st.none()
    | st.integers()
    | ANY_TEXT
    | st.lists(ANY_TEXT)
    | st.dictionaries(st.integers() | ANY_TEXT, st.none() | st.integers() | ANY_TEXT, max_size=3),
)
def test_the_task_never_raises_whatever_the_sample_holds(response: str, answer: str | None, choices: Any) -> None:
    metadata = {CHOICES: choices}
    sample = Sample(sample_id="1", domain="d", messages=(), answer=answer, source="made", metadata=metadata)
    outcome = VideoQaTask(rows=RowSource(), synthetic=Nothing()).grade(sample, response)
    assert outcome.reward == (1.0 if outcome.correct else 0.0)
    assert outcome.reason


@given(st.lists(WORDS, min_size=1, max_size=4), st.sampled_from(FORMS), st.sampled_from([str, str.upper, str.title]))
def test_the_right_answer_is_right_in_every_form(words: list[str], form: str, write: Any) -> None:
    answer = " ".join(words)
    assert grade_open(form % write(answer), answer).correct is True
    assert grade_open(form % write(answer + " not"), answer).correct is False


@given(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.sampled_from(FORMS), st.data())
def test_a_choice_is_graded_alike_in_every_form(taken: str, reference: str, form: str, data: st.DataObject) -> None:
    text = WAYS[taken]
    written = data.draw(st.sampled_from([taken, taken.lower(), f"({taken})", f"{taken}.", f"{taken}. {text}", text]))
    assert grade_choice(form % written, reference, WAYS).correct is (taken == reference)


@given(ANY_TEXT)
def test_normalising_says_nothing_only_where_the_text_says_nothing(text: str) -> None:
    assert bool(normalise(text)) is bool(text.strip())
