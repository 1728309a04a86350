"""ChartQA, AI2D, DocVQA and InfographicVQA: graders, and their YAMLs in lmms-eval over invented rows."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

from picture_parts import HOSTILE, hub, reward, right_answer, scores_of, task_of  # noqa: F401 - fixtures

from uniopd_mm.tasks.benchmarks import ai2d, chartqa, documents

NAMES = ["uniopd_chartqa", "uniopd_ai2d", "uniopd_docvqa", "uniopd_infographicvqa"]
Tasks = Callable[[str], Any]
OPTIONS = ["a seed", "a root", "a leaf", "a stem"]


@pytest.mark.parametrize("name", NAMES)
def test_one_user_turn_with_the_picture_in_its_budget_then_the_question(task_of: Tasks, name: str) -> None:  # noqa: F811
    task = task_of(name)
    row = task.dataset[task.config.test_split][0]
    (turn,) = task.doc_to_messages(row)
    picture, text = turn["content"]
    assert (turn["role"], picture["type"], picture["max_pixels"]) == ("user", "image", 1605632)
    assert picture["url"].size == row["image"].size
    assert text["text"].startswith(row["question"])
    assert task.config.generation_kwargs["max_new_tokens"] == 4096
    assert task.config.generation_kwargs["until"] == []


def test_halves_of_chartqa(task_of: Tasks) -> None:  # noqa: F811
    """All three questions of people right, none of the three others."""
    task = task_of("uniopd_chartqa")
    scores = scores_of(task, lambda row: row["answer"] if row["type"] == "human_test" else "nothing")
    assert (scores["score"], scores["human"], scores["augmented"]) == (50, 100, 0)
    assert scores["score_se"] == pytest.approx(100 * 0.3**0.5 / 6**0.5)  # of 1, 1, 1, 0, 0, 0: variance 0.3


def test_limited_to_one_half_the_other_is_absent(task_of: Tasks) -> None:  # noqa: F811
    task = task_of("uniopd_chartqa")
    scores = scores_of(task, right_answer(task), limit=2)
    assert scores["human"] == 100
    assert "augmented" not in scores


@pytest.mark.parametrize(
    ("answer", "response", "expected"),
    [
        ("100", "105", 1),
        ("100", "105.1", 0),
        ("45.5", "45.5%", 1),
        ("2016", "2017", 0),
        ("Yes", "yes.", 1),
        ("24", "The third bar is the highest.\nThe answer is 24.", 1),
        ("24", "<think>It is 30.</think>\n\\boxed{24}", 1),
        ("24", "<think>It is 24.</think>\n\\boxed{30}", 0),
        *(("7", response, 0) for response in HOSTILE),
    ],
)
def test_chartqa(answer: str, response: str, expected: float) -> None:
    assert reward(chartqa, {"type": "human_test", "question": "?", "answer": answer}, response) == expected


@pytest.mark.parametrize(("answer", "response"), [("Canada", "China"), ("Brazil", "B"), ("Denmark", "Dubai")])
def test_fault_3_words_are_no_choice_letters(answer: str, response: str) -> None:
    assert reward(chartqa, {"type": "human_test", "question": "?", "answer": answer}, response) == 0


def test_fault_3_words_are_no_choice_letters_where_there_are_choices() -> None:
    row = {"question": "?", "options": ["Angola", "Belize", "Canada", "Denmark"], "answer": "2"}
    assert [reward(ai2d, row, text) for text in ("China", "Canada", "C", "A country", "Cat")] == [0, 1, 1, 0, 0]


def test_fault_3_numbers_have_a_tolerance_of_5_percent() -> None:
    row = {"type": "augmented_test", "question": "?", "answer": "1200000"}
    assert [reward(chartqa, row, text) for text in ("1.25 million", "1,260,000", "1,261,000")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("C", 1),
        ("C.", 1),
        ("C. a leaf", 1),
        ("a leaf", 1),
        ("It grows on a stem. \\boxed{C}", 1),
        ("The answer is (C).", 1),
        ("B", 0),
        ("A or C", 0),
        ("c", 1),
        *((response, 0) for response in HOSTILE),
    ],
)
def test_ai2d(response: str, expected: float) -> None:
    assert reward(ai2d, {"question": "?", "options": OPTIONS, "answer": "2"}, response) == expected


def test_ai2d_letters_of_the_prompt_win_over_letters_of_the_diagram() -> None:
    row = {"question": "Which letter marks the root?", "options": ["b", "a", "d", "c"], "answer": "0"}
    assert [reward(ai2d, row, text) for text in ("A", "A. b", "B")] == [1, 1, 0]
    assert ai2d.prompt(row).splitlines()[1:3] == ["A. b", "B. a"]


@pytest.mark.parametrize("answer", ["4", "", "x", "-1"])
def test_ai2d_without_a_right_option_is_unknown(answer: str) -> None:
    item = ai2d.process_results({"question": "?", "options": OPTIONS, "answer": answer}, ["A"])["score"]
    assert (item["scores"], item["unknown"]) == ([0.0], 1)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Ann Lee", 1),
        ("a. lee", 1),
        ("ANN  LEE.", 1),
        ("The letter is signed below.\n\\boxed{Ann Lee}", 1),
        ("Ann Le", 6 / 7),  # one edit in seven characters
        ("Bob", 0),
        *((response, 0) for response in HOSTILE),
    ],
)
def test_documents(response: str, expected: float) -> None:
    row = {"question": "Who signed?", "answers": ["Ann Lee", "A. Lee"]}
    assert reward(documents, row, response) == pytest.approx(expected)


def test_documents_without_answers_are_unknown() -> None:
    item = documents.process_results({"question": "Who signed?", "answers": None}, ["Ann"])["score"]
    assert (item["scores"], item["unknown"]) == ([0.0], 1)
