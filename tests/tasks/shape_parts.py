"""What the cases of row shapes share: a shape's rows, what must be read from them, and files to name in them."""

import base64
import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
from PIL import Image


def png(color: str = "red") -> bytes:
    encoded = BytesIO()
    Image.new("RGB", (8, 8), color).save(encoded, "PNG")
    return encoded.getvalue()


RED, BLUE = png("red"), png("blue")
BASE64 = base64.b64encode(RED).decode()
URI = f"data:image/png;base64,{BASE64}"
STRUCT = {"bytes": RED, "path": None}
FILES = ("a.png", "b.png", "clip.mp4", "2435100235.mp4", "f1.jpg", "f2.jpg", "sub/c.jpg")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape of the field: a file with rows, the task that reads it, and what the first row must become.

    `media` are the kinds in reading order. `flags` are the user's map; none are needed for most shapes. `features` are
    the types of a parquet file of the `datasets` library.
    """

    name: str
    task: str
    rows: Sequence[Mapping[str, Any]]
    question: str
    answer: str | None
    media: tuple[str, ...] = ()
    choices: Mapping[str, str] | None = None
    file: str = "rows.jsonl"
    flags: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] | None = None
    roles: tuple[str, ...] = ("user",)


def write(shape: Shape, folder: Path) -> Path:
    """The file of the shape, beside the files that its rows name."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(RED)
    path = folder / shape.file
    if shape.features is not None:
        datasets.Dataset.from_list(list(shape.rows), features=datasets.Features(shape.features)).to_parquet(path)
    else:
        rows = json.loads(json.dumps(list(shape.rows)).replace("FOLDER", str(folder))) if _plain(shape) else shape.rows
        WRITERS["".join(path.suffixes)](path, list(rows))
    return path


def _plain(shape: Shape) -> bool:
    return not shape.file.endswith((".parquet", ".tar"))


def _lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _table(path: Path, rows: list[Any]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), delimiter=_delimiter(path))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _shard(path: Path, rows: list[Any]) -> None:
    """Each row is {name of a member: bytes, or an object for .json}."""
    with tarfile.open(path, "w") as shard:
        for name, content in ((name, content) for row in rows for name, content in row.items()):
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, BytesIO(data))


WRITERS: dict[str, Callable[[Path, list[Any]], Any]] = {
    ".jsonl": _lines,
    ".json": lambda path, rows: path.write_text(json.dumps(rows), encoding="utf-8"),
    ".csv": _table,
    ".tsv": _table,
    ".parquet": lambda path, rows: pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path),
    ".tar": _shard,
    ".jsonl.gz": lambda path, rows: path.write_bytes(
        gzip.compress("".join(f"{json.dumps(r)}\n" for r in rows).encode())
    ),
}
