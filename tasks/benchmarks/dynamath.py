"""DynaMath: problems about pictures, each in ten variants with different numbers or pictures.

Rows have `id` (of the problem, the same for all its variants), `question`, `answer_type` ("float", "multiple choice" or
"text"), `ground_truth` and `decoded_image`. Two metrics: the average over all variants, and the worst case, in which a
problem counts only if all its variants are right.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.closed_forms import LONGEST, closed_value
from uniopd_mm.tasks.benchmarks.metrics import Item, grouped, standard_error
from uniopd_mm.tasks.benchmarks.option_lists import grade_labels, shown_options
from uniopd_mm.tasks.benchmarks.pictures import REASONED_ANSWER, REASONED_CHOICE, picture_in, stated_question
from uniopd_mm.tasks.grading.answers import final_answer, grade_open, literal_readings, right
from uniopd_mm.tasks.grading.chart_answers import read_quantity
from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.tasks.grading.math_forms import Form, TooDeep, Value, read_forms
from uniopd_mm.tasks.grading.math_numbers import read_number
from uniopd_mm.tasks.grading.math_spelling import is_words, spelled
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

TOLERANCE = Fraction(1, 1000)  # absolute, as published; references are rounded to three decimals
DECIMALS = "Give a number that is not an integer as a decimal with three places."

question = stated_question


def prompt(row: Row) -> str:
    asked = {"multiple choice": REASONED_CHOICE, "float": f"{DECIMALS} {REASONED_ANSWER}"}
    return f"{question(row)}\n{asked.get(row['answer_type'], REASONED_ANSWER)}"


def target(row: Row) -> str:
    return str(row["ground_truth"]).strip()


def grade(row: Row, response: str) -> Outcome:
    """By the row's type of answer: letters, a number within `TOLERANCE`, or the same text or value."""
    if row["answer_type"] == "multiple choice":
        return grade_labels(response, target(row), shown_options(question(row), target(row), "H"))
    if row["answer_type"] == "float":
        return grade_number(response, target(row))
    outcome = grade_open(response, target(row))
    value = outcome.correct is False and _is_value(target(row))
    return grade_math(response, target(row)) if value else outcome


def grade_number(response: str, reference: str) -> Outcome:
    """Right if within `TOLERANCE` of the reference, or mathematically equal to it ("50%" for 0.5)."""
    expected, final = read_number(reference), final_answer(response)
    if expected is None or final is None:
        return grade_math(response, reference)
    for reading in literal_readings(final):
        if any(abs(value - expected.value) <= TOLERANCE for value in _numbers(reading)):
            return right(f"{quote(reading)} is within {float(TOLERANCE)} of {reference}")
    return grade_math(response, reference)


def _numbers(reading: str) -> Iterator[Fraction]:
    r"""The number that a reading is or ends with: "2.09", "x = 2.09", "2\pi/3 \approx 2.094", "5 cm", "2\pi/3"."""
    said = reading.replace("\\approx", "=").replace("≈", "=").rpartition("=")[2].strip()
    if quantity := read_quantity(said):
        yield quantity.value
    if number := read_number(spelled(said)):
        yield number.value
    elif isinstance(form := _form(spelled(said)), Value) and not form.tail.percent:
        value = closed_value(form.text)
        if value is not None:
            yield Fraction(value)


def _form(text: str) -> Form | None:
    """The first reading of a text, with its unit separated; None if it is too long or too deeply nested."""
    try:
        return read_forms(text)[0] if len(text) <= LONGEST else None
    except TooDeep:
        return None


_CALCULATED = re.compile(r"[0-9+*/^=<>\\-]")


def _is_value(text: str) -> bool:
    """Whether a text is mathematics and not a word or name: AB is not BA."""
    return _CALCULATED.search(text) is not None and not is_words(spelled(text))


def standard_error_of_problems(items: Sequence[Item]) -> float:
    """The standard error of the average. The unit is the problem, because answers to its variants are similar."""
    merged = [{"scores": [score for item in group for score in item["scores"]]} for group in grouped(items).values()]
    return standard_error(merged)


def problem(row: Row) -> str:
    return str(row["id"])


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("decoded_image"), group=problem)
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals


def process_results(row: Row, results: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """`Benchmark.process_results`, and the item of the worst case."""
    items = _BENCHMARK.process_results(row, results)
    return {**items, "worst_case": items["score"]}
