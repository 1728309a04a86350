"""AI2D: multiple choice about diagrams from science lessons.

Rows have `question`, `options` (texts), `answer` (the index of the right one, as a text) and `image`. Options are often
letters in the diagram. A letter in a response means the option with that letter in the prompt, even if another option's
text is the same letter.
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
    """The letter of the right option, "" if the row's answer is not an option."""
    index = str(row["answer"]).strip()
    letters = ascii_uppercase[: len(row["options"])]
    return letters[int(index)] if index.isdecimal() and int(index) < len(letters) else ""


def grade(row: Row, response: str) -> Outcome:
    return grade_choice(response, target(row), lettered(row["options"]))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image"))
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
