"""LogicVista: puzzles from aptitude tests, whose answer is one option or several of them.

Rows have `question`, `answer` ("C", "A, C", or a number where options are numbered) and `image`. A question lists its
options ("(A) True (B) False"), or says which the picture shows ("Select from A-E"). The judge by a language model that
exists for it is left out.
"""

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.option_lists import grade_labels, shown_options
from uniopd_mm.tasks.benchmarks.pictures import picture_in, stated_question
from uniopd_mm.types import Outcome

INSTRUCTION = (
    "Please reason step by step, and put the letter of your choice, or all letters that apply, within \\boxed{}."
)

question = stated_question


def prompt(row: Row) -> str:
    return f"{question(row)}\n{INSTRUCTION}"


def target(row: Row) -> str:
    return str(row["answer"]).strip()


def grade(row: Row, response: str) -> Outcome:
    """Right where all options of the answer are taken, and no other."""
    return grade_labels(response, target(row), shown_options(question(row), target(row), "J"))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
