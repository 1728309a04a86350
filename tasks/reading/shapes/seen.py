"""The first rows of a source, as a recogniser looks at them, and what it finds."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from uniopd_mm.tasks.grading.values import is_absent
from uniopd_mm.tasks.reading.columns import NO_COLUMNS, find, has
from uniopd_mm.tasks.reading.kinds import is_chat


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Rows of a known shape.

    `columns` go from the task's names to the rows' own, as in `data.columns`. `lost` are columns with turns or tools
    that a prompt cannot keep. In a `benchmark`, `split` names its parts, which need not have one to train on.
    """

    name: str
    columns: Mapping[str, str | list[str]] = field(default_factory=lambda: NO_COLUMNS)
    benchmark: bool = False
    lost: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """The first rows. Names are matched without regard to case, and spaces and hyphens count as underscores."""

    rows: tuple[Mapping[str, Any], ...]

    def actual(self, name: str) -> str | None:
        """The column of that name in which some row has a value, as the rows spell it; it may be a place inside one.
        None if there is none."""
        spelt = dict.fromkeys(column for row in self.rows for column in row)
        same = [column for column in spelt if column == name] or [column for column in spelt if plain(column) == name]
        if not same and "." in name:
            same = [name]
        return next((column for column in same if self.values(column)), None)

    def has_column(self, name: str) -> bool:
        """Whether some row has a column of exactly this name."""
        return any(name in row for row in self.rows)

    def values(self, column: str) -> list[Any]:
        """The cells of a column that are not empty."""
        cells = [find(row, column) for row in self.rows if has(row, column)]
        return [cell for cell in cells if not is_absent(cell)]

    def first(self, names: Iterable[str], fits: Callable[[Any], bool] = lambda value: True) -> str | None:
        """The first of the columns that the rows have and all of whose cells fit."""
        for name in names:
            column = self.actual(name)
            if column is not None and all(fits(cell) for cell in self.values(column)):
                return column
        return None

    def series(self, names: Sequence[str], least: int = 1) -> list[str]:
        """The columns of a numbered or lettered series whose first `least` columns have values: as the rows spell those
        that they have, or all names, because later rows may have more of them than the first."""
        found = [column for name in names if (column := self.actual(name)) is not None]
        if len(found) < least or any(self.actual(name) is None for name in names[:least]):
            return []
        return list(names) if found == list(names[: len(found)]) else found


def plain(column: str) -> str:
    """How names of columns are compared."""
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def is_text(value: Any) -> bool:
    """Whether a cell is a text or a number."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def is_asked(value: Any) -> bool:
    """Whether a cell can be a question: a text, or a chat."""
    return isinstance(value, str) or is_chat(value)
