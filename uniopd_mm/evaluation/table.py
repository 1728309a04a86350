"""The table of a sweep as cells: rows by domain with their means, next to the paper's figures, and notes on its marks.

`terminal_table`, `markdown` and the page (page.py) show the same cells.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from uniopd_mm.evaluation.comparison import (
    FIGURES,
    Benchmark,
    Comparison,
    Mean,
    compare,
    finite,
    gain,
    in_common,
    is_marked,
    mean_difference,
    mean_gain,
    mean_of_checkpoint,
    mean_of_paper,
    minus_uni_opd,
)
from uniopd_mm.evaluation.footnotes import footnotes
from uniopd_mm.evaluation.records import Score, Status
from uniopd_mm.tracking.console import printable, terminal

_HEADER = 13  # characters per line of a header; values need about as many
_NAME = 24  # characters per line of a name
_GAP = 2  # characters between columns: one of padding, and one of the box
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~#])")


class Kind(StrEnum):
    """The kind of a row."""

    BENCHMARK = "benchmark"
    MEAN = "mean"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One cell per column. `domain` is "" for the overall mean."""

    kind: Kind
    domain: str
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepTable:
    """The first `num_names` columns are names, the others numbers. `notes` go below the table."""

    columns: tuple[str, ...]
    num_names: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def ends(self) -> tuple[bool, ...]:
        """For each row, whether it is the last one of its domain."""
        following = [*(row.domain for row in self.rows[1:]), None]
        return tuple(row.domain != after for row, after in zip(self.rows, following, strict=False))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """A column: its header, the cell of a benchmark, and the mean over benchmarks that all checkpoints have."""

    header: str
    cell: Callable[[Benchmark], str]
    mean: Callable[[Sequence[Benchmark]], Mean | None] = lambda rows: None
    signed: bool = False


def sweep_table(scores: Sequence[Score]) -> SweepTable:
    """The cells of a sweep. Values look like `47.8 ± 1.2`, with `*` where they must not be compared without a
    remark."""
    comparison = compare(scores)
    names, numbers = _name_columns(comparison), _number_columns(comparison)
    rows: list[Row] = []
    for domain, benchmarks in comparison.domains.items():
        for row in benchmarks:
            cells = tuple(column.cell(row) for column in (*names, *numbers))
            rows.append(Row(kind=Kind.BENCHMARK, domain=domain, cells=cells))
        if len(benchmarks) > 1 and len(comparison.domains) > 1:
            rows.append(_mean_row(domain, benchmarks, names, numbers))
    if len(comparison.benchmarks) > 1:
        rows.append(_mean_row("", comparison.benchmarks, names, numbers))
    return SweepTable(
        columns=tuple(column.header for column in (*names, *numbers)),
        num_names=len(names),
        rows=tuple(rows),
        notes=footnotes(comparison),
    )


def terminal_table(table: SweepTable, title: str = "", *, width: int | None = None) -> Group:
    """The table with its notes below, `width` characters wide (default: the terminal's).

    Number columns that do not fit go to further tables below. Markup in names is not interpreted.
    """
    width = width or terminal().width
    parts = [part for columns in _parts(table, width) for part in (_terminal_part(table, columns), Text())]
    heading = [printable(title, terminal()), Text()] if title else []
    return Group(*heading, *parts, *(printable(note, terminal()) for note in table.notes))


def markdown(table: SweepTable, title: str = "") -> str:
    """The same as a GitHub Markdown table, with means in bold and the notes as a list; ends in a newline.

    Characters that UTF-8 cannot encode (lone surrogates) become question marks.
    """
    sides = [":--" if number < table.num_names else "--:" for number in range(len(table.columns))]
    lines = [f"## {_escaped(title)}\n"] if title else []
    lines += [_line(map(_escaped, table.columns)), _line(sides)]
    for row in table.rows:
        cells = [_escaped(cell) for cell in row.cells]
        lines.append(_line(f"**{cell}**" if cell and row.kind is Kind.MEAN else cell for cell in cells))
    notes = [f"- {_escaped(note)}" for note in table.notes]
    text = "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"
    return text.encode("utf-8", errors="replace").decode("utf-8")


def cell_of(score: Score | None) -> str:
    """The cell of one score: `47.8 ± 1.2`, `47.8*`, `-` for not applicable, `failed`, or empty if there is none."""
    if score is None:
        return ""
    if score.status is Status.INAPPLICABLE:
        return "-"
    value = finite(score.value)
    if score.status is Status.FAILED or value is None:
        return "failed"
    return _number(value, finite(score.standard_error)) + ("*" if is_marked(score) else "")


def _name_columns(comparison: Comparison) -> tuple[_Column, ...]:
    """The benchmark and, if some tasks are not ours, the name of the task."""
    title = _Column(header="benchmark", cell=lambda row: row.title)
    task = _Column(header="task", cell=lambda row: "" if row.is_ours else row.task)
    return (title,) if all(row.is_ours for row in comparison.benchmarks) else (title, task)


def _number_columns(comparison: Comparison) -> tuple[_Column, ...]:
    checkpoints = [
        _Column(
            header=label,
            cell=partial(_cell_at, index),
            mean=partial(mean_of_checkpoint, index=index),
        )
        for index, label in enumerate(comparison.labels)
    ]
    paper = [
        _Column(header=f"paper {FIGURES[name]}", cell=partial(_figure, name), mean=partial(mean_of_paper, name=name))
        for name in comparison.figures
    ]
    return (*checkpoints, *paper, *_differences(comparison))


def _cell_at(index: int, row: Benchmark) -> str:
    return cell_of(row.scores[index])


def _figure(name: str, row: Benchmark) -> str:
    value = getattr(row.paper, name)
    return "" if value is None else f"{value:.1f}"


def _differences(comparison: Comparison) -> list[_Column]:
    columns = []
    if "uni_opd" in comparison.figures:
        header = "minus Uni-OPD"
        columns.append(
            _Column(header=header, cell=lambda row: _signed(minus_uni_opd(row)), mean=mean_difference, signed=True)
        )
    if len(comparison.labels) > 1:
        columns.append(_Column(header="last - first", cell=lambda row: _signed(gain(row)), mean=mean_gain, signed=True))
    return columns


def _mean_row(
    domain: str, benchmarks: Sequence[Benchmark], names: Sequence[_Column], numbers: Sequence[_Column]
) -> Row:
    """Means over the benchmarks that all checkpoints have. A cell with fewer benchmarks shows their number."""
    rows = in_common(benchmarks)
    title = f"mean of {len(rows)}" if len(rows) == len(benchmarks) else f"mean of {len(rows)} of {len(benchmarks)}"
    title = f"{domain or 'all'}, {title}"
    cells = [_mean_cell(column, rows) for column in numbers]
    return Row(kind=Kind.MEAN, domain=domain, cells=(title, *[""] * (len(names) - 1), *cells))


def _mean_cell(column: _Column, rows: Sequence[Benchmark]) -> str:
    mean = column.mean(rows)
    if mean is None:
        return ""
    text = _signed(mean.value) if column.signed else _number(mean.value, mean.standard_error)
    return text + ("*" if mean.marked else "") + (f" ({mean.count})" if mean.count < len(rows) else "")


def _number(value: float, error: float | None) -> str:
    return f"{value:.1f}" if error is None else f"{value:.1f} ± {error:.1f}"


def _signed(value: float | None) -> str:
    """A difference with its sign; a rounded zero is `+0.0`."""
    return "" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def _parts(table: SweepTable, width: int) -> list[range]:
    """The number columns of each table, at most `width` wide together with the names. Each table has at least one."""
    names = sum(_width(table, column) for column in range(table.num_names))
    starts, used = [table.num_names], names
    for column in range(table.num_names, len(table.columns)):
        used += _width(table, column)
        if used > width and column > starts[-1]:
            starts.append(column)
            used = names + _width(table, column)
    ends = (*starts[1:], len(table.columns))
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


def _width(table: SweepTable, column: int) -> int:
    """Characters that a column takes, including the gap. Names of mean rows may wrap."""
    is_name = column < table.num_names
    cells = [row.cells[column] for row in table.rows if row.kind is Kind.BENCHMARK or not is_name]
    longest = max([*map(len, _header(table.columns[column])), *map(len, cells)])
    return (min(longest, _NAME) if is_name else longest) + _GAP


def _terminal_part(table: SweepTable, columns: Sequence[int]) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    numbers = [*range(table.num_names), *columns]
    for number in numbers:
        header = printable("\n".join(_header(table.columns[number])), terminal())
        is_name = number < table.num_names
        wide = _width(table, number) - _GAP
        shown.add_column(header, justify="left" if is_name else "right", overflow="fold", width=wide)
    for row, ends in zip(table.rows, table.ends, strict=True):
        cells = [printable(row.cells[number], terminal()) for number in numbers]
        shown.add_row(*cells, style="bold" if row.kind is Kind.MEAN else None, end_section=ends)
    return shown


def _header(name: str) -> list[str]:
    """The header in several short lines, broken after a word, a slash or a hyphen."""
    pieces = re.sub(r"^(paper|minus|last -) |(?<=/)(?=.)", "\\1\n", name).split("\n")
    return [line for piece in pieces for line in wrap(piece, _HEADER)] or [""]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """The text on one line, with Markdown characters escaped."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
