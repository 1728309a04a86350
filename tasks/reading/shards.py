"""Rows in .tar files, as webdataset writes them: neighbouring members with the same name up to the first dot.

    0001.jpg 0001.json     one row: the picture as `images`, and the columns of the JSON object
    0002.mp4 0002.txt      the video as `video`, and the text as `txt`
    0003.left.png          pictures with longer suffixes are in their order, too

Nothing is unpacked to disk, and no member's name is used as a path.
"""

import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from uniopd_mm.tasks.reading.formats import Content
from uniopd_mm.tasks.reading.kinds import IMAGE, KIND_OF_SUFFIX, VIDEO
from uniopd_mm.types import UserError

MAX_MEMBER = 1 << 30  # bytes
_COLUMNS = {IMAGE: "images", VIDEO: "video"}
_NAMING = ("image", "images", "video", "videos", "image_path", "video_path", "file_name")  # of what the shard holds


def read_tar(path: str, file: Path) -> Iterator[tuple[str, Content]]:
    """(where, row or the reason why it cannot be read) for every group of members."""
    number = 0
    try:
        with tarfile.open(file, "r:") as shard:
            members = (member for member in shard if member.isfile() and not _is_hidden(member.name))
            for key, group in groupby(members, lambda member: _key(member.name)):
                number += 1
                yield f"{path}:row {number}", _row(shard, key, group)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"data.path={path}: unreadable after row {number} ({error}); write it again") from error


def _row(shard: tarfile.TarFile, key: str, members: Iterator[tarfile.TarInfo]) -> Content:
    """All members are visited, because they come from the file that is being read."""
    row: dict[str, Any] = {"__key__": key}
    media: dict[str, list[bytes]] = {}
    reason = ""
    for member in members:
        suffix = member.name.rpartition("/")[2].partition(".")[2].lower()
        if member.size > MAX_MEMBER:
            reason = f"{member.name} is over {MAX_MEMBER >> 20} MiB"
            continue
        content = _read(shard, member)
        kind = KIND_OF_SUFFIX.get(suffix.rpartition(".")[2])
        if kind is not None:
            media.setdefault(_COLUMNS[kind], []).append(content)
        else:
            try:
                row |= _columns(suffix, content)
            except (ValueError, RecursionError) as error:
                reason = f"{member.name} cannot be read: {error}"
    if reason:
        return reason
    own = {name: value for name, value in row.items() if not (media and name in _NAMING)}
    return own | media


def _columns(suffix: str, content: bytes) -> dict[str, Any]:
    """What a member adds to its row. Other suffixes hold bytes, which no field reads."""
    if suffix == "json":
        value = json.loads(content)
        return value if isinstance(value, dict) else {"json": value}
    if suffix in ("txt", "text", "cls", "question", "answer", "caption"):
        return {suffix: content.decode("utf-8").strip()}
    return {suffix: content}


def _read(shard: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = shard.extractfile(member)
    return b"" if opened is None else opened.read()


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.partition('.')[0]}"


def _is_hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(("._", "."))
