"""Warnings in words: when they come, that they come once, and that learning raises none."""

from collections.abc import Mapping, Sequence

import pytest

from uniopd_mm.distill.watch import warnings

Steps = Sequence[Mapping[str, float]]


def told(steps: Steps, **window: int) -> list[tuple[int, str]]:
    """Every warning of a run with the number of its step, as the trainer asks for them: after each step."""
    return [(number, text) for number in range(1, len(steps) + 1) for text in warnings(steps[:number], **window)]


def when(steps: Steps, **window: int) -> list[int]:
    return [number for number, _ in told(steps, **window)]


def of(**columns: Sequence[float]) -> Steps:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def line(start: float, end: float, count: int) -> list[float]:
    return [start + (end - start) * index / (count - 1) for index in range(count)]


def test_a_run_without_steps_or_values_has_none() -> None:
    assert warnings([]) == []
    assert when([{}, {"reward": 1.0}] * 10) == []


def test_an_auc_below_one_half_is_told_when_a_whole_window_has_it() -> None:
    assert when(of(auc=[0.4] * 9)) == [5]
    assert when(of(auc=[0.5] * 9)) == []
    assert when(of(auc=[0.4] * 4)) == []
    # Means over 3: 0.6, 0.5, 0.4, 0.4, 0.5, 0.6, 0.5, 0.4
    assert when(of(auc=[0.6, 0.6, 0.6, 0.3, 0.3, 0.6, 0.6, 0.6, 0.3, 0.3]), window=3) == [5, 10]


def test_steps_that_did_not_measure_it_are_passed_over() -> None:
    steps = [{"auc": 0.4}, {}, {"auc": 0.4}, {}, {"auc": 0.4}, {}, {"auc": 0.4}, {}]
    assert when(steps, window=3) == [5]


def test_the_warning_names_who_it_is_about() -> None:
    step = {"auc": 0.6, "domain/math/auc": 0.8, "domain/a/b/auc": 0.25, "teacher/coder/auc": 0.25, "teacher/t/auc": 0.8}
    ((number, text),) = told([step] * 6)
    assert number == 5
    assert text.startswith("supervision is unreliable for domain a/b, teacher coder: ")
    assert "mean AUC 0.250 over the last 5 steps" in text and "\n" not in text
    ((_, text),) = told([{"auc": 0.25}] * 5)
    assert text.startswith("supervision is unreliable for all samples together: ")


def test_who_gets_unreliable_later_is_told_later() -> None:
    steps = of(**{"teacher/a/auc": [0.4] * 8, "teacher/b/auc": [0.6] * 4 + [0.2] * 4})
    assert [(number, text.split(":")[0][-9:]) for number, text in told(steps, window=3)] == [
        (3, "teacher a"),
        (5, "teacher b"),  # (0.6 + 0.6 + 0.2) / 3
    ]


def test_a_student_whose_entropy_falls_as_it_learns_is_left_alone() -> None:
    demo = of(
        accuracy=line(0.3, 0.98, 40),
        entropy=[0.5 * 0.8**index for index in range(40)],
        teacher_entropy=[0.05] * 40,
        response_length=line(12.0, 2.0, 40),
    )
    assert when(demo) == []


@pytest.mark.parametrize("accuracy", [0.3, 0.0])
@pytest.mark.parametrize(("name", "start"), [("entropy", 1.0), ("response_length", 200.0)])
def test_a_student_that_falls_off_and_learns_nothing_is_told_of(name: str, start: float, accuracy: float) -> None:
    fallen = [start] * 5 + [start * 0.1] * 10
    steps = of(**{name: fallen, "accuracy": [accuracy] * 15})
    ((number, text),) = told(steps)
    # Over 5 steps with 4 fallen ones the mean is still (1 + 4 * 0.1) / 5 = 0.28 of the start.
    assert number == 10
    assert text.startswith(f"the student seems to collapse: {name.replace('_', ' ')} {start * 0.1:.3g} ")
    assert f"after {start:.3g} in the first 5" in text
    assert f"accuracy went from {accuracy:.1%} to {accuracy:.1%}" in text


def test_a_collapse_that_comes_back_is_told_again() -> None:
    steps = of(entropy=[1.0] * 5 + [0.1] * 5 + [1.0] * 5 + [0.1] * 5, accuracy=[0.3] * 20)
    assert when(steps) == [10, 20]


def test_accuracy_that_is_high_or_has_risen_is_no_collapse() -> None:
    fallen = [1.0] * 5 + [0.01] * 10
    assert when(of(entropy=fallen, accuracy=[0.95] * 15)) == []
    assert when(of(entropy=fallen, accuracy=[0.3] * 5 + [0.4] * 10)) == []
    assert when(of(entropy=fallen, accuracy=[0.95] * 5 + [0.5] * 10)) == [10]


def test_without_outcomes_a_fall_is_told() -> None:
    ((_, text),) = told(of(entropy=[1.0] * 5 + [0.01] * 10))
    assert "no outcome shows progress" in text


def test_a_student_may_get_as_sure_as_its_teacher() -> None:
    fallen = {"entropy": [1.0] * 5 + [0.1] * 10, "accuracy": [0.3] * 15}
    assert when(of(**fallen, teacher_entropy=[0.1] * 15)) == []
    assert when(of(**fallen, teacher_entropy=[0.6] * 15)) == [10]
    short = of(response_length=[200.0] * 5 + [10.0] * 10, accuracy=[0.3] * 15, teacher_entropy=[0.1] * 15)
    assert when(short) == [10], "which says nothing of lengths"


def test_the_first_steps_are_not_compared_with_themselves() -> None:
    assert when(of(entropy=[1.0, 1.0, 0.01, 0.01, 0.01], accuracy=[0.3] * 5), window=3) == []


def test_what_is_not_a_number_raises_no_warning() -> None:
    assert when(of(auc=[float("nan")] * 12, entropy=[1.0] * 5 + [float("nan")] * 7)) == []
