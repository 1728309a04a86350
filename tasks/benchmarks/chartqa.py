"""ChartQA: questions about charts, written by people ("human") or from summaries ("augmented"); relaxed accuracy.

Rows have `type` ("human_test" or "augmented_test"), `question`, `answer` and `image`.
"""

from collections.abc import Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.pictures import picture_in, stated_question
from uniopd_mm.tasks.grading.chart_answers import grade_relaxed
from uniopd_mm.types import Outcome

question = stated_question


def prompt(row: Row) -> str:
    return f"{question(row)}\nAnswer the question with a single word."


def target(row: Row) -> str:
    return str(row["answer"])


def grade(row: Row, response: str) -> Outcome:
    return grade_relaxed(response, target(row))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals


def process_results(row: Row, results: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """`Benchmark.process_results`, and the same item under the name of the question's half."""
    items = _BENCHMARK.process_results(row, results)
    half = "human" if str(row["type"]).startswith("human") else "augmented"
    return {**items, half: items["score"]}
