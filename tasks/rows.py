"""Reads a user's rows from JSONL or parquet, one at a time, each with the place where a person finds it.

    train.jsonl:17       line 17 of the file, counted from 1
    train.parquet:row 3  the third row, counted from 1

What cannot be used is a `Skip` with its place and reason, never a silent loss. What a row means is the caller's
`parse`; media is never opened here. Left out: other formats (a CSV or a JSON array is refused with the remedy),
compressed files, several files at once.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow
import pyarrow.parquet

from uniopd_mm.tasks.quoting import quote
from uniopd_mm.types import BadSample, Sample, Skip, UserError

NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
JSONL_SUFFIXES = (".jsonl", ".ndjson")
PARQUET_SUFFIXES = (".parquet", ".pq")
ROWS_PER_BATCH = 256


def is_absent(value: object) -> bool:
    """Whether a cell says nothing: null, NaN (what pandas writes for null), blank text, an empty list or object."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, list | tuple | dict) and not value


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row: where it stands, and its fields that say something, under the task's own names.

    `columns` is the user's map from our names to theirs; messages use it to name the column a person sees.
    """

    where: str
    fields: Mapping[str, Any]
    columns: Mapping[str, str]

    def need(self, name: str) -> Any:
        """The field's value. Raises BadSample where the row has none."""
        if name not in self.fields:
            raise BadSample(f"no {self.label(name)}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """The field as stripped text; numbers are written out. Raises BadSample where it is absent or no scalar."""
        value = self.need(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadSample(f"{self.label(name)} must be text, got {type(value).__name__} {quote(value)}")
        return str(value).strip()

    def share(self, name: str) -> float | None:
        """The field as a number in [0, 1], None where absent. Raises BadSample where it is something else."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadSample(f"{self.label(name)} must be a number from 0 to 1, got {quote(value)}")
        return float(value)

    def identity(self, names: Collection[str]) -> str:
        """The row's `id`, or a hash of the named fields: no other column, nor the place in the file, changes it."""
        if "id" in self.fields:
            return self.text("id")
        content = json.dumps(self.standard(names), sort_keys=True, default=str)
        return f"row-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def standard(self, names: Collection[str]) -> dict[str, Any]:
        """The named fields as a file has them whose columns need no map."""
        return {name: self.fields[name] for name in names if name in self.fields}

    def label(self, name: str) -> str:
        """How a message names a field: with the user's own column where it is another one."""
        theirs = self.columns.get(name, name)
        return name if theirs == name else f"{name} (column {quote(theirs)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a file held: usable samples in file order, the splits that rows declare themselves (by sample id), and
    everything skipped."""

    path: str
    samples: tuple[Sample, ...]
    declared_splits: Mapping[str, str]
    skipped: tuple[Skip, ...]


def read_samples(
    path: str,
    *,
    parse: Callable[[Row], tuple[Sample, str | None]],
    fields: Collection[str],
    columns: Mapping[str, str] = NO_COLUMNS,
) -> Reading:
    """All usable samples of a file. `parse` makes a sample of a row, with the split it declares if any.

    A row for which `parse` raises BadSample and a row whose id an earlier usable row has are skipped. `fields` are
    the names that `columns` may map.

    Raises:
        UserError: the file cannot be read, `columns` names what does not exist, or no row can be used.
    """
    _check_columns(columns, fields)
    samples: dict[str, Sample] = {}
    declared: dict[str, str] = {}
    skipped: list[Skip] = []
    for row in iter_rows(path, columns):
        try:
            sample, split = parse(_usable(row))
            _refuse_duplicate(sample, samples)
        except BadSample as bad:
            skipped.append(Skip(where=row.where, reason=str(bad)))
            continue
        samples[sample.sample_id] = sample
        if split is not None:
            declared[sample.sample_id] = split
    if not samples:
        raise _nothing_usable(path, skipped)
    return Reading(path=path, samples=tuple(samples.values()), declared_splits=declared, skipped=tuple(skipped))


def iter_rows(path: str, columns: Mapping[str, str] = NO_COLUMNS) -> Iterator[Row | Skip]:
    """The rows of a file in order, streamed; what is no row of fields comes as a Skip.

    Raises:
        UserError: the file is missing, a folder, of an unknown kind, unreadable or empty, or after the last row: a
            column named in `columns` occurred in no row.
    """
    file = _checked_file(path)
    read = _iter_jsonl if file.suffix.lower() in JSONL_SUFFIXES else _iter_parquet
    seen: set[str] = set()
    for where, raw in read(path, file):
        if isinstance(raw, str):
            yield Skip(where=where, reason=raw)
            continue
        seen.update(raw)
        yield Row(where=where, fields=_renamed(raw, columns), columns=columns)
    for ours, theirs in columns.items():
        if seen and theirs not in seen:
            present = ", ".join(sorted(seen))
            raise UserError(f"columns.{ours}={theirs}: no row of {path} has this column; it has {present}")


def _iter_jsonl(path: str, file: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """(where, object or the reason why there is none) for every line that is not blank."""
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
        return "not usable JSON: a number too long or objects nested too deeply"
    return value if isinstance(value, dict) else f"not an object but {type(value).__name__}"


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


def _checked_file(path: str) -> Path:
    """Refuses before reading what is no table of rows; a pipe or device would block or never end."""
    file = Path(path).expanduser()
    suffixes = JSONL_SUFFIXES + PARQUET_SUFFIXES
    try:
        if not file.exists():
            raise UserError(f"data.path={path}: there is no such file; give a {' or '.join(suffixes)} file")
        if not file.is_file():
            raise UserError(f"data.path={path}: not a regular file; give a {' or '.join(suffixes)} file")
        if file.suffix.lower() not in suffixes:
            raise UserError(f"data.path={path}: unknown suffix {file.suffix or 'none'}; give {', '.join(suffixes)}")
        if file.stat().st_size == 0:
            raise UserError(f"data.path={path}: the file is empty; give a file with rows")
    except OSError as error:
        raise UserError(f"data.path={path}: cannot be read ({error.strerror}); check the path") from error
    return file


def _check_columns(columns: Mapping[str, str], fields: Collection[str]) -> None:
    for ours in columns:
        if ours not in fields:
            raise UserError(f"columns.{ours}={columns[ours]}: no such field; choose from {', '.join(sorted(fields))}")


def _renamed(raw: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Fields under our names; the user's columns stay beside them, except one that has a mapped field's name."""
    fields = {name: value for name, value in raw.items() if name not in columns}
    fields |= {ours: raw[theirs] for ours, theirs in columns.items() if theirs in raw}
    return {name: value for name, value in fields.items() if not is_absent(value)}


def _usable(row: Row | Skip) -> Row:
    if isinstance(row, Skip):
        raise BadSample(row.reason)
    return row


def _refuse_duplicate(sample: Sample, samples: Mapping[str, Sample]) -> None:
    if sample.sample_id in samples:
        raise BadSample(f"duplicate id {quote(sample.sample_id)}, first at {samples[sample.sample_id].source}")


def _nothing_usable(path: str, skipped: list[Skip]) -> UserError:
    if not skipped:
        return UserError(f"data.path={path}: the file holds no rows; give a file with rows")
    first = f"{skipped[0].where}: {skipped[0].reason}"
    return UserError(f"data.path={path}: none of its {len(skipped)} rows can be used; mend them, first {first}")
