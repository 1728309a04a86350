"""The media of a row: cells as files and data sets have them, made into `Media`, and written again.

A cell is a path, encoded bytes, {"bytes": ..., "path": ...} (an image or video of the `datasets` library), a picture of
PIL, a base64 data URI, or a list of these. Whether a file is there is noticed here; whether it can be decoded, by the
processor.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image

from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.reading.rows import Row
from uniopd_mm.types import BadSample, Media

KINDS = {"video": "video", "images": "image"}  # fields of a row, in the order in which a prompt shows them
MEDIA_FIELDS = (*KINDS, "caption")


def read_media(row: Row) -> tuple[Media, ...]:
    """The row's videos, then its images, with their captions.

    Raises:
        BadSample: a cell is nothing of the above, its file is missing, its bytes are empty, or there are not as many
            captions as media.
    """
    media = [Media(kind=kind, source=source) for name, kind in KINDS.items() for source in _sources(row, name)]
    if "caption" not in row.fields:
        return tuple(media)
    captions = _listed(row.fields["caption"])
    if len(captions) != len(media) or not all(isinstance(caption, str) for caption in captions):
        raise BadSample(f"{row.label('caption')} must be {len(media)} texts, one for each of the media")
    return tuple(replace(medium, caption=caption) for medium, caption in zip(media, captions, strict=True))


def written_media(media: tuple[Media, ...]) -> dict[str, list[str]]:
    """The columns that give the same media again from a file anywhere; one that would be empty is absent."""
    columns = {name: [_written(medium) for medium in media if medium.kind == kind] for name, kind in KINDS.items()}
    captions = [medium.caption for medium in media if medium.caption is not None]
    return {name: cells for name, cells in (columns | {"caption": captions}).items() if cells}


def _written(medium: Media) -> str:
    if not isinstance(medium.source, bytes):
        return str(medium.source)
    return f"data:{medium.kind};base64,{base64.b64encode(medium.source).decode()}"


def _sources(row: Row, name: str) -> Iterator[str | bytes]:
    for cell in _listed(row.fields.get(name)):
        if cell is not None:
            yield _source(row, name, cell)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _source(row: Row, name: str, cell: Any) -> str | bytes:
    """A path or bytes. Stored bytes win over the path beside them, which is then a mere name."""
    if isinstance(cell, Mapping) and cell.keys() <= {"bytes", "path"}:
        cell = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
    if isinstance(cell, Image.Image):
        return _png(cell)
    if isinstance(cell, bytes):
        if not cell:
            raise BadSample(f"{row.label(name)}: 0 bytes")
        return cell
    if not isinstance(cell, str) or not cell.strip():
        raise BadSample(f"{row.label(name)} must be a path or paths, got {type(cell).__name__} {quote(cell)}")
    return cell if cell.startswith("data:") else _existing(row, name, cell)


def _existing(row: Row, name: str, path: str) -> str:
    """The absolute path. Raises BadSample where there is no file."""
    expanded = os.path.expanduser(path)
    if row.folder is None and not os.path.isabs(expanded):
        raise BadSample(f"{row.label(name)} {quote(path, 200)} is relative; give its folder as data.media_root")
    found = os.path.join(os.path.abspath(row.folder or os.sep), expanded)
    if not os.path.isfile(found):
        raise BadSample(f"{row.label(name)} {quote(path, 200)}: there is no such file ({quote(found, 200)})")
    return found


def _png(picture: Image.Image) -> bytes:
    encoded = BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()
