"""Maps a user's columns to a task's fields.

A map goes from our names to theirs. Theirs may be a place inside a column (`reward_model.ground_truth`,
`prompt.0.content`), a text around columns (`videos/{video_id}.mp4`), or a list of columns, whose values become one list
(`[a0, a1, a2]`). In a text, `{hint?}` may be empty. What a value means is left to the caller.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from uniopd_mm.tasks.grading.values import is_absent
from uniopd_mm.types import UserError

NO_COLUMNS: Mapping[str, Any] = MappingProxyType({})


def find(raw: Mapping[str, Any], column: str) -> Any:
    """The value of a column, or of a place inside it: dots lead into objects by key and into lists by number.

    Raises:
        KeyError: this row has no such place.
    """
    if column in raw:
        return raw[column]
    value: Any = raw
    for step in column.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.lstrip("-").isdecimal() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            raise KeyError(column)
    return value


def picked(raw: Mapping[str, Any], theirs: str | list[str]) -> Any:
    """The value of a column, of a text around columns, or of several columns as one list without trailing nulls.

    Raises:
        KeyError: the row has none of the columns.
    """
    if isinstance(theirs, str):
        return _filled(raw, theirs) if _PLACE.search(theirs) else find(raw, theirs)
    if not any(has(raw, column) for column in theirs):
        raise KeyError(", ".join(theirs))
    values = [find(raw, column) if has(raw, column) else None for column in theirs]
    while values and is_absent(values[-1]):
        values.pop()
    return values


_PLACE = re.compile(r"\{([^{}]+)\}")


def _filled(raw: Mapping[str, Any], text: str) -> str | None:
    """The text with its columns' values filled in, None if one of them is empty that may not be."""
    values = {name: _place(raw, name) for name in _PLACE.findall(text)}
    return None if None in values.values() else _PLACE.sub(lambda place: str(values[place[1]]), text).strip()


def _place(raw: Mapping[str, Any], name: str) -> Any:
    column = name.removesuffix("?")
    if column != name and not has(raw, column):
        return ""
    value = find(raw, column)
    return value if not is_absent(value) else "" if column != name else None


def has(raw: Mapping[str, Any], theirs: str | list[str]) -> bool:
    """Whether `picked` finds a value, which may be null."""
    try:
        picked(raw, theirs)
    except KeyError:
        return False
    return True


def top_level(theirs: str | list[str], raw: Mapping[str, Any]) -> set[str]:
    """The row's columns that an entry of the map reads as a whole."""
    return {column for column in places(theirs) if column in raw}


def places(theirs: str | list[str]) -> list[str]:
    """The columns, or places inside them, that an entry of the map reads."""
    entries = [theirs] if isinstance(theirs, str) else theirs
    return [name.removesuffix("?") for entry in entries for name in (_PLACE.findall(entry) or [entry])]


def shown(theirs: str | list[str]) -> str:
    """An entry of the map, as a person writes it."""
    return theirs if isinstance(theirs, str) else f"[{', '.join(theirs)}]"


def matches(raw: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether a row has all the values that `where` asks for. A list asks for any of its values."""
    for column, wanted in where.items():
        if not has(raw, column):
            return False
        value, choices = find(raw, column), wanted if isinstance(wanted, list) else [wanted]
        if not any(value == choice or str(value) == str(choice) for choice in choices):
            return False
    return True


def flattened(where: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested objects as dotted names, as in `where.a.b=1` on the command line."""
    for name, value in where.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def check_columns(columns: Mapping[str, Any]) -> None:
    """Raises UserError unless every value is a column's name or a list of them."""
    for ours, theirs in columns.items():
        names = theirs if isinstance(theirs, list) else [theirs]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise UserError(f"data.columns.{ours}={theirs}: must be a column name or a list of names, such as [a0,a1]")
