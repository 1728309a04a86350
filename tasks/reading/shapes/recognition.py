"""Asks the recognisers what the rows of a source are.

A user's map comes first, then the task's own names, then what is recognised.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from uniopd_mm.tasks.reading.columns import NO_COLUMNS, places, shown
from uniopd_mm.tasks.reading.shapes import chats, choices, plain, programs, rewards
from uniopd_mm.tasks.reading.shapes.answers import check_answer
from uniopd_mm.tasks.reading.shapes.seen import Seen

NUM_ROWS = 64  # that are looked at
RECOGNISERS = (programs.recognise, rewards.recognise, chats.recognise, choices.recognise, plain.recognise)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """What rows were recognised as: the columns to map besides the user's own map, and those that must be empty.
    `said` is `columns` without what the first rows lack; see `Shape` for `benchmark`."""

    name: str = ""
    columns: Mapping[str, str | list[str]] = field(default_factory=lambda: NO_COLUMNS)
    said: Mapping[str, str | list[str]] = field(default_factory=lambda: NO_COLUMNS)
    benchmark: bool = False
    lost: Collection[str] = ()

    @property
    def line(self) -> str:
        """How the user is told; empty where nothing had to be recognised."""
        if not self.said:
            return ""
        said = [f"{ours} from {shown(theirs)}" for ours, theirs in self.said.items()]
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
        check_answer(seen, columns, path)
    names = [shape.name for shape in shapes if shape.name and set(shape.columns) & set(columns)]
    return Recognised(
        name=" and ".join(dict.fromkeys(names)),
        columns=columns,
        said={ours: there for ours, theirs in columns.items() if (there := _there(seen, theirs))},
        benchmark=any(shape.benchmark for shape in shapes),
        lost=tuple({name for shape in shapes for name in shape.lost if name not in fields}),
    )


def _there(seen: Seen, theirs: str | list[str]) -> str | list[str]:
    """What of an entry of the map has values in the first rows."""
    if isinstance(theirs, str):
        return theirs if any(seen.values(place) for place in places(theirs)) else ""
    return [column for column in theirs if seen.values(column)]


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
    return not seen.values(ours) and not any(column in fields for column in read - {"question", "response"})
