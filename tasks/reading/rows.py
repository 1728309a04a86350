"""Makes samples of a source's rows, one at a time. Each sample says where its row is.

A row that cannot be used becomes a `Skip` with its place and reason; none is lost silently. The caller's `parse`
decides what a row means. No media are opened here.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.columns import find, has, matches, picked, shown, top_level
from uniopd_mm.tasks.reading.files import RawRow
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import BadSample, Sample, Skip, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row: its place in the source, and its fields that are not empty, under the task's names.

    `columns` is the user's map from our names to theirs, so that messages can name the user's column. Relative media
    paths start at `folder`; None if no folder is known. `others` are the user's columns that no field reads.
    """

    where: str
    fields: Mapping[str, Any]
    columns: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None

    def need(self, name: str) -> Any:
        """The field's value. Raises BadSample if the row has none."""
        if name not in self.fields:
            raise BadSample(f"no {self.label(name)}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """The field as stripped text; a number becomes text. Raises BadSample if it is absent or neither of the two."""
        value = self.need(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadSample(f"{self.label(name)} must be text, got {type(value).__name__} {quote(value)}")
        return str(value).strip()

    def share(self, name: str) -> float | None:
        """The field as a number in [0, 1], None if absent. Raises BadSample if it is anything else."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadSample(f"{self.label(name)} must be a number from 0 to 1, got {quote(value)}")
        return float(value)

    def identity(self, names: Collection[str]) -> str:
        """The row's `id`, or else a hash of the named fields, which depends on nothing else, not even on the file."""
        if "id" in self.fields:
            return self.text("id")
        content = json.dumps(self.standard(names), sort_keys=True, default=_digest)
        return f"row-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def standard(self, names: Collection[str]) -> dict[str, Any]:
        """The named fields that the row has, under our names."""
        return {name: self.fields[name] for name in names if name in self.fields}

    def label(self, name: str) -> str:
        """How a message names a field: with the user's own column if that has another name."""
        theirs = shown(self.columns.get(name, name))
        return name if theirs == name else f"{name} (column {quote(theirs)})"


def _digest(value: object) -> str:
    """A short stand-in for media; the text of anything else."""
    content = value.tobytes() if isinstance(value, Image.Image) else value
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a source held: the usable samples in order, the splits that rows declare (by sample id), the skipped rows,
    and the number of rows that `where` left out."""

    path: str
    samples: tuple[Sample, ...]
    declared_splits: Mapping[str, str]
    skipped: tuple[Skip, ...]
    left_out: int = 0


def read_samples(
    source: RowSource, *, parse: Callable[[Row], tuple[Sample, str | None]], fields: Collection[str]
) -> Reading:
    """All usable samples of a source. `parse` returns the sample of a row and the split that the row declares, or None.

    A row is skipped if `parse` raises BadSample, or if an earlier usable row has the same id. `fields` are the names
    that `source.columns` may map.

    Raises:
        UserError: the source cannot be read, `columns` names a column that does not exist, or no row can be used.
    """
    _check_fields(source.columns, fields)
    samples: dict[str, Sample] = {}
    declared: dict[str, str] = {}
    skipped: list[Skip] = []
    chosen = Chosen(source)
    for raw in chosen:
        try:
            sample, split = parse(row_of(raw, source.columns, fields))
            _refuse_duplicate(sample, samples)
        except BadSample as bad:
            skipped.append(Skip(where=raw.where, reason=str(bad)))
            continue
        samples[sample.sample_id] = sample
        if split is not None:
            declared[sample.sample_id] = split
    if not samples:
        raise _nothing_usable(chosen, skipped)
    return Reading(
        path=str(source.path),
        samples=tuple(samples.values()),
        declared_splits=declared,
        skipped=tuple(skipped),
        left_out=chosen.left_out,
    )


class Chosen:
    """The raw rows that a source's `where` and `max_rows` choose. Can be read once; `left_out` counts the other rows.

    Raises:
        UserError: the rows cannot be read, or, after the last one, a column named in `columns` occurred in no row.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self.left_out = 0
        self.values: Counter[str] = Counter()  # the values that left-out rows have in the columns of `where`

    def __iter__(self) -> Iterator[RawRow]:
        source, num_chosen = self.source, 0
        unseen, present = set(source.columns), set[str]()
        for raw in source.raw_rows():
            if not isinstance(raw.content, str):
                if not matches(raw.content, source.where):
                    self._leave_out(raw.content)
                    continue
                present.update(raw.content)
                unseen = {ours for ours in unseen if not has(raw.content, source.columns[ours])}
            yield raw
            num_chosen += 1
            if num_chosen == source.max_rows:
                break
        for ours in sorted(unseen) if present else ():
            named = f"data.columns.{ours}={shown(source.columns[ours])}"
            raise UserError(f"{named}: no row of {source.path} has this column; it has {', '.join(sorted(present))}")

    def _leave_out(self, content: Mapping[str, Any]) -> None:
        self.left_out += 1
        for column in self.source.where:
            if has(content, column):
                self.values[f"{column}={quote(find(content, column), 40)}"] += 1


def row_of(raw: RawRow, columns: Mapping[str, Any], fields: Collection[str]) -> Row:
    """The row under our names. If a field is mapped, a user's column of the same name is ignored.

    Raises:
        BadSample: the row could not be read.
    """
    if isinstance(raw.content, str):
        raise BadSample(raw.content)
    mapped = {ours: picked(raw.content, theirs) for ours, theirs in columns.items() if has(raw.content, theirs)}
    known = {name: raw.content[name] for name in fields if name in raw.content and name not in columns} | mapped
    read = {*fields, *columns}.union(*(top_level(theirs, raw.content) for theirs in columns.values()))
    others = {name: value for name, value in raw.content.items() if name not in read}
    return Row(where=raw.where, fields=_said(known), columns=columns, others=_said(others), folder=raw.folder)


def _said(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cells.items() if not is_absent(value)}


def _check_fields(columns: Mapping[str, Any], fields: Collection[str]) -> None:
    for ours, theirs in columns.items():
        if ours not in fields:
            known = ", ".join(sorted(fields))
            raise UserError(f"data.columns.{ours}={shown(theirs)}: no such field; choose from {known}")


def _refuse_duplicate(sample: Sample, samples: Mapping[str, Sample]) -> None:
    if sample.sample_id in samples:
        raise BadSample(f"duplicate id {quote(sample.sample_id)}, first at {samples[sample.sample_id].source}")


def _nothing_usable(chosen: Chosen, skipped: list[Skip]) -> UserError:
    path = chosen.source.path
    if skipped:
        first = f"{skipped[0].where}: {skipped[0].reason}"
        return UserError(f"data.path={path}: none of its {len(skipped)} rows can be used; mend them, first {first}")
    if chosen.left_out:
        wanted = ", ".join(f"{column}={value}" for column, value in chosen.source.where.items())
        there = ", ".join(f"{value} ({count})" for value, count in chosen.values.most_common(5)) or "no such column"
        return UserError(f"data.where: none of the {chosen.left_out} rows of {path} has {wanted}; there is {there}")
    return UserError(f"data.path={path}: the file has no rows; give a file with rows")
