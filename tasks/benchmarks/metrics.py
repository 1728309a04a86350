"""Metrics over the items of a benchmark's questions (`Benchmark.process_results`), on a scale of 0 to 100.

The sampling unit of every standard error is the question, because responses to one question are not independent.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

Item = Mapping[str, Any]


def mean_score(items: Sequence[Item]) -> float:
    """Mean over questions of the mean over their responses: accuracy, avg@k, ANLS."""
    return 100 * fmean(fmean(item["scores"]) for item in items)


def standard_error(items: Sequence[Item]) -> float:
    """The standard error of `mean_score`: the standard deviation of the questions' means, divided by the square root of
    their number. NaN for one question."""
    means = [fmean(item["scores"]) for item in items]
    return 100 * stdev(means) / math.sqrt(len(means)) if len(means) > 1 else math.nan


def mean_of_groups(items: Sequence[Item]) -> float:
    """Mean over groups of `mean_score`. All groups have the same weight, whatever their size."""
    return fmean(mean_score(group) for group in grouped(items).values())


def standard_error_of_groups(items: Sequence[Item]) -> float:
    """The standard error of `mean_of_groups`: the groups are fixed, their questions are a sample. NaN if a group has
    only one question."""
    errors = [standard_error(group) for group in grouped(items).values()]
    return math.sqrt(sum(error**2 for error in errors)) / len(errors)


def worst_of_groups(items: Sequence[Item]) -> float:
    """Share of groups in which all responses to all questions are right: the worst case over variants."""
    groups = grouped(items).values()
    return 100 * fmean(all(all(item["correct"]) for item in group) for group in groups)


def unknown(items: Sequence[Item]) -> int:
    """The number of responses that could not be judged; their score is 0."""
    return sum(item["unknown"] for item in items)


def pass_at(k: int, items: Sequence[Item]) -> float:
    """The unbiased pass@k, 1 - C(n - c, k) / C(n, k), of n responses of which c are right (Chen et al. 2021,
    arXiv 2107.03374, equation 1), averaged over questions.

    Raises:
        ValueError: a question has fewer than k responses.
    """
    return 100 * fmean(_pass_at(k, len(item["correct"]), sum(item["correct"])) for item in items)


def pass_at_k(items: Sequence[Item]) -> float:
    """pass@k of all k responses that each question has."""
    return pass_at(min(len(item["correct"]) for item in items), items)


def _pass_at(k: int, n: int, c: int) -> float:
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {n} responses: k must be from 1 to {n}")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def grouped(items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items by their groups, in order of the groups' names."""
    ordered = sorted(items, key=lambda item: item["group"])
    return {name: list(group) for name, group in groupby(ordered, key=lambda item: item["group"])}
