"""The scores of a sweep side by side: which checkpoints and benchmarks there are, and their means.

Not here: how they are shown (table.py, pictures.py, page.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from uniopd_mm.evaluation.records import Paper, Score, Status

FIGURES = {"student": "student", "opd": "OPD", "uni_opd": "Uni-OPD"}  # field of Paper -> its name in the paper
_OURS = "uniopd_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """A row: the score of each checkpoint on one task, None if missing. `paper` has the task's published figures."""

    task: str
    title: str
    domain: str
    paper: Paper
    scores: tuple[Score | None, ...]

    @property
    def is_ours(self) -> bool:
        return self.task.startswith(_OURS)

    @property
    def values(self) -> tuple[float | None, ...]:
        """One value per checkpoint; None unless finite."""
        return tuple(None if score is None else finite(score.value) for score in self.scores)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """A mean over `count` benchmarks, with its standard error, which is None if any of theirs is unknown. `marked`: see
    `is_marked`."""

    value: float
    standard_error: float | None
    count: int
    marked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """`labels` are short, unique names of `checkpoints`. Benchmarks of one domain are adjacent."""

    checkpoints: tuple[str, ...]
    labels: tuple[str, ...]
    benchmarks: tuple[Benchmark, ...]

    @property
    def domains(self) -> dict[str, list[Benchmark]]:
        domains: dict[str, list[Benchmark]] = {}
        for benchmark in self.benchmarks:
            domains.setdefault(benchmark.domain, []).append(benchmark)
        return domains

    @property
    def figures(self) -> tuple[str, ...]:
        """The fields of Paper for which any benchmark has a figure."""
        return tuple(name for name in FIGURES if any(getattr(row.paper, name) is not None for row in self.benchmarks))


def compare(scores: Sequence[Score]) -> Comparison:
    """Checkpoints, domains and tasks are in the order of their first mention. For the same (checkpoint, task), the last
    score counts."""
    checkpoints = tuple(dict.fromkeys(score.checkpoint for score in scores))
    by_pair = {(score.checkpoint, score.task): score for score in scores}
    domains = list(dict.fromkeys(score.domain for score in scores))
    first = {score.task: score for score in reversed(scores)}
    tasks = dict.fromkeys(score.task for score in scores)
    rows = [
        Benchmark(
            task=task,
            title=first[task].title,
            domain=first[task].domain,
            paper=first[task].paper,
            scores=tuple(by_pair.get((checkpoint, task)) for checkpoint in checkpoints),
        )
        for task in tasks
    ]
    ordered = tuple(sorted(rows, key=lambda row: domains.index(row.domain)))
    return Comparison(checkpoints=checkpoints, labels=short_names(checkpoints), benchmarks=ordered)


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """The end of each path, as long as needed to tell them apart.

    short_names(["runs/a/checkpoints/step_50", "Qwen/Qwen3-VL-2B"]) == ("a/step_50", "Qwen3-VL-2B")
    """
    parts = {name: _distinctive_parts(name) for name in names}
    for length in range(1, max((len(entry) for entry in parts.values()), default=0) + 1):
        short = ["/".join(parts[name][-max(length, _min_parts(parts[name])) :]) for name in names]
        if len(set(short)) == len(set(names)):
            return tuple(short)
    return tuple(names)


def _distinctive_parts(name: str) -> list[str]:
    """A path's parts, without those that every run's checkpoint shares."""
    parts = [part for part in name.split("/") if part]
    return [part for part in parts if part != "checkpoints"] or [name]


def _min_parts(parts: Sequence[str]) -> int:
    """`step_50` alone is not informative."""
    return 2 if parts[-1].startswith("step_") else 1


def in_common(rows: Sequence[Benchmark]) -> list[Benchmark]:
    """The rows for which every checkpoint has a value."""
    return [row for row in rows if row.scores and all(value is not None for value in row.values)]


def mean_of_checkpoint(rows: Sequence[Benchmark], index: int) -> Mean | None:
    """Mean over rows that all have a value for this checkpoint; None without rows. Treats benchmarks as independent."""
    scores = [score for row in rows if (score := row.scores[index]) is not None and score.value is not None]
    errors = [finite(score.standard_error) for score in scores]
    known = [error for error in errors if error is not None]
    marked = any(is_marked(score) for score in scores)
    error = math.sqrt(sum(error**2 for error in known)) / len(errors) if known and len(known) == len(errors) else None
    return _mean([score.value for score in scores], error, marked=marked)


def mean_of_paper(rows: Sequence[Benchmark], name: str) -> Mean | None:
    """Mean over the rows for which the paper has this figure."""
    return _mean([getattr(row.paper, name) for row in rows], None)


def mean_difference(rows: Sequence[Benchmark]) -> Mean | None:
    return _mean([minus_uni_opd(row) for row in rows], None)


def mean_gain(rows: Sequence[Benchmark]) -> Mean | None:
    return _mean([gain(row) for row in rows], None)


def minus_uni_opd(row: Benchmark) -> float | None:
    """The last checkpoint minus the paper's Uni-OPD."""
    return _minus(row.values[-1], row.paper.uni_opd)


def gain(row: Benchmark) -> float | None:
    """The last checkpoint minus the first."""
    return _minus(row.values[-1], row.values[0])


def is_marked(score: Score) -> bool:
    """Whether the value must not be compared without a remark."""
    return score.value is not None and (score.status is not Status.DONE or bool(score.departures))


def finite(value: float | None) -> float | None:
    """The value, or None unless it is a finite number."""
    return value if value is not None and math.isfinite(value) else None


def _mean(values: Sequence[float | None], error: float | None, *, marked: bool = False) -> Mean | None:
    known = [value for value in values if value is not None]
    return Mean(value=fmean(known), standard_error=error, count=len(known), marked=marked) if known else None


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def groups_of(entries: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Group (key, member) pairs by key, in order."""
    groups: dict[str, list[str]] = {}
    for key, member in entries:
        groups.setdefault(key, []).append(member)
    return groups
