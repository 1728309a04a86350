"""LogicVista: puzzles from aptitude tests, whose answer is one or more options.

Rows have `question`, `answer` ("C", "A, C", or a number if the options are numbered) and `image`. A question lists its
options ("(A) True (B) False") or says which ones the picture shows ("Select from A-E"). Left out: the language model
that the authors use as a judge.
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
    """Right if the response takes all options of the answer and no other."""
    return grade_labels(response, target(row), shown_options(question(row), target(row), "J"))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
