"""summary.json and the short table at a run's end: the student before and after, and its teacher, per domain.

Left out: any evaluation; the numbers come from the trainer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import sqrt
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import standard
from uniopd_mm.types import Skip, UserError

FILE_NAME = "summary.json"
_ACCURACIES = ("accuracy_before", "accuracy_after", "teacher_accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A finished run. Accuracies are shares in [0, 1] by domain, None where nothing was measured.

    `num_questions` counts the held-out questions by domain; `seconds` is the whole job's time; `left_out` counts
    unknown outcomes and failed teachers by their reasons; `extra` holds what a recipe wants to add and must be JSON.
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
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain with an accuracy, in the order of their first mention."""
        return tuple(dict.fromkeys([*self.accuracy_before, *self.accuracy_after, *self.teacher_accuracy]))


def write_summary(folder: Path, summary: Summary) -> Path:
    """Write `folder`/summary.json in one step. `skipped` stands there as its count and the names."""
    record = {entry.name: getattr(summary, entry.name) for entry in fields(summary)}
    record["skipped"] = {"count": len(summary.skipped), "items": [asdict(skip) for skip in summary.skipped]}
    path = folder / FILE_NAME
    text = json.dumps(standard(record), indent=2, allow_nan=False) + "\n"
    write_atomically(path, [text.encode()], run=folder)
    return path


def read_summary(folder: Path) -> Summary | None:
    """The run's summary, or None while it has not finished. Raises UserError where the file is not a summary."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_bytes())
        skipped = tuple(Skip(**item) for item in record["skipped"]["items"])
        accuracies = {name: _shares(record[name]) for name in _ACCURACIES}
        return Summary(**{**record, **accuracies, "skipped": skipped})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a run's summary ({error}); remove it") from error


def summary_table(summary: Summary) -> Table:
    """A row a domain: questions, and each accuracy in percent with its standard error."""
    title = f"{summary.task}: {summary.steps} steps in {summary.seconds:.0f} s"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("domain")
    for name in ("questions", "student before", "student after", "teacher"):
        table.add_column(name, justify="right")
    for row in table_rows(summary):
        table.add_row(*row)
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


def percent(accuracy: float | None, num_questions: int | None) -> str:
    """`80.0 % ± 2.0`, where the second number is sqrt(p (1 - p) / n) in points; "-" where nothing was measured.

    percent(0.8, 400) == "80.0 % ± 2.0"
    """
    if accuracy is None:
        return "-"
    text = f"{100 * accuracy:.1f} %"
    return f"{text} ± {100 * sqrt(accuracy * (1 - accuracy) / num_questions):.1f}" if num_questions else text


def overall(accuracy: Mapping[str, float | None], num_questions: Mapping[str, int]) -> float | None:
    """The mean over domains, weighted by their questions (equal weights where none are counted)."""
    known = [(value, num_questions.get(domain, 1)) for domain, value in accuracy.items() if value is not None]
    total = sum(count for _, count in known)
    return sum(value * count for value, count in known) / total if total else None


def _shares(entries: Mapping[str, float | str | None]) -> dict[str, float | None]:
    return {domain: None if entry is None else float(entry) for domain, entry in entries.items()}
