"""summary.json and the table at the end of a run: the accuracy of the student before and after, and of its teacher.

Left out: measuring these accuracies (run/validation.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from uniopd_mm.tracking.console import printable, terminal
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.proportions import percent
from uniopd_mm.tracking.records import standard
from uniopd_mm.types import Skip, UserError

FILE_NAME = "summary.json"
_ACCURACIES = ("accuracy_before", "accuracy_after", "teacher_accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A finished run. Accuracies are shares in [0, 1] by domain, None where nothing was measured.

    `num_questions` counts the held-out questions by domain. `seconds` covers the whole job. `left_out` counts unknown
    outcomes and teacher failures by reason. `grading` is that of the corpus: the level at which programs were isolated.
    `extra` holds further JSON values.
    """

    task: str
    steps: int
    accuracy_before: Mapping[str, float | None]
    accuracy_after: Mapping[str, float | None]
    teacher_accuracy: Mapping[str, float | None]
    num_questions: Mapping[str, int]
    seconds: float
    skipped: Sequence[Skip] = ()
    teacher_failures: int = 0
    unknown_outcomes: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    grading: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain with an accuracy, in order of first appearance."""
        return tuple(dict.fromkeys([*self.accuracy_before, *self.accuracy_after, *self.teacher_accuracy]))


def write_summary(folder: Path, summary: Summary) -> Path:
    """Write `folder`/summary.json atomically. `skipped` becomes its count and the list of skipped rows."""
    record = {entry.name: getattr(summary, entry.name) for entry in fields(summary)}
    record["skipped"] = {"count": len(summary.skipped), "items": [asdict(skip) for skip in summary.skipped]}
    path = folder / FILE_NAME
    text = json.dumps(standard(record), indent=2, allow_nan=False) + "\n"
    write_atomically(path, [text.encode()], run=folder)
    return path


def read_summary(folder: Path) -> Summary | None:
    """The run's summary, or None if the run has not finished. Raises UserError if the file cannot be parsed."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_bytes())
        skipped = tuple(Skip(**item) for item in record["skipped"]["items"])
        accuracies = {name: _shares(record[name]) for name in _ACCURACIES}
        return Summary(**{**record, **accuracies, "skipped": skipped})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a run's summary ({error}); delete the file") from error


def summary_table(summary: Summary) -> Table:
    """One row per domain: the number of questions, and each accuracy as `percent` writes it."""
    title = f"{summary.task}: {summary.steps} steps in {summary.seconds:.0f} s"
    table = Table(title=printable(title, terminal()), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("domain")
    for name in ("questions", "student before", "student after", "teacher"):
        table.add_column(name, justify="right")
    for row in table_rows(summary):
        table.add_row(*(printable(cell, terminal()) for cell in row))
    return table


def table_rows(summary: Summary) -> list[tuple[str, ...]]:
    """The cells of the table: domain, questions, student before, student after, teacher."""
    accuracies = (summary.accuracy_before, summary.accuracy_after, summary.teacher_accuracy)
    return [
        (
            domain,
            str(summary.num_questions.get(domain, "-")),
            *(percent(accuracy.get(domain), summary.num_questions.get(domain)) for accuracy in accuracies),
        )
        for domain in summary.domains
    ]


def overall(accuracy: Mapping[str, float | None], num_questions: Mapping[str, int]) -> float | None:
    """The mean over domains, weighted by their numbers of questions (1 for a domain without a number)."""
    known = [(value, num_questions.get(domain, 1)) for domain, value in accuracy.items() if value is not None]
    total = sum(count for _, count in known)
    return sum(value * count for value, count in known) / total if total else None


def _shares(entries: Mapping[str, float | str | None]) -> dict[str, float | None]:
    return {domain: None if entry is None else float(entry) for domain, entry in entries.items()}
