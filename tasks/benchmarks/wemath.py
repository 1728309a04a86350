r"""We-Math: problems of two or three steps, each asked as a whole and step by step, all multiple choice.

Rows have `ID` (of the problem), `key` ("2steps_1", "2steps_2", "2steps_multi", "3steps_1" …), `question`, `option`
("A. 12;B. 15; C. No correct answer"), `answer` (a letter) and `image_path`, which is the picture itself.

The verdict on a problem (arXiv 2407.01284, section 3) depends on the whole and the steps:

                     whole right                       whole wrong
    all steps right  complete mastery                  inadequate generalization
    some             mastery if loose, rote if strict  insufficient knowledge
    none             rote memorization                 insufficient knowledge

The published score is the mean of 1 for complete mastery, 0.5 for inadequate generalization and 0 for the others. Rote
memorization is a share of the problems whose whole is right; the other rates are shares of all problems. Problems with
missing parts are left out, for example in a run of only some questions. Without any problem, every score is NaN.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.benchmarks.metrics import Item, grouped, standard_error
from uniopd_mm.tasks.benchmarks.option_lists import grade_labels, read_options, shown_options
from uniopd_mm.tasks.benchmarks.pictures import REASONED_CHOICE, picture_in, stated_question
from uniopd_mm.tasks.grading.choices import format_choices
from uniopd_mm.types import Outcome

question = stated_question


def prompt(row: Row) -> str:
    choices = read_options(str(row["option"]))
    shown = format_choices(choices) if choices else str(row["option"])
    return f"{question(row)}\n{shown}\n{REASONED_CHOICE}"


def target(row: Row) -> str:
    return str(row["answer"]).strip()


def grade(row: Row, response: str) -> Outcome:
    return grade_labels(response, target(row), shown_options(str(row["option"]), target(row), "H"))


def problem(row: Row) -> str:
    return str(row["ID"])


def process_docs(dataset: Any) -> Any:
    """The rows of a `datasets.Dataset` sorted by problem, so that the first n rows have whole problems."""
    keys = list(zip(dataset["ID"], dataset["key"], strict=True))
    return dataset.select(sorted(range(len(keys)), key=keys.__getitem__))


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=picture_in("image_path"), group=problem)
text, messages, visuals = _BENCHMARK.text, _BENCHMARK.messages, _BENCHMARK.visuals
METRICS = (
    *("score", "score_se", "strict", "accuracy", "insufficient_knowledge", "inadequate_generalization"),
    *("complete_mastery", "complete_mastery_strict", "rote_memorization", "rote_memorization_strict", "unknown"),
)


def process_results(row: Row, results: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The item of `Benchmark.process_results` for every metric, with the row's `key` added."""
    item = {**_BENCHMARK.process_results(row, results)["score"], "key": str(row["key"])}
    return dict.fromkeys(METRICS, item)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Whether each step of a problem, and the problem as a whole, were answered right."""

    steps: tuple[bool, ...]
    whole: bool


def loose(items: Sequence[Item]) -> float:
    """The published score, 0-100. A problem is mastered if the whole and at least one step are right."""
    return _share([_points(problem, any(problem.steps)) for problem in problems(items)])


def strict(items: Sequence[Item]) -> float:
    """The published score, 0-100. A problem is mastered if the whole and all steps are right."""
    return _share([_points(problem, all(problem.steps)) for problem in problems(items)])


def loose_standard_error(items: Sequence[Item]) -> float:
    """The standard error of `loose`. The unit is the problem."""
    return standard_error([{"scores": [_points(problem, any(problem.steps))]} for problem in problems(items)])


def insufficient_knowledge(items: Sequence[Item]) -> float:
    return _share([not problem.whole and not all(problem.steps) for problem in problems(items)])


def inadequate_generalization(items: Sequence[Item]) -> float:
    return _share([not problem.whole and all(problem.steps) for problem in problems(items)])


def complete_mastery(items: Sequence[Item]) -> float:
    """Loose: the whole and at least one step are right."""
    return _share([problem.whole and any(problem.steps) for problem in problems(items)])


def complete_mastery_strict(items: Sequence[Item]) -> float:
    return _share([problem.whole and all(problem.steps) for problem in problems(items)])


def rote_memorization(items: Sequence[Item]) -> float:
    """Loose: the share without any right step, among the problems whose whole is right. NaN if there are none."""
    return _share([not any(problem.steps) for problem in problems(items) if problem.whole])


def rote_memorization_strict(items: Sequence[Item]) -> float:
    return _share([not all(problem.steps) for problem in problems(items) if problem.whole])


def problems(items: Sequence[Item]) -> list[Problem]:
    """The problems whose parts were all asked."""
    found = (_problem({item["key"]: all(item["correct"]) for item in group}) for group in grouped(items).values())
    return [problem for problem in found if problem]


_WHOLE = re.compile(r"([1-9])steps_multi")


def _problem(parts: dict[str, bool]) -> Problem | None:
    whole = next((match for match in map(_WHOLE.fullmatch, parts) if match), None)
    if whole is None:
        return None
    names = [f"{whole[1]}steps_{number}" for number in range(1, int(whole[1]) + 1)]
    if not all(name in parts for name in names):
        return None
    return Problem(steps=tuple(parts[name] for name in names), whole=parts[whole[0]])


def _points(problem: Problem, mastered: bool) -> float:
    if problem.whole:
        return float(mastered)
    return 0.5 * all(problem.steps)


def _share(values: Sequence[float]) -> float:
    return 100 * fmean(values) if values else math.nan
