r"""AIME and HMMT: problems of mathematics competitions, whose answer is one or more values.

Rows have `problem` and `answer`; HMMT's answers are LaTeX. The prompt is that of arXiv 2605.03677.
"""

import re

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.grading.answers import final_answer
from uniopd_mm.tasks.grading.math_answers import LONGEST_ANSWER, grade_math
from uniopd_mm.tasks.grading.math_numbers import read_number
from uniopd_mm.tasks.grading.math_spelling import spelled, squeezed
from uniopd_mm.types import Outcome

_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_LEADING_ZEROS = re.compile(r"^0+(?=[0-9])")  # AIME fills its answers up to three digits
INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


def question(row: Row) -> str:
    return str(row["problem"]).strip()


def prompt(row: Row) -> str:
    return f"{question(row)}\n{INSTRUCTION}"


def target(row: Row) -> str:
    return str(row["answer"])


def grade(row: Row, response: str) -> Outcome:
    return grade_math(response, _LEADING_ZEROS.sub("", target(row)))


def voted(response: str) -> str | None:
    r"""The final answer, with numbers in a normal form (0.5 for \frac12); None if there is no answer."""
    final = final_answer(response)
    if final is None or len(final.readings[-1]) > LONGEST_ANSWER:
        return None
    text = spelled(final.readings[-1]).replace(r"\usd ", "")
    number = read_number(_THOUSANDS.sub("", text))
    return str(number.value) if number else squeezed(text)


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, answer=voted)
messages, process_results = _BENCHMARK.messages, _BENCHMARK.process_results
