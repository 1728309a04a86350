"""DocVQA and InfographicVQA: questions about scanned pages and infographics, scored by ANLS against all references.

The rows of both have `question`, `answers` (a list) and `image`.
"""

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.pictures import picture_in, stated_question
from uniopd_mm.tasks.grading.document_answers import grade_anls
from uniopd_mm.types import Outcome

question = stated_question


def prompt(row: Row) -> str:
    return f"{question(row)}\nAnswer the question using a single word or phrase."


def target(row: Row) -> list[str]:
    """All right answers; empty in the test splits."""
    return [str(answer) for answer in row["answers"] or ()]


def grade(row: Row, response: str) -> Outcome:
    return grade_anls(response, target(row))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
