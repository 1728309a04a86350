"""What benchmarks of questions about videos share: choices, prompt, grading, and standard errors clustered by video.

Several questions are about the same video, so a model that misreads it gets several wrong. The standard error therefore
treats each video as a cluster. Left out: subtitles. Compare with published figures without them.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row, no_group
from uniopd_mm.tasks.benchmarks.metrics import Item, grouped
from uniopd_mm.tasks.grading.choices import format_choices, grade_choice, read_choices
from uniopd_mm.types import Outcome

INSTRUCTION = "Answer with the option's letter from the given choices directly."
ProcessResults = Callable[[Row, Sequence[Any]], dict[str, dict[str, Any]]]


def choice_benchmark(
    *,
    question: Callable[[Row], str],
    choices: Callable[[Row], Any],
    target: Callable[[Row], str | None],
    media: Callable[[Row], Sequence[Mapping[str, Any]]],
    group: Callable[[Row], str] = no_group,
) -> Benchmark:
    """A benchmark of multiple choice. `choices` returns what `read_choices` accepts. `target` returns a label or text,
    or None if the row has no answer. Neither may raise."""

    def prompt(row: Row, lmms_eval_specific_kwargs: Any = None) -> str:
        """Raises BadSample if there are no choices to show."""
        return f"{question(row)}\n{format_choices(read_choices(choices(row)))}\n{INSTRUCTION}"

    def grade(row: Row, response: str) -> Outcome:
        return grade_choice(response, target(row), choices(row))

    return Benchmark(question=question, prompt=prompt, grade=grade, media=media, group=group)


def label_at(index: Any) -> str | None:
    """The label of a 0-based index; None for anything else."""
    return chr(ord("A") + index) if isinstance(index, int) and 0 <= index < 26 else None


def detailed(
    benchmark: Benchmark, *, cluster: Callable[[Row], str], details: Callable[[Row], Sequence[str]] = lambda row: ()
) -> ProcessResults:
    """A `process_results` whose items name their video as "cluster", and also count in the metrics `details`."""

    def process_results(row: Row, results: Sequence[Any]) -> dict[str, dict[str, Any]]:
        items = {
            name: {**item, "cluster": cluster(row)} for name, item in benchmark.process_results(row, results).items()
        }
        return items | dict.fromkeys(details(row), items["score"])

    return process_results


def clustered_error(items: Sequence[Item]) -> float:
    """The standard error of `mean_of_groups`, on the scale of 0 to 100; NaN for one cluster.

    The mean is sum_i w_i x_i with w_i = 1 / (number of groups * size of i's group). With e_i = x_i minus the mean of
    its group, the variance is C / (C - 1) * sum over the C clusters of (sum of w_i e_i in it)^2. This is the linearised
    estimator with clusters as sampling units (for one group, see Miller 2024, arXiv 2411.00640). With one group and one
    question per cluster, it is the standard deviation divided by the square root of the number of questions.
    """
    groups = grouped(items)
    sums: defaultdict[str, float] = defaultdict(float)
    for members in groups.values():
        values = [fmean(item["scores"]) for item in members]
        mean = fmean(values)
        for item, value in zip(members, values, strict=True):
            sums[item["cluster"]] += (value - mean) / (len(groups) * len(members))
    if len(sums) < 2:
        return math.nan
    return 100 * math.sqrt(len(sums) / (len(sums) - 1) * sum(value**2 for value in sums.values()))


def in_turn(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """The first rows of all parts, then the second ones, and so on: the first n rows represent all parts."""
    longest = max(map(len, parts), default=0)
    return [part[index] for index in range(longest) for part in parts if index < len(part)]
