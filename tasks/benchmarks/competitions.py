r"""AIME and HMMT: problems in mathematics whose answer is one value, or several.

Rows have `problem` and `answer`; HMMT's answers are LaTeX. The prompt is that of arXiv 2605.03677.
"""

from uniopd_mm.tasks.answers import final_answer, normalise
from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.math_answers import grade_math
from uniopd_mm.types import Outcome

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


def question(row: Row) -> str:
    return str(row["problem"]).strip()


def prompt(row: Row) -> str:
    return f"{question(row)}\n{INSTRUCTION}"


def target(row: Row) -> str:
    return str(row["answer"])


def grade(row: Row, response: str) -> Outcome:
    return grade_math(response, target(row))


def voted(response: str) -> str | None:
    """The final answer as texts are compared, None where there is none."""
    final = final_answer(response)
    return normalise(final.readings[-1]) if final else None


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, answer=voted)
messages, process_results = _BENCHMARK.messages, _BENCHMARK.process_results
