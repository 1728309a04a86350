"""AI2D: multiple choice about diagrams of science lessons.

Rows have `question`, `options` (texts), `answer` (the index of the right one, as a text) and `image`. Options are often
letters that stand in the diagram; the prompt's own letter is the answer, and wins over an equal text.
"""

from string import ascii_uppercase

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.option_lists import lettered
from uniopd_mm.tasks.benchmarks.pictures import picture_in, stated_question
from uniopd_mm.tasks.grading.choices import format_choices, grade_choice
from uniopd_mm.types import Outcome

question = stated_question


def prompt(row: Row) -> str:
    choices = format_choices(lettered(row["options"]))
    return f"{question(row)}\n{choices}\nAnswer with the option's letter from the given choices directly."


def target(row: Row) -> str:
    """The letter of the right option, "" where the row names none of them."""
    index = str(row["answer"]).strip()
    letters = ascii_uppercase[: len(row["options"])]
    return letters[int(index)] if index.isdecimal() and int(index) < len(letters) else ""


def grade(row: Row, response: str) -> Outcome:
    return grade_choice(response, target(row), lettered(row["options"]))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
