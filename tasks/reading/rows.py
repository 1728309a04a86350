"""Makes samples of a source's rows, one at a time. Each sample says where its row is.

A row that cannot be used becomes a `Skip` with its place and reason; none is lost silently. The caller's `parse`
decides what a row means. No media are opened here.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.columns import find, has, matches, picked, shown, top_level
from uniopd_mm.tasks.reading.files import RawRow
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.shapes.recognition import NUM_ROWS, Recognised, recognise
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.reading.unread import refuse_unread_media
from uniopd_mm.types import BadSample, Sample, Skip, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a source held: the usable samples in order, the splits that rows declare (by sample id), the skipped rows,
    the number of rows that `where` left out, and what the rows were recognised as, empty if nothing had to be."""

    path: str
    samples: tuple[Sample, ...]
    declared_splits: Mapping[str, str]
    skipped: tuple[Skip, ...]
    left_out: int = 0
    recognised: str = ""


def read_samples(
    source: RowSource, *, parse: Callable[[Row], tuple[Sample, str | None]], fields: Collection[str]
) -> Reading:
    """All usable samples of a source. `parse` returns the sample of a row and the split that the row declares, or None.

    A row is skipped if `parse` raises BadSample, or if an earlier usable row has the same id. `fields` are the names
    that `source.columns` may map. Fields that it does not map are read from the columns of their names, or from those
    that the first rows are recognised to have.

    Raises:
        UserError: the source cannot be read, `columns` names a column that does not exist, no row can be used, a
            column holds media that nothing reads, or it is unclear which column is the answer.
    """
    _check_fields(source.columns, fields)
    samples: dict[str, Sample] = {}
    declared: dict[str, str] = {}
    skipped: list[Skip] = []
    chosen = Chosen(source)
    raw_rows, known = _recognised(source, iter(chosen), fields)
    columns = {**known.columns, **source.columns}
    for raw in raw_rows:
        try:
            row = row_of(raw, columns, fields, fetch=source.fetch, graded_only=source.graded_only)
            _refuse_lost(row, known.lost)
            sample, split = parse(row)
            if not source.graded_only:
                refuse_unread_media(sample, row, fields, str(source.path))
                _refuse_duplicate(sample, samples)
        except BadSample as bad:
            skipped.append(Skip(where=raw.where, reason=str(bad)))
            continue
        samples[raw.where if source.graded_only else sample.sample_id] = sample
        if split is not None:
            declared[sample.sample_id] = split
    if not samples:
        raise _nothing_usable(chosen, skipped, _unfilled(chosen, columns, fields))
    reading = Reading(
        path=str(source.path),
        samples=tuple(samples.values()),
        declared_splits=declared,
        skipped=tuple(skipped),
        left_out=chosen.left_out,
        recognised=known.line,
    )
    return _undivided(reading) if known.benchmark and declared and "train" not in declared.values() else reading


def _undivided(reading: Reading) -> Reading:
    """The rows of a benchmark whose splits have none to train on, without their splits."""
    samples = [
        replace(sample, row={name: cell for name, cell in sample.row.items() if name != "split"})
        for sample in reading.samples
    ]
    line = f"{reading.recognised}; split is not read, because no row is in train"
    return replace(reading, samples=tuple(samples), declared_splits={}, recognised=line.removeprefix("; "))


def _refuse_lost(row: Row, columns: Collection[str]) -> None:
    for name in columns:
        if name in row.others:
            raise BadSample(f"{name} holds what a prompt cannot keep; data.ignore=[{name}] reads the row without it")


def _recognised(
    source: RowSource, rows: Iterator[RawRow], fields: Collection[str]
) -> tuple[Iterator[RawRow], Recognised]:
    """All the rows again, and what the first ones are recognised as."""
    first = list(islice(rows, NUM_ROWS))
    readable = tuple(raw.content for raw in first if not isinstance(raw.content, str))
    known = recognise(readable, fields, source.columns, str(source.path)) if source.recognise else Recognised()
    return chain(first, rows), known


class Chosen:
    """The raw rows that a source's `where` and `max_rows` choose. Can be read once; `left_out` counts the other rows.

    Raises:
        UserError: the rows cannot be read, or, after the last one, a column named in `columns` occurred in no row.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self.left_out = 0
        self.present: set[str] = set()  # the columns of the chosen rows
        self.values: Counter[str] = Counter()  # the values that left-out rows have in the columns of `where`

    def __iter__(self) -> Iterator[RawRow]:
        source, num_chosen = self.source, 0
        unseen, present = set(source.columns), self.present
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


def row_of(
    raw: RawRow,
    columns: Mapping[str, Any],
    fields: Collection[str],
    *,
    fetch: bool = False,
    graded_only: bool = False,
) -> Row:
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
    return Row(
        where=raw.where,
        fields=_said(known),
        columns=columns,
        others=_said(others),
        folder=raw.folder,
        fetch=fetch,
        graded_only=graded_only,
    )


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


def _unfilled(chosen: Chosen, columns: Mapping[str, Any], fields: Collection[str]) -> list[str]:
    """The fields that neither a map nor a column of their name fills."""
    return [name for name in fields if name not in columns and name not in chosen.present]


def _how_to_map(chosen: Chosen, skipped: list[Skip], unfilled: Collection[str]) -> str:
    """The columns that there are, and the flags for the fields that the first skipped rows lack."""
    reasons = [skip.reason.split(" ") for skip in skipped[:NUM_ROWS]]
    lacking = {words[1].rstrip(":") for words in reasons if words[0] == "no" and len(words) > 1}
    if "answer" in lacking:
        lacking.add("question")
    flags = [f"data.columns.{name}=COLUMN" for name in unfilled if name in lacking]
    if not flags or not chosen.present:
        return ""
    there = quote(", ".join(sorted(chosen.present)), 400)[1:-1]
    return f". Its columns are {there}: map them with {' '.join(flags)}"


def _nothing_usable(chosen: Chosen, skipped: list[Skip], unfilled: Collection[str]) -> UserError:
    path = chosen.source.path
    if skipped:
        first = f"{skipped[0].where}: {skipped[0].reason}"
        return UserError(
            f"data.path={path}: none of its {len(skipped)} rows can be used; mend them, first {first}"
            f"{_how_to_map(chosen, skipped, unfilled)}"
        )
    if chosen.left_out:
        wanted = ", ".join(f"{column}={value}" for column, value in chosen.source.where.items())
        there = ", ".join(f"{value} ({count})" for value, count in chosen.values.most_common(5)) or "no such column"
        return UserError(f"data.where: none of the {chosen.left_out} rows of {path} has {wanted}; there is {there}")
    return UserError(f"data.path={path}: the file has no rows; give a file with rows")
