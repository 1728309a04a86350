"""The media of a row: cells of a file or data set become `Media`, and `Media` become cells again.

A cell is a path, encoded bytes, {"bytes": ..., "path": ...} (an image or video of the `datasets` library), a PIL image,
a base64 data URI, or a list of these. A missing file is noticed here. Only the processor decodes it.
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

KINDS = {"video": "video", "images": "image"}  # from a row's field to the kind of medium, in the prompt's order
MEDIA_FIELDS = (*KINDS, "caption")


def read_media(row: Row) -> tuple[Media, ...]:
    """The row's videos, then its images, with their captions.

    Raises:
        BadSample: a cell is none of the above, its file is missing, its bytes are empty, or the number of captions is
            not the number of media.
    """
    media = [Media(kind=kind, source=source) for name, kind in KINDS.items() for source in _sources(row, name)]
    if "caption" not in row.fields:
        return tuple(media)
    captions = _listed(row.fields["caption"])
    if len(captions) != len(media) or not all(isinstance(caption, str) for caption in captions):
        raise BadSample(f"{row.label('caption')} must be {len(media)} texts, one for each medium")
    return tuple(replace(medium, caption=caption) for medium, caption in zip(media, captions, strict=True))


def written_media(media: tuple[Media, ...]) -> dict[str, list[str]]:
    """The columns from which `read_media` reads the same media, in a file in any folder. Empty columns are left out."""
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
    """A path or bytes. If a cell has both, the bytes count and the path is only a name."""
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
    """The absolute path. Raises BadSample if there is no such file."""
    expanded = os.path.expanduser(path)
    if row.folder is None and not os.path.isabs(expanded):
        raise BadSample(f"{row.label(name)} {quote(path, 200)} is a relative path; give its folder as data.media_root")
    found = os.path.join(os.path.abspath(row.folder or os.sep), expanded)
    if not os.path.isfile(found):
        raise BadSample(f"{row.label(name)} {quote(path, 200)}: there is no such file ({quote(found, 200)})")
    return found


def _png(picture: Image.Image) -> bytes:
    encoded = BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()
