"""Media that no field reads: a prompt without them would be another question, so they are refused.

A path or address is no medium of its own if it names what is read: the same file, or where embedded media come from.
"""

import re
from collections.abc import Collection, Iterator
from os.path import basename
from typing import Any

from uniopd_mm.tasks.reading.columns import places, shown
from uniopd_mm.tasks.reading.kinds import embedded, kind_of, leaves
from uniopd_mm.tasks.reading.media import KINDS
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.types import Media, Sample, UserError

_NAMES = re.compile(r"image|img|video|picture|photo|clip|frame|media|screenshot|figure|(?:^|_)path$", re.IGNORECASE)
_PROVENANCE = re.compile(r"(?:url|id|name|source|path|file)s?$", re.IGNORECASE)
_INSIDE = re.compile(r"(?:\.\d+)*(?:\.(?:bytes|path|url|image|video|image_url))?$")
_SHORTEST = 3


def refuse_unread_media(sample: Sample, row: Row, fields: Collection[str], path: str) -> None:
    """Raises UserError if a column of the row that no field reads holds media."""
    read = [part for message in sample.messages for part in message.content if isinstance(part, Media)]
    mapped = {place for theirs in row.columns.values() for place in places(theirs)}
    for column, cell in row.others.items():
        for place, kind in _media(column, cell, read):
            if any(place == known or place.startswith(f"{known}.") for known in mapped):
                continue
            field = next(name for name, of in KINDS.items() if of == kind)
            whole = _INSIDE.sub("", place)
            ignored = f"leave it out with data.ignore=[{column}]"
            remedy = f"read it with data.columns.{field}={_joined(row, field, whole)}, or {ignored}"
            raise UserError(
                f"data.path={path}: {row.where}: column {whole} holds {kind}s that nothing reads; "
                f"{remedy if field in fields else ignored}"
            )


def _joined(row: Row, field: str, column: str) -> str:
    """What to map a field to, so that it reads this column besides those that it reads already."""
    if field not in row.fields:
        return column
    already = shown(row.columns.get(field, field)).strip("[]")
    return f"[{already.replace(', ', ',')},{column}]"


def _media(column: str, cell: Any, read: list[Media]) -> Iterator[tuple[str, str]]:
    """(place, kind) of the media in a cell."""
    for place, value in leaves(cell, column):
        if isinstance(value, int | float | None) or (isinstance(value, str) and len(value) <= _SHORTEST):
            continue
        kind = kind_of(value)
        if kind is None or any(value == medium.source for medium in read):
            continue
        if not embedded(value) and not _is_new(place, str(value), kind, read):
            continue
        yield place, kind


def _is_new(place: str, text: str, kind: str, read: list[Media]) -> bool:
    """Whether a path or address names a medium that is not read already."""
    if not _NAMES.search(place):
        return False
    same = [medium.source for medium in read if medium.kind == kind]
    if any(isinstance(source, str) and basename(source) == basename(text) for source in same):
        return False
    by_bytes = bool(same) and all(isinstance(source, bytes) or str(source).startswith("data:") for source in same)
    return not (same and (by_bytes or _PROVENANCE.search(place)))
