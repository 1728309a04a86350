"""Media that no field reads: a prompt without them would be another question, so they are refused.

A path or address is no medium of its own if it names what is read: the same file, or where embedded media come from.
"""

import re
from collections.abc import Collection, Iterator
from os.path import basename
from typing import Any

from uniopd_mm.tasks.reading.columns import places
from uniopd_mm.tasks.reading.kinds import embedded, is_chat, kind_of, leaves, may_be_medium
from uniopd_mm.tasks.reading.media import KINDS
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.types import Media, Sample, UserError

_NAMES = re.compile(r"image|img|video|picture|photo|clip|frame|media|screenshot|figure|(?:^|_)path$", re.IGNORECASE)
_PROVENANCE = re.compile(r"(?:url|id|name|source|path|file)s?$", re.IGNORECASE)
_INSIDE = re.compile(r"(?:\.\d+)+(?:\.(?:image|video|image_url))?(?:\.(?:bytes|path|url))?$|\.(?:bytes|path|url)$")


def refuse_unread_media(sample: Sample, row: Row, fields: Collection[str], path: str) -> None:
    """Raises UserError if a column of the row that no field reads holds media."""
    read = [part for message in sample.messages for part in message.content if isinstance(part, Media)]
    mapped = {place for theirs in row.columns.values() for place in places(theirs)}
    found = [
        (column, _INSIDE.sub("", place), kind)
        for column, cell in row.others.items()
        for place, kind in _media(column, cell, read)
        if not any(place == known or place.startswith(f"{known}.") for known in mapped)
    ]
    if found:
        column, place, kind = found[0]
        same = list(dict.fromkeys(other for _, other, of in found if of == kind))
        ignored = f"leave out what is not needed with data.ignore=[{','.join(dict.fromkeys(c for c, _, _ in found))}]"
        remedy = f"{_remedy(row, column, same, kind, fields)}, or {ignored}".removeprefix(", or ")
        raise UserError(f"data.path={path}: {row.where}: column {place} holds {kind}s that nothing reads; {remedy}")


def _remedy(row: Row, column: str, unread: list[str], kind: str, fields: Collection[str]) -> str:
    """What to map to these places, so that they are read besides what is read already; empty if no field can be."""
    if is_chat(row.others[column]):
        return f"read the chat with data.columns.question={column}"
    field = next(name for name, of in KINDS.items() if of == kind)
    if field not in fields:
        return ""
    theirs = row.columns.get(field, field)
    already = [] if field not in row.fields else [theirs] if isinstance(theirs, str) else list(theirs)
    named = [*already, *unread]
    return f"read it with data.columns.{field}={named[0] if len(named) == 1 else '[' + ','.join(named) + ']'}"


def _media(column: str, cell: Any, read: list[Media]) -> Iterator[tuple[str, str]]:
    """(place, kind) of the media in a cell."""
    for place, value in leaves(cell, column):
        if isinstance(value, int | float | None) or (isinstance(value, str) and not may_be_medium(value)):
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
