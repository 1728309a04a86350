"""The table of a multirun: a row for each combination of overrides, with mean and standard error over its seeds.

    overrides        seeds    student before   student after      teacher   seconds
    recipe=opd       3            41.0 ± 0.0      79.2 ± 1.1   98.1 ± 0.0    62 ± 3
    recipe=uni_opd   2 of 3       41.0 ± 0.0      84.5 ± 0.9   98.1 ± 0.0    64 ± 2

Leaves out: starting the runs (cli/command.py), and the uncertainty that comes from the number of questions
(tracking/proportions.py).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import final

from rich.table import Table

from uniopd_mm.run.folder import numbered
from uniopd_mm.tracking.console import note, terminal, warning
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import standard
from uniopd_mm.tracking.summary import Summary, overall, read_summary
from uniopd_mm.tracking.tables import table_of
from uniopd_mm.types import UserError

ALL = "all"
"""The domain of a row over all domains, weighted by their numbers of questions."""

NONE = "-"
"""The domain of a row whose runs all failed."""

UNITS = "Accuracy in %, mean ± standard error over seeds"

_PER_RUN = ("seed", "run.name")
_NAMES = ("overrides", "domain")  # columns of words; the others are numbers


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRun:
    """A run of a multirun that ended, successfully or not.

    `folder` is None if the run was refused before it had one; `error` says why it failed. A run without a summary.json
    counts as failed too.
    """

    folder: Path | None
    overrides: Sequence[str]
    error: str = ""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The mean over n runs, and its standard error sqrt(sum (x - mean)² / (n - 1) / n), None for a single run."""

    mean: float
    standard_error: float | None


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Runs that differ in their seed only, and how accurate their students and teachers are in one domain (shares in
    [0, 1]; None where no run measured it). Means are over the `num_seeds` runs that finished."""

    overrides: tuple[str, ...]
    domain: str
    num_seeds: int
    num_failed: int
    student_before: Estimate | None
    student_after: Estimate | None
    teacher: Estimate | None
    seconds: Estimate | None


def report_multirun(root: Path, runs: Sequence[FinishedRun]) -> Path:
    """Print the table of a multirun, and write it to a new folder `root`/multirun-<time>.

    Returns:
        The folder: multirun.md has the table, multirun.json the same numbers unrounded.

    Raises:
        UserError: the folder cannot be written.
    """
    results = [(run, *_result(run)) for run in runs]
    failed = [replace(run, error=error) for run, summary, error in results if summary is None]
    rows = multirun_rows([(run, summary) for run, summary, _ in results])
    shared = _shared([_combination(run) for run in runs])
    title = _title(rows, len(runs), len(failed))
    failures = [_failure(run, runs) for run in failed]
    folder = _new_folder(root)
    record = {"shared_overrides": shared, "rows": [asdict(row) for row in rows], "failed": [*map(_record, failed)]}
    _write(folder / "multirun.json", json.dumps(standard(record), indent=2, allow_nan=False) + "\n")
    _write(folder / "multirun.md", "".join(f"{line}\n" for line in _markdown(title, shared, _cells(rows), failures)))
    terminal().print(_table(title, _cells(rows)))
    for failure in failures:
        warning(failure)
    note(f"table {folder / 'multirun.md'}")
    return folder


def multirun_rows(results: Sequence[tuple[FinishedRun, Summary | None]]) -> list[Row]:
    """A row for each combination of overrides and domain, and one for all domains where there are several.

    A combination is a run's overrides without `seed` and `run.name`. A row names those in which combinations differ.

    Args:
        results: each run with its summary, None if it failed.
    """
    combinations: dict[tuple[str, ...], list[Summary | None]] = {}
    for run, summary in results:
        combinations.setdefault(_combination(run), []).append(summary)
    shared = _shared(list(combinations))
    return [
        row
        for overrides, summaries in combinations.items()
        for row in _rows_of(tuple(each for each in overrides if each not in shared), summaries)
    ]


def estimate(values: Iterable[float | None]) -> Estimate | None:
    """Of the values that are not None; None if there are none.

    estimate([1.0, 2.0, 6.0]) == Estimate(mean=3.0, standard_error=1.527...)    sqrt((4 + 1 + 9) / 2 / 3)
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    error = stdev(known) / sqrt(len(known)) if len(known) > 1 else None
    return Estimate(mean=fmean(known), standard_error=error)


def _result(run: FinishedRun) -> tuple[Summary | None, str]:
    """The summary of a run that finished, else why there is none."""
    if run.error or run.folder is None:
        return None, run.error or "it was refused"
    try:
        return read_summary(run.folder), "it did not finish: there is no summary.json"
    except UserError as error:
        return None, str(error)


def _combination(run: FinishedRun) -> tuple[str, ...]:
    """The run's overrides without those that may differ between its seeds."""
    plain = [override.lstrip("+") for override in run.overrides]
    return tuple(override for override in plain if override.partition("=")[0] not in _PER_RUN)


def _shared(combinations: Sequence[tuple[str, ...]]) -> list[str]:
    """The overrides that all of them have."""
    return [override for override in combinations[0] if all(override in each for each in combinations)]


def _rows_of(overrides: tuple[str, ...], summaries: Sequence[Summary | None]) -> Iterator[Row]:
    finished = [summary for summary in summaries if summary]
    domains = list(dict.fromkeys(domain for summary in finished for domain in summary.domains)) or [NONE]
    for domain in [*domains, ALL] if len(domains) > 1 else domains:
        yield Row(
            overrides=overrides,
            domain=domain,
            num_seeds=len(finished),
            num_failed=len(summaries) - len(finished),
            student_before=estimate(_accuracy(each, each.accuracy_before, domain) for each in finished),
            student_after=estimate(_accuracy(each, each.accuracy_after, domain) for each in finished),
            teacher=estimate(_accuracy(each, each.teacher_accuracy, domain) for each in finished),
            seconds=estimate(each.seconds for each in finished),
        )


def _accuracy(summary: Summary, accuracy: Mapping[str, float | None], domain: str) -> float | None:
    return overall(accuracy, summary.num_questions) if domain == ALL else accuracy.get(domain)


def _domains(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.domain for row in rows if row.domain != NONE))


def _title(rows: Sequence[Row], num_runs: int, num_failed: int) -> str:
    """The domain, if there is only one, and how many runs finished."""
    finished = f"{num_runs - num_failed} of {num_runs} runs finished"
    domains = _domains(rows)
    return f"{domains[0]}: {finished}" if len(domains) == 1 else finished


def _table(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """The table on the terminal. If it is too wide, names are wrapped and numbers are not."""
    table = table_of(f"{title}\n{UNITS}", rows, left=_NAMES)
    for column in table.columns:
        if column.header not in _NAMES:
            column.header, column.no_wrap = str(column.header).replace(" ", "\n"), True
    return table


def _cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The table as text by column, without `overrides` or `domain` if all rows have the same."""
    overrides, domains = any(row.overrides for row in rows), len(_domains(rows)) > 1
    return [
        ({"overrides": " ".join(row.overrides) or "-"} if overrides else {})
        | ({"domain": row.domain} if domains else {})
        | {
            "seeds": f"{row.num_seeds} of {row.num_seeds + row.num_failed}" if row.num_failed else f"{row.num_seeds}",
            "student before": _percent(row.student_before),
            "student after": _percent(row.student_after),
            "teacher": _percent(row.teacher),
            "seconds": _seconds(row.seconds),
        }
        for row in rows
    ]


def _percent(share: Estimate | None) -> str:
    if share is None:
        return "-"
    text = f"{100 * share.mean:.1f}"
    return text if share.standard_error is None else f"{text} ± {100 * share.standard_error:.1f}"


def _seconds(seconds: Estimate | None) -> str:
    if seconds is None:
        return "-"
    error = seconds.standard_error
    return f"{seconds.mean:.0f}" if error is None else f"{seconds.mean:.0f} ± {error:.0f}"


def _failure(run: FinishedRun, runs: Sequence[FinishedRun]) -> str:
    """One line: the overrides in which the run differs from the others, its folder, and why it failed."""
    common = _shared([tuple(each.overrides) for each in runs])
    named = [override.lstrip("+") for override in run.overrides if override not in common or len(runs) == 1]
    where = f" ({run.folder})" if run.folder else ""
    return f"{' '.join(named)}{where} failed: {run.error}"


def _record(run: FinishedRun) -> dict[str, object]:
    return {"folder": run.folder and str(run.folder), "overrides": list(run.overrides), "error": run.error}


def _markdown(
    title: str, shared: Sequence[str], rows: Sequence[Mapping[str, str]], failures: Sequence[str]
) -> Iterator[str]:
    """The table in GitHub's Markdown, the overrides of all runs, and the runs that failed."""
    yield from (f"# {title}", "", f"{UNITS}.", "")
    if shared:
        yield from (f"All runs: `{' '.join(shared)}`", "")
    yield _line(rows[0])
    yield _line(":--" if name in _NAMES else "--:" for name in rows[0])
    for row in rows:
        yield _line(row.values())
    yield from ("", *(f"- {' '.join(failure.split())}" for failure in failures)) if failures else ()


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _new_folder(root: Path) -> Path:
    """The folder of this multirun, which no other gets, even if it ends at the same time."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        names = numbered(f"multirun-{datetime.now():%Y%m%d-%H%M%S}")
        return next(folder for folder in map(root.joinpath, names) if _made(folder))
    except OSError as error:
        raise UserError(f"run.root={root}: {error.strerror}; choose a folder you can write to") from error


def _made(folder: Path) -> bool:
    """Whether the folder was created; False where it existed."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    write_atomically(path, [text.encode("utf-8", "replace")], run=None)
