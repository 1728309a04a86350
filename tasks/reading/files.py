"""Raw rows from JSONL and parquet files: one file, all files of a folder, or the files that match a glob.

    train.jsonl:17       line 17 of the file, counted from 1
    train.parquet:row 3  the third row, counted from 1

Left out: compressed files and other formats. A CSV file or a JSON array is refused.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from uniopd_mm.types import UserError

JSONL_SUFFIXES = (".jsonl", ".ndjson")
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = JSONL_SUFFIXES + PARQUET_SUFFIXES
ROWS_PER_BATCH = 256
_SPLIT_IN_NAME = re.compile(r"(?:^|[-_./])(train|valid|val|dev|test)(?:ing|ation|idation)?(?=[-_./0-9]|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """A row under the user's own column names, or the reason why it cannot be read. Its relative paths start at
    `folder`; None if there is no such folder."""

    where: str
    content: Mapping[str, Any] | str
    folder: str | None


def read_files(path: str) -> Iterator[RawRow]:
    """All rows, streamed in order of the files' names.

    Raises:
        UserError: there is no file, or one has an unknown suffix, cannot be read or is empty.
    """
    for name in _files(path):
        file = _checked_file(path, name)
        read = _iter_jsonl if file.suffix.lower() in JSONL_SUFFIXES else _iter_parquet
        for where, content in read(name, file):
            yield RawRow(where=where, content=content, folder=str(file.parent))


def _files(path: str) -> list[str]:
    """The files that a path stands for. A folder with files of several splits is refused: test rows could end up in
    training."""
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        names = sorted(name for suffix in SUFFIXES for name in glob(f"**/*{suffix}", root_dir=expanded, recursive=True))
        splits = {match[1][:3] for name in names if (match := _SPLIT_IN_NAME.search(os.path.splitext(name)[0]))}
        if len(splits) > 1:
            remedy = f"give data.path=hub:{path} with data.source_split, or a glob such as {path}/train*"
            shown = f"{names[0]} and {names[-1]}"
            raise UserError(f"data.path={path}: its files belong to several splits, such as {shown}; {remedy}")
        return [os.path.join(path, name) for name in names] or [path]
    if any(sign in path for sign in "*?[") and not os.path.exists(expanded):
        names = sorted(name for name in glob(expanded, recursive=True) if os.path.isfile(name))
        if not names:
            raise UserError(f"data.path={path}: no file matches this glob; check it")
        return names
    return [path]


def _iter_jsonl(path: str, file: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """(where, object or the reason why it cannot be read) for every line that is not blank."""
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield f"{path}:{number}", _parsed_line(line)
    except OSError as error:
        raise UserError(f"data.path={path}: cannot be read ({error.strerror}); check the file") from error


def _parsed_line(line: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(line.decode("utf-8"))
        if b"\\u" in line:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        return f"not valid JSON at column {error.colno}: {error.msg}"
    except UnicodeError:
        return "not valid Unicode (the file must be UTF-8, without lone surrogates)"
    except (ValueError, RecursionError):
        return "not usable JSON: a number is too long, or objects are nested too deeply"
    return value if isinstance(value, dict) else f"must be an object, got {type(value).__name__}"


def _iter_parquet(path: str, file: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """(where, row as plain Python values) for every row."""
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=ROWS_PER_BATCH):
                for raw in batch.to_pylist():
                    number += 1
                    yield f"{path}:row {number}", raw
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"data.path={path}: unreadable after row {number} ({reason}); write it again") from error


def _checked_file(path: str, name: str) -> Path:
    """The file, checked before it is opened: a pipe or a device would block or never end."""
    file = Path(name).expanduser()
    known = " or ".join(SUFFIXES)
    try:
        if not file.exists():
            raise UserError(f"data.path={name}: there is no such file; give a {known} file")
        if not file.is_file():
            raise UserError(f"data.path={path}: neither a regular file nor a folder of such files; give a {known} file")
        if file.suffix.lower() not in SUFFIXES:
            raise UserError(f"data.path={name}: unknown suffix {file.suffix or 'none'}; give {', '.join(SUFFIXES)}")
        if file.stat().st_size == 0:
            raise UserError(f"data.path={name}: the file is empty; give a file with rows")
    except OSError as error:
        raise UserError(f"data.path={name}: cannot be read ({error.strerror}); check the path") from error
    return file
