"""MathVision: problems of mathematics competitions about pictures, a value or one of five options.

Rows have `question`, `options` (empty where a value is asked for), `answer` (a value or a letter) and `decoded_image`.
The judge by a language model that exists for it is left out.
"""

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.option_lists import lettered, taken_labels
from uniopd_mm.tasks.benchmarks.pictures import REASONED_ANSWER, REASONED_CHOICE, picture_in, stated_question
from uniopd_mm.tasks.choices import format_choices, grade_choice
from uniopd_mm.tasks.math_answers import grade_math
from uniopd_mm.types import Outcome

question = stated_question


def prompt(row: Row) -> str:
    if choices := _choices(row):
        return f"{question(row)}\n{format_choices(choices)}\n{REASONED_CHOICE}"
    return f"{question(row)}\n{REASONED_ANSWER}"


def target(row: Row) -> str:
    return str(row["answer"]).strip()


def grade(row: Row, response: str) -> Outcome:
    r"""By value where there are no options; else by letter or text, or by the right option's value (\sqrt{8} for the
    option 2\sqrt{2}) where the response takes none of them."""
    choices = _choices(row)
    if not choices:
        return grade_math(response, target(row))
    outcome = grade_choice(response, target(row), choices)
    value = choices.get(target(row), target(row))
    if outcome.correct is not False or value == target(row) or taken_labels(response, choices):
        return outcome
    by_value = grade_math(response, value)
    return outcome if by_value.correct is False else by_value


def _choices(row: Row) -> dict[str, str]:
    return lettered(row["options"] or ())


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("decoded_image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
