"""MathVision: problems of mathematics competitions about pictures. The answer is a value or one of five options.

Rows have `question`, `options` (empty if the answer is a value), `answer` (a value or a letter) and `decoded_image`.
Left out: the language model that the authors use as a judge.
"""

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.option_lists import grade_label_or_value, lettered
from uniopd_mm.tasks.benchmarks.pictures import REASONED_ANSWER, REASONED_CHOICE, picture_in, stated_question
from uniopd_mm.tasks.grading.choices import format_choices
from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.types import Outcome

question = stated_question


def prompt(row: Row) -> str:
    if choices := _choices(row):
        return f"{question(row)}\n{format_choices(choices)}\n{REASONED_CHOICE}"
    return f"{question(row)}\n{REASONED_ANSWER}"


def target(row: Row) -> str:
    return str(row["answer"]).strip()


def grade(row: Row, response: str) -> Outcome:
    """By value if there are no options; otherwise by letter, text or value of the right option."""
    choices = _choices(row)
    return grade_label_or_value(response, target(row), choices) if choices else grade_math(response, target(row))


def _choices(row: Row) -> dict[str, str]:
    return lettered(row["options"] or ())


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("decoded_image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
