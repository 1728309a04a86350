"""Asks the recognisers what the rows of a source are, and settles what the answers come to.

A user's map comes first, then the task's own names, then what is recognised. Rows whose answer could be either of two
columns are refused.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from uniopd_mm.tasks.grading.answers import last_boxed, last_tagged
from uniopd_mm.tasks.grading.choices import read_label
from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.columns import NO_COLUMNS, find, has, picked, places, shown
from uniopd_mm.tasks.reading.options import read_options
from uniopd_mm.tasks.reading.shapes import chats, choices, plain, rewards
from uniopd_mm.tasks.reading.shapes.seen import Seen
from uniopd_mm.types import BadSample, UserError

NUM_ROWS = 64  # that are looked at
RECOGNISERS = (rewards.recognise, chats.recognise, choices.recognise, plain.recognise)
# Columns beside `answer` that claim to be the answer too; `label` or `target` often are something else.
_RIVALS = tuple(name for name in plain.FINAL_ANSWERS if name not in ("answers", "target", "label", "labels"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """What rows were recognised as: the columns to map besides the user's own map, and those not to read by name."""

    name: str = ""
    columns: Mapping[str, str | list[str]] = field(default_factory=lambda: NO_COLUMNS)
    unused: Collection[str] = ()

    @property
    def line(self) -> str:
        """How the user is told; empty where nothing had to be recognised."""
        if not self.columns and not self.unused:
            return ""
        said = [f"{ours} from {shown(theirs)!s}" for ours, theirs in self.columns.items()]
        said += [f"{name} is the benchmark's own and divides nothing" for name in self.unused]
        text = ", ".join(said).replace("\n", " ")
        return f"read as{f' {self.name}' if self.name else ''}: {text}; data.columns.NAME=COLUMN overrides"


def recognise(
    rows: tuple[Mapping[str, Any], ...], fields: Collection[str], given: Mapping[str, str | list[str]], path: str
) -> Recognised:
    """What the first rows of a source are. `given` is the user's map.

    Raises:
        UserError: the answer could be either of two columns whose values differ.
    """
    seen = Seen(rows)
    shapes = [shape for recogniser in RECOGNISERS if (shape := recogniser(seen)) is not None]
    columns: dict[str, str | list[str]] = {}
    for shape in shapes:
        for ours, theirs in shape.columns.items():
            if _is_free(seen, ours, theirs, fields, given):
                columns.setdefault(ours, theirs)
    if "answer" in fields and "answer" not in given and "tests" not in fields:
        _check_answer(seen, columns, path)
    names = [shape.name for shape in shapes if shape.name and set(shape.columns) & set(columns)]
    unused = {name for shape in shapes for name in shape.unused if name in fields and name not in given}
    return Recognised(name=" and ".join(dict.fromkeys(names)), columns=columns, unused=tuple(sorted(unused)))


def _is_free(
    seen: Seen, ours: str, theirs: str | list[str], fields: Collection[str], given: Mapping[str, str | list[str]]
) -> bool:
    """Whether a recognised column may fill a field: neither the user nor a column of the field's own name does, and
    the task reads none of its columns by another name."""
    if ours not in fields or ours in given or ("tests" in fields and ours == "answer"):
        return False
    read = {place.partition(".")[0] if not seen.has_column(place) else place for place in places(theirs)}
    if ours in read:
        return isinstance(theirs, list) or theirs != ours
    return not seen.values(ours) and not any(column in fields for column in read - {"question"})


def _check_answer(seen: Seen, columns: Mapping[str, str | list[str]], path: str) -> None:
    chosen = columns.get("answer", "answer")
    if isinstance(chosen, list) or not seen.values(chosen):
        return
    named = plain.FINAL_ANSWERS if chosen != "answer" else _RIVALS
    rivals = dict.fromkeys(column for name in named if (column := seen.actual(name)) and column != chosen)
    for rival in rivals:
        for row in seen.rows:
            if not _agree(row, chosen, rival, columns.get("choices", "choices")):
                one, other = quote(find(row, chosen), 30), quote(find(row, rival), 30)
                raise UserError(
                    f"data.path={path}: the answer could be column {chosen} ({one}) or column {rival} ({other}); give "
                    f"data.columns.answer={chosen} or data.columns.answer={rival}"
                )


def _agree(row: Mapping[str, Any], one: str, other: str, options: str | list[str]) -> bool:
    """Whether two columns of a row give the same answer, as a text or as a choice. An empty one says nothing."""
    cells = [find(row, column) if has(row, column) else None for column in (one, other)]
    if any(is_absent(cell) for cell in cells):
        return True
    first, second = ({_plain(entry) for entry in (cell if isinstance(cell, list) else [cell])} for cell in cells)
    if first & second:
        return True
    with suppress(BadSample, KeyError):
        listed = read_options(picked(row, options))
        return listed is not None and read_label(cells[0], listed) == read_label(cells[1], listed)
    return False


def _plain(entry: Any) -> str:
    text = str(entry["answer"] if isinstance(entry, Mapping) and "answer" in entry else entry).strip()
    marked = last_tagged(text) or last_boxed(text) or text.rpartition("####")[2].strip() or text
    return marked.strip(" $.").casefold()
