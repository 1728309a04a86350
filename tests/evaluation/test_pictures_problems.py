"""MathVision, DynaMath and We-Math: graders, metrics by hand, and their YAMLs in lmms-eval over invented rows."""

import math
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

from picture_parts import HOSTILE, hub, reward, right_answer, scores_of, task_of  # noqa: F401 - fixtures

from uniopd_mm.tasks.benchmarks import dynamath, mathvision, wemath
from uniopd_mm.tasks.benchmarks.closed_forms import closed_value

NAMES = ["uniopd_mathvision", "uniopd_dynamath", "uniopd_wemath"]
Tasks = Callable[[str], Any]


@pytest.mark.parametrize("name", NAMES)
def test_one_user_turn_that_asks_for_reasoning(task_of: Tasks, name: str) -> None:  # noqa: F811
    task = task_of(name)
    row = task.dataset[task.config.test_split][0]
    (turn,) = task.doc_to_messages(row)
    picture, text = turn["content"]
    assert (turn["role"], picture["type"], picture["max_pixels"]) == ("user", "image", 1605632)
    assert text["text"].startswith(row["question"])
    assert text["text"].endswith("within \\boxed{}.")
    assert text["text"] == task.doc_to_text(row)
    assert task.config.generation_kwargs["max_new_tokens"] == 16384


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("2\\sqrt{2}", "\\boxed{\\sqrt{8}}"),
        ("2\\sqrt{2}", "$\\sqrt{2}+\\sqrt{2}$"),
        ("\\frac{1}{2}", "\\boxed{\\sin 30^\\circ}"),
        ("\\frac{\\sqrt{3}}{2}", "\\boxed{\\cos\\frac{\\pi}{6}}"),
        ("2\\pi", "\\boxed{\\frac{4\\pi}{2}}"),
    ],
)
def test_fault_1_roots_pi_and_trigonometry_are_evaluated(answer: str, response: str) -> None:
    assert reward(mathvision, {"question": "?", "options": [], "answer": answer}, response) == 1


def test_fault_2_threads_of_lmms_eval_change_no_score(task_of: Tasks) -> None:  # noqa: F811
    """Equal in value only, so that math_verify is asked."""
    task = task_of("uniopd_mathvision")
    said = {"2\\sqrt{2}": "\\sqrt{8}", "\\frac{1}{2}": "\\sin 30^\\circ", "B": "\\sqrt{8}", "C": "5", "D": "A"}
    scores = [
        scores_of(task, lambda row: f"\\boxed{{{said[row['answer']]}}}", threads=threads)["score"] for threads in (1, 4)
    ]
    assert scores == [80, 80]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{B}", 1),
        ("The answer is B.", 1),
        ("\\boxed{2\\sqrt{2}}", 1),
        ("\\boxed{\\sqrt{8}}", 1),  # the value of B, in another form
        ("\\boxed{\\sqrt{4}}", 0),
        ("\\boxed{3}", 0),
        ("\\boxed{A}", 0),
        ("\\boxed{A or B}", 0),
        ("<think>\\boxed{B}</think> \\boxed{C}", 0),  # fault 5
        *((response, 0) for response in HOSTILE),
    ],
)
def test_mathvision_with_options(response: str, expected: float) -> None:
    options = ["$\\sqrt{2}$", "$2\\sqrt{2}$", "$3$", "$4$", "$5$"]
    assert reward(mathvision, {"question": "?", "options": options, "answer": "B"}, response) == expected


@pytest.mark.parametrize(("response", "expected"), [("\\boxed{D}", 1), ("\\boxed{4}", 0), ("D", 1), ("Dove", 0)])
def test_mathvision_where_the_picture_shows_the_options(response: str, expected: float) -> None:
    row = {"question": "?", "options": list("ABCDE"), "answer": "D"}
    assert reward(mathvision, row, response) == expected


@pytest.mark.parametrize(
    ("kind", "truth", "response", "expected"),
    [
        ("float", "2.094", "\\boxed{2.094}", 1),
        ("float", "2.094", "\\boxed{2.095}", 1),  # the bound itself
        ("float", "2.094", "\\boxed{2.0951}", 0),
        ("float", "2.094", "\\boxed{\\frac{2\\pi}{3} \\approx 2.0944}", 1),
        ("float", "2.094", "x = 2.094", 1),
        ("float", "2.094", "\\boxed{\\frac{2\\pi}{3}}", 1),
        ("float", "2.094", "\\boxed{\\frac{2\\pi}{3} \\text{ radians}}", 1),
        ("float", "2.094", "\\boxed{\\frac{\\pi}{3}}", 0),
        ("float", "7.071", "\\boxed{x = 5\\sqrt{2}}", 1),
        ("float", "0.5", "\\boxed{\\frac{1}{2}}", 1),
        ("float", "1200", "\\boxed{1,200}", 1),
        ("float", "-3", "\\boxed{3}", 0),
        ("float", "12", "\\boxed{12 \\text{ cm}}", 1),
        ("multiple choice", "A", "\\boxed{A}", 1),
        ("multiple choice", "A", "\\boxed{it rises}", 1),
        ("multiple choice", "A", "\\boxed{B}", 0),
        ("text", "autumn", "It is in \\boxed{Autumn}.", 1),
        ("text", "autumn", "\\boxed{tum}", 0),  # part of the reference is not the reference
        ("text", "(3, 4)", "\\boxed{(3,4)}", 1),
        ("text", "x + y", "\\boxed{x+y}", 1),
        ("text", "AB", "\\boxed{BA}", 0),
        *((kind, "7", response, 0) for kind in ("float", "text") for response in HOSTILE),
        *(("multiple choice", "C", response, 0) for response in HOSTILE),
    ],
)
def test_dynamath(kind: str, truth: str, response: str, expected: float) -> None:
    question = "Does the line rise? choice: (A) it rises (B) it falls (C) neither"
    row = {"id": "1", "question": question, "answer_type": kind, "ground_truth": truth}
    assert reward(dynamath, row, response) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\\frac{2\\pi}{3}", 2 * math.pi / 3),
        ("\\frac12", 0.5),
        ("(1+\\sqrt5)/2", (1 + 5**0.5) / 2),
        ("-2^2 \\times 3 - -1", -11),
        ("2\\sqrt[3]{8}", 4),
        ("2^{-3}e", math.e / 8),
    ],
)
def test_values_of_closed_forms(text: str, value: float) -> None:
    assert closed_value(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3x", "2 3", "2^10", "1/0", "0^{-1}", "(-1)^{0.5}", "9^9^9^9^9", "2^{9999}", "1+", "{}", "1)", "_"),
        *(
            "\\frac{1}{2",
            "\\sin 30",
            "\\sqrt{-1}",
            "\\sqrt[0]{2}",
            "(" * 30 + "1" + ")" * 30,
            "-" * 190,
            "1+" * 200 + "1",
        ),
    ],
)
def test_what_has_no_value(text: str) -> None:
    assert closed_value(text) is None


def test_average_and_worst_case_of_dynamath(task_of: Tasks) -> None:  # noqa: F811
    """Of three problems one is right in both variants, one in the first only, one in none."""
    task = task_of("uniopd_dynamath")
    right = {("2", "A"), ("2", "B"), ("1", "2.094")}
    scores = scores_of(
        task, lambda row: row["ground_truth"] if (row["id"], row["ground_truth"]) in right else "nothing"
    )
    assert scores["score"] == 50
    assert scores["worst_case"] == pytest.approx(100 / 3)
    assert scores["score_se"] == pytest.approx(100 * 0.5 / 3**0.5)  # of problems' means 1, 1/2, 0: deviation 1/2


def items(*rights: tuple[str, str, bool]) -> list[dict[str, Any]]:
    """Items of We-Math from (problem, key, right)."""
    return [
        {"group": problem, "key": key, "correct": [right], "scores": [float(right)], "unknown": 0}
        for problem, key, right in rights
    ]


def two_steps(problem: str, first: bool, second: bool, whole: bool) -> list[dict[str, Any]]:
    return items((problem, "2steps_1", first), (problem, "2steps_2", second), (problem, "2steps_multi", whole))


def three_steps(problem: str, rights: str) -> list[dict[str, Any]]:
    keys = ("3steps_1", "3steps_2", "3steps_3", "3steps_multi")
    return items(*((problem, key, right == "1") for key, right in zip(keys, rights, strict=True)))


def test_four_dimensions_of_wemath_by_hand() -> None:
    """Five problems: mastered; mastered if loose; rote; inadequate generalization; insufficient knowledge."""
    asked = [
        *two_steps("a", True, True, True),
        *two_steps("b", True, False, True),
        *three_steps("c", "0001"),
        *three_steps("d", "1110"),
        *three_steps("e", "1100"),
    ]
    assert wemath.loose(asked) == pytest.approx(100 * (1 + 1 + 0 + 0.5 + 0) / 5)
    assert wemath.strict(asked) == pytest.approx(100 * (1 + 0 + 0 + 0.5 + 0) / 5)
    assert wemath.loose_standard_error(asked) == pytest.approx(100 * (1.0 / 4) ** 0.5 / 5**0.5)  # squares sum to 1
    assert (wemath.insufficient_knowledge(asked), wemath.inadequate_generalization(asked)) == (20, 20)
    assert (wemath.complete_mastery(asked), wemath.complete_mastery_strict(asked)) == (40, 20)
    assert wemath.rote_memorization(asked) == pytest.approx(100 / 3)
    assert wemath.rote_memorization_strict(asked) == pytest.approx(200 / 3)


def test_problems_that_lack_a_part_are_left_out() -> None:
    whole = two_steps("a", True, True, True)
    partial = [two_steps("b", False, False, False)[2], *three_steps("c", "0000")[:3], *items(("d", "strange", False))]
    assert wemath.loose([*whole, *partial]) == 100
    assert len(wemath.problems([*whole, *partial])) == 1


def test_fault_4_no_whole_problem_right_divides_nothing_by_zero(task_of: Tasks) -> None:  # noqa: F811
    task = task_of("uniopd_wemath")
    scores = scores_of(task, lambda row: "nothing" if row["key"].endswith("multi") else row["answer"])
    assert (scores["score"], scores["strict"], scores["inadequate_generalization"]) == (50, 50, 100)
    assert scores["accuracy"] == pytest.approx(100 * 5 / 7)
    assert math.isnan(scores["rote_memorization"])
    assert math.isnan(wemath.loose([]))


def test_fault_4_every_metric_of_wemath_is_a_number(task_of: Tasks) -> None:  # noqa: F811
    task = task_of("uniopd_wemath")
    scores = scores_of(task, right_answer(task))
    assert set(scores) >= set(wemath.METRICS)
    assert all(isinstance(scores[name], int | float) for name in wemath.METRICS)
    assert (scores["complete_mastery"], scores["rote_memorization"], scores["unknown"]) == (100, 0, 0)


def test_the_first_rows_of_wemath_are_whole_problems(task_of: Tasks) -> None:  # noqa: F811
    task = task_of("uniopd_wemath")
    assert [row["key"] for row in task.dataset["testmini"]][:3] == ["2steps_1", "2steps_2", "2steps_multi"]
    assert scores_of(task, right_answer(task), limit=4)["score"] == 100


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{B}", 1),
        ("B. 9 cm²", 1),
        ("\\boxed{9 cm²}", 1),
        ("\\boxed{9 \\text{ cm}^2}", 1),
        ("\\boxed{8 \\text{ cm}^2}", 0),
        ("\\boxed{9.0}", 0),  # of B as of D
        ("\\boxed{A}", 0),
        ("Bee", 0),
        *((text, 0) for text in HOSTILE),
    ],
)
def test_wemath(response: str, expected: float) -> None:
    row = {
        "ID": "a",
        "key": "2steps_1",
        "question": "?",
        "option": "A. 6 cm²;B. 9 cm²;C. 12 cm²;D. 9 cm³",
        "answer": "B",
    }
    assert reward(wemath, row, response) == expected
