"""Metrics over items, against an enumeration of all draws, numpy in float64 and numbers worked out by hand."""

import math
import multiprocessing
from itertools import combinations
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.benchmarks import metrics
from uniopd_mm.tasks.benchmarks.benchmark import Benchmark
from uniopd_mm.types import Outcome


def item(correct: list[int], group: str = "", unknown: int = 0, scores: list[float] | None = None) -> dict[str, Any]:
    scores = [float(one) for one in correct] if scores is None else scores
    return {"scores": scores, "correct": [one == 1 for one in correct], "unknown": unknown, "group": group}


outcomes = st.lists(st.integers(0, 1), min_size=1, max_size=7)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@given(st.lists(outcomes, min_size=1, max_size=4), st.integers(1, 7))
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(questions: list[list[int]], k: int) -> None:
    k = min(k, *map(len, questions))
    drawn = [[any(draw) for draw in combinations(correct, k)] for correct in questions]
    expected = 100 * sum(sum(draws) / len(draws) for draws in drawn) / len(drawn)
    assert metrics.pass_at(k, [item(correct) for correct in questions]) == pytest.approx(expected, abs=1e-9)


def test_pass_at_k_by_hand() -> None:
    items = [item([1, 0, 0, 0]), item([1, 1, 0, 0]), item([0, 0, 0, 0])]
    assert metrics.pass_at(1, items) == pytest.approx(25)
    assert metrics.pass_at(2, items) == pytest.approx(100 * (1 / 2 + 5 / 6) / 3)
    assert metrics.pass_at_k(items) == pytest.approx(100 * 2 / 3)
    assert metrics.pass_at(1, items) == pytest.approx(metrics.mean_score(items))


def test_pass_at_k_of_many_responses_is_exact() -> None:
    assert metrics.pass_at(16, [item([1] + [0] * 31)]) == 50.0
    assert metrics.pass_at(500, [item([1] + [0] * 999)]) == 50.0  # numbers of 300 digits


@pytest.mark.parametrize("k", [0, 3])
def test_pass_at_k_needs_k_responses(k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} of 2 responses"):
        metrics.pass_at(k, [item([1, 0])])


@given(st.lists(shares, min_size=2, max_size=6))
def test_mean_and_standard_error_are_those_of_the_questions(questions: list[list[float]]) -> None:
    items = [item([0] * len(scores), scores=scores) for scores in questions]
    means = numpy.array([numpy.mean(scores) for scores in questions], numpy.float64)
    assert metrics.mean_score(items) == pytest.approx(100 * means.mean(), abs=1e-9)
    error = 100 * means.std(ddof=1) / numpy.sqrt(len(means))
    assert metrics.standard_error(items) == pytest.approx(error, abs=1e-6)


def test_more_responses_are_not_more_questions() -> None:
    few, many = [item([1]), item([0])], [item([1] * 32), item([0] * 32)]
    assert metrics.standard_error(few) == metrics.standard_error(many) == pytest.approx(50)


def test_one_question_has_no_standard_error() -> None:
    assert metrics.mean_score([item([1, 0])]) == 50
    assert math.isnan(metrics.standard_error([item([1, 0])]))


def test_groups_count_alike() -> None:
    items = [item([1], "a"), item([0], "b"), item([1], "a"), item([0], "a"), item([1], "b")]
    assert metrics.mean_score(items) == pytest.approx(60)
    assert metrics.mean_of_groups(items) == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    errors = [numpy.std(scores, ddof=1) / numpy.sqrt(len(scores)) for scores in ([1, 1, 0], [0, 1])]
    assert metrics.standard_error_of_groups(items) == pytest.approx(100 * math.hypot(*errors) / 2)


def test_one_group_is_no_group() -> None:
    items = [item([1, 0], "a"), item([0, 0], "a"), item([1, 1], "a")]
    assert metrics.mean_of_groups(items) == pytest.approx(metrics.mean_score(items))
    assert metrics.standard_error_of_groups(items) == pytest.approx(metrics.standard_error(items))


def test_the_worst_case_is_right_everywhere() -> None:
    items = [item([1], "q1"), item([1], "q1"), item([1], "q2"), item([0], "q2"), item([0], "q3"), item([0], "q3")]
    assert metrics.worst_of_groups(items) == pytest.approx(100 / 3)
    assert metrics.mean_score(items) == pytest.approx(50)


def test_partial_scores_are_no_right_answers() -> None:
    items = [item([0, 0], scores=[0.6, 0.8])]
    assert (metrics.mean_score(items), metrics.pass_at_k(items)) == (pytest.approx(70), 0)


def test_unknown_counts_responses() -> None:
    assert metrics.unknown([item([0, 0], unknown=2), item([1], unknown=0), item([0], unknown=1)]) == 3


def voting(answers: str, right: str = "1") -> dict[str, dict[str, Any]]:
    """The items of a benchmark whose responses are single characters and their own answers; "-" is none, "?" is
    unknown."""

    def grade(row: Any, response: str) -> Outcome:
        correct = None if response == "?" else response == right
        return Outcome(correct=correct, reward=float(correct is True), reason="")

    def answer(response: str) -> str | None:
        return None if response == "-" else response

    benchmark = Benchmark(question=str, prompt=str, grade=grade, answer=answer)
    return benchmark.process_results({}, list(answers))


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        ("112", 1.0),
        ("122", 0.0),
        ("1223344", 0.0),
        ("2112", 0.0),  # as many votes: the first
        ("1221", 1.0),
        ("---1", 1.0),  # no answer has no vote
        ("----", 0.0),
        ("??1", 0.0),
    ],
)
def test_majority(answers: str, score: float) -> None:
    items = voting(answers)
    assert items["majority@k"]["scores"] == [score]
    assert items["score"]["scores"] == [float(one == "1") for one in answers]
    assert items["score"]["unknown"] == answers.count("?")


def test_equal_responses_are_judged_once_and_counted_each() -> None:
    judged: list[str] = []

    def grade(row: Any, response: str) -> Outcome:
        judged.append(response)
        return Outcome(correct=True, reward=1.0, reason="")

    benchmark = Benchmark(question=str, prompt=str, grade=grade)
    assert benchmark.process_results({}, ["a", "b", "a", "a"])["score"]["scores"] == [1.0] * 4
    assert sorted(judged) == ["a", "b"]
    assert "majority@k" not in benchmark.process_results({}, ["a"])


def test_a_row_is_unpacked_once() -> None:
    rows: list[Any] = []

    def unpacked(row: Any) -> dict[str, Any]:
        rows.append(row)
        return {"right": row["packed"].upper()}

    def grade(row: Any, response: str) -> Outcome:
        return Outcome(correct=response == row["right"], reward=float(response == row["right"]), reason="")

    benchmark = Benchmark(question=str, prompt=str, grade=grade, unpacked=unpacked)
    assert benchmark.process_results({"packed": "x"}, ["X", "x", "X", "y"])["score"]["scores"] == [1, 0, 1, 0]
    assert len(rows) == 1


@pytest.mark.parametrize("results", [["a", "b", None], [["a", "b", None]]])
def test_responses_come_flat_or_in_a_list(results: list[Any]) -> None:
    benchmark = Benchmark(
        question=str, prompt=str, grade=lambda row, text: Outcome(correct=text == "a", reward=1.0, reason="")
    )
    assert benchmark.process_results({}, results)["score"]["correct"] == [True, False, False]


def _scored(text: str) -> list[float]:
    return voting(text)["score"]["scores"]


def test_a_fork_scores_too() -> None:
    assert _scored("12") == [1, 0]  # threads are there now, which a fork does not get
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_scored, ("312",)).get(60) == [0, 1, 0]
