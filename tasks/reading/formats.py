"""The formats of files with rows. A reader yields (where, row or the reason why it cannot be read), in order.

    .jsonl, .ndjson    an object a line
    .parquet, .pq
    .json              a list of objects, an object with one such list (`data`, `questions`), or objects by their ids
    .csv, .tsv         a line with the columns' names, then a row a line; all cells are texts

All are read as a stream, but .json, which is read as a whole.
"""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any

import pyarrow
import pyarrow.parquet

from uniopd_mm.types import UserError

Content = Mapping[str, Any] | str
ROWS_PER_BATCH = 256
MAX_LINE = 1 << 28  # bytes
MAX_JSON = 4 << 30  # bytes of a file that is read as a whole
KEY = "_key"  # the column for the ids of objects by their ids
_UNREADABLE = (OSError, EOFError, zlib.error)


def read_jsonl(path: str, file: Path) -> Iterator[tuple[str, Content]]:
    """(where, object or the reason why it cannot be read) for every line that is not blank."""
    try:
        with _opened(file) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE + 1), b""), start=1):
                if len(line) > MAX_LINE:
                    raise UserError(f"data.path={path}: line {number} is over {MAX_LINE >> 20} MiB; split it")
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield f"{path}:{number}", _parsed_line(line)
    except _UNREADABLE as error:
        raise _refused(path, error) from error


def read_parquet(path: str, file: Path) -> Iterator[tuple[str, Content]]:
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


def read_json(path: str, file: Path) -> Iterator[tuple[str, Content]]:
    """(where, row) for every object of the file."""
    try:
        with _opened(file) as content:
            text = content.read(MAX_JSON + 1)
            if len(text) > MAX_JSON:
                raise UserError(f"data.path={path}: over {MAX_JSON >> 30} GiB; write one object per line, as .jsonl")
            value = json.loads(text.decode("utf-8-sig"))
    except UnicodeError as error:
        raise UserError(f"data.path={path}: not valid Unicode; write it as UTF-8") from error
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" or error.lineno == 1:
            raise UserError(f"data.path={path}: not valid JSON ({error}); mend it") from error
        yield from read_jsonl(path, file)
        return
    except (ValueError, RecursionError) as error:
        raise UserError(f"data.path={path}: not usable JSON ({str(error)[:200]}); mend it") from error
    except _UNREADABLE as error:
        raise _refused(path, error) from error
    for number, row in enumerate(_rows_of(path, value), start=1):
        good = isinstance(row, dict)
        yield f"{path}:row {number}", row if good else f"must be an object, got {type(row).__name__}"


def read_csv(path: str, file: Path) -> Iterator[tuple[str, Content]]:
    """(where, cells by the columns' names) for every row. Empty cells are None."""
    return _read_table(path, file, ",")


def read_tsv(path: str, file: Path) -> Iterator[tuple[str, Content]]:
    """As `read_csv`, with tabs between cells."""
    return _read_table(path, file, "\t")


def _read_table(path: str, file: Path, delimiter: str) -> Iterator[tuple[str, Content]]:
    csv.field_size_limit(min(MAX_LINE, sys.maxsize))  # images as base64 are long
    try:
        with _opened(file) as content:
            rows = csv.reader(_lines(content), delimiter=delimiter, strict=False)
            names = [name.strip() for name in next(rows, [])]
            for number, cells in enumerate((row for row in rows if any(row)), start=1):
                yield f"{path}:row {number}", _row(names, cells)
    except (csv.Error, UnicodeError) as error:
        raise UserError(f"data.path={path}: not valid {file.suffix} ({error}); write it again, as UTF-8") from error
    except _UNREADABLE as error:
        raise _refused(path, error) from error


def _row(names: list[str], cells: list[str]) -> Content:
    if len(cells) > len(names):
        return f"has {len(cells)} cells, but there are {len(names)} columns"
    return {name: cell if cell.strip() else None for name, cell in zip_longest(names, cells, fillvalue="")}


def _lines(content: IO[bytes]) -> Iterator[str]:
    """The lines as texts, with their ends."""
    for number, line in enumerate(iter(lambda: content.readline(MAX_LINE), b"")):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8")


def _rows_of(path: str, value: Any) -> list[Any]:
    """The rows in a JSON file: a list, the one list of objects in an object, or objects by their ids."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list) and _are_objects(inner)]
        if len(lists) == 1:
            return lists[0]
        if not lists and value and _are_objects(list(value.values())):
            return [{KEY: name, **row} for name, row in value.items()]
    held = f"an object with {', '.join(islice(value, 5))}" if isinstance(value, dict) else type(value).__name__
    raise UserError(f"data.path={path}: it holds {held or 'an empty object'}; give a list of objects")


def _are_objects(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) for value in values)


def _parsed_line(line: bytes) -> Content:
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


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb")  # type: ignore[return-value]


def _refused(path: str, error: Exception) -> UserError:
    said = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return UserError(f"data.path={path}: cannot be read ({said}); check the file")
