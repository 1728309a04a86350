"""The media of a row: cells of a file or data set become `Media`, and `Media` become cells again.

    a path, file://PATH, http(s)://PLACE     a file; an address is fetched only if the source allows it
    bytes, base64, data:image/png;base64,…   the encoded file itself
    {"bytes": ..., "path": ...}              an image or video of the `datasets` library
    {"image": CELL}, {"video": CELL, "fps": 2}    with options of the decoder
    a PIL image
    a list of these; in `video`, a list of pictures is one video, and a list of lists is several

A missing file is noticed here. Only the processor decodes it.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from PIL import Image

from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.fetching import fetched
from uniopd_mm.tasks.reading.kinds import IMAGE, VIDEO, base64_bytes, is_url, kind_of
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.types import BadSample, Media

KINDS = {"video": VIDEO, "images": IMAGE}  # from a row's field to the kind of medium, in the prompt's order
MEDIA_FIELDS = (*KINDS, "caption")
TIMES = ("video_start", "video_end")
_STILL = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_WRAPPERS = ("image", "video", "image_url", "video_url", "url")
_RENAMED = {"nframes": "num_frames", "max_fps": "fps"}  # options of qwen-vl-utils
_NO_OPTIONS = ("type", "text", "detail", "format")


def read_media(row: Row) -> tuple[Media, ...]:
    """The row's videos, then its images, with their captions.

    Raises:
        BadSample: a cell is none of the above, its file is missing, its bytes are empty, or the number of captions is
            not the number of media.
    """
    media = _timed(row, [medium for name, kind in KINDS.items() for medium in _media(row, name, kind)])
    if "caption" not in row.fields:
        return tuple(media)
    captions = _listed(row.fields["caption"])
    if len(captions) != len(media) or not all(isinstance(caption, str) for caption in captions):
        raise BadSample(f"{row.label('caption')} must be {len(media)} texts, one for each medium")
    return tuple(replace(medium, caption=caption) for medium, caption in zip(media, captions, strict=True))


def written_media(media: tuple[Media, ...]) -> dict[str, list[Any]]:
    """The columns from which `read_media` reads the same media, in a file in any folder. Empty columns are left out."""
    columns = {name: [_written(medium) for medium in media if medium.kind == kind] for name, kind in KINDS.items()}
    captions = [medium.caption for medium in media if medium.caption is not None]
    return {name: cells for name, cells in (columns | {"caption": captions}).items() if cells}


def _written(medium: Media) -> Any:
    """A list of pictures is one video, so a video that could pass for a picture says what it is."""
    if isinstance(medium.source, tuple):
        cell: Any = [_encoded(IMAGE, frame) for frame in medium.source]
    else:
        cell = _encoded(medium.kind, medium.source)
    says = bool(medium.options) or (medium.kind == VIDEO and kind_of(cell) == IMAGE and not isinstance(cell, list))
    return {medium.kind: cell, **medium.options} if says else cell


def _encoded(kind: str, source: Any) -> str:
    if not isinstance(source, bytes):
        return str(source)
    return f"data:{kind};base64,{base64.b64encode(source).decode()}"


def _media(row: Row, name: str, kind: str) -> Iterator[Media]:
    for cell in _cells(row.fields.get(name), kind):
        inner, options = _unwrapped(cell)
        if isinstance(inner, list | tuple) and kind == VIDEO:
            source: Any = tuple(_source(row, name, _unwrapped(frame)[0]) for frame in inner if frame is not None)
            options = {"sample_fps" if key == "fps" else key: value for key, value in options.items()}
        else:
            source = _source(row, name, inner)
            if kind == VIDEO and isinstance(source, str) and source.lower().endswith(_STILL):
                raise BadSample(f"{row.label(name)} {quote(inner, 200)} is a picture, not a video")
        yield Media(kind=kind, source=source, options=options)


def _timed(row: Row, media: list[Media]) -> list[Media]:
    """The media with the part of the video that is read. Raises BadSample unless it is the only one."""
    times = {name: row.fields[name] for name in TIMES if name in row.fields}
    if not times:
        return media
    videos = [medium for medium in media if medium.kind == VIDEO]
    if len(videos) != 1 or isinstance(videos[0].source, tuple):
        raise BadSample(f"{row.label(next(iter(times)))} needs one video, but the row has {len(videos)}")
    for name, time in times.items():
        if isinstance(time, bool) or not isinstance(time, int | float):
            raise BadSample(f"{row.label(name)} must be a number of seconds, got {quote(time)}")
    return [replace(m, options={**times, **m.options}) if m.kind == VIDEO else m for m in media]


def _cells(value: Any, kind: str) -> list[Any]:
    """The cells of a field, one for each medium. A list of pictures is one video; lists of pictures' lists are none."""
    cells = [cell for cell in _listed(value) if isinstance(cell, str) or not is_absent(cell)]
    if kind == VIDEO and isinstance(value, list | tuple):
        frames = [not isinstance(cell, list | tuple) and kind_of(cell) == IMAGE for cell in cells]
        return [cells] if cells and all(frames) else cells
    return [part for cell in cells for part in (cell if isinstance(cell, list | tuple) else [cell])]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _unwrapped(cell: Any) -> tuple[Any, Mapping[str, Any]]:
    """The cell inside an object such as {"video": CELL, "fps": 2}, and the decoder's options beside it."""
    if not isinstance(cell, Mapping) or cell.keys() <= {"bytes", "path"}:
        return cell, {}
    key = next((name for name in _WRAPPERS if not is_absent(cell.get(name))), None)
    if key is None:
        return cell, {}
    beside = {name: value for name, value in cell.items() if name not in (key, *_NO_OPTIONS) and not is_absent(value)}
    inner, options = _unwrapped(cell[key])
    return inner, {_RENAMED.get(name, name): value for name, value in beside.items()} | dict(options)


def _source(row: Row, name: str, cell: Any) -> str | bytes:
    """A path or bytes. If a cell has both, the bytes count and the path is only a name."""
    if isinstance(cell, Mapping) and cell.keys() <= {"bytes", "path"}:
        cell = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
    if row.graded_only:
        return cell if isinstance(cell, str | bytes) else ""
    if isinstance(cell, Image.Image):
        return _png(cell)
    if isinstance(cell, bytes):
        if not cell:
            raise BadSample(f"{row.label(name)}: 0 bytes")
        return cell
    if not isinstance(cell, str) or not cell.strip():
        raise BadSample(f"{row.label(name)} must be a path or paths, got {type(cell).__name__} {quote(cell)}")
    if cell.startswith("data:"):
        return cell
    if is_url(cell):
        return _fetched(row, name, cell)
    if (content := base64_bytes(cell)) is not None:
        return content
    return _existing(row, name, unquote(urlsplit(cell).path) if cell.startswith("file://") else cell)


def _fetched(row: Row, name: str, address: str) -> str:
    if not row.fetch:
        raise BadSample(
            f"{row.label(name)} {quote(address, 200)} is on the network; allow fetching with data.fetch=true, or "
            "download the file and give its path"
        )
    return fetched(address, f"{row.label(name)} {quote(address, 200)}")


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
