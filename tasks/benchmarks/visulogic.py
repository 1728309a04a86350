"""VisuLogic: puzzles that are hard to put into words, each with four options in the picture.

Rows have `question`, which lists the options, `label` (a letter) and `image_path`, the name of a picture in the data
set's zip. Pictures are looked for when they are needed, not when this module is imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import media_file
from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row, image
from uniopd_mm.tasks.benchmarks.option_lists import grade_labels, shown_options
from uniopd_mm.tasks.benchmarks.pictures import REASONED_CHOICE, stated_question
from uniopd_mm.types import Outcome

REPOSITORY = "VisuLogic/VisuLogic"

question = stated_question


def prompt(row: Row) -> str:
    return f"{question(row)}\n{REASONED_CHOICE}"


def target(row: Row) -> str:
    return str(row["label"]).strip().upper()


def grade(row: Row, response: str) -> Outcome:
    return grade_labels(response, target(row), shown_options(question(row), target(row), "D"))


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    """Raises what `media_file` raises."""
    return [image(media_file(REPOSITORY, str(row["image_path"])))]


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=media)
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = _BENCHMARK.process_results
