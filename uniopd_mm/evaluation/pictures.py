"""A sweep as two PNG files: a radar of all checkpoints and the paper's models (radar.py), or bars if there are too few
benchmarks, and the gain of the last checkpoint over the first.

Not here: tables (table.py), and the order of what is shown (comparison.py).
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from uniopd_mm.evaluation.comparison import FIGURES, Benchmark, Comparison, compare, finite
from uniopd_mm.evaluation.radar import (
    MIN_AXES,
    PAPER_LINES,
    SOFT,
    checkpoint_line,
    checkpoint_name,
    legend_columns,
    radar,
)
from uniopd_mm.evaluation.records import Score
from uniopd_mm.tracking.charts import PLAIN_TEXT, PRINT, shortened
from uniopd_mm.tracking.files import write_atomically

RADAR, BARS, BEFORE_AFTER = "radar.png", "bars.png", "before_after.png"
_DPI = 160
_LOSS = "#b91c1c"


def write_pictures(folder: Path, scores: Sequence[Score]) -> list[Path]:
    """Write radar.png, or bars.png for fewer than three benchmarks, and before_after.png.

    Writes nothing without values, and removes pictures of an earlier state that no longer apply.

    Raises:
        UserError: the disk is full.
    """
    drawn = pictures(scores)
    for name in (RADAR, BARS, BEFORE_AFTER):
        if name in drawn:
            write_atomically(folder / name, [drawn[name]], run=None)
        else:
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name in drawn]


def pictures(scores: Sequence[Score]) -> dict[str, bytes]:
    """PNG files by name, of the benchmarks that have a value."""
    comparison = compare(scores)
    rows = [row for row in comparison.benchmarks if any(value is not None for value in row.values)]
    if not rows:
        return {}
    shown = Comparison(checkpoints=comparison.checkpoints, labels=comparison.labels, benchmarks=tuple(rows))
    first = (RADAR, radar) if len(rows) >= MIN_AXES else (BARS, _bars)
    return {name: _png(draw, shown) for name, draw in (first, (BEFORE_AFTER, _before_after))}


def _png(draw: Callable[[Comparison], Figure], comparison: Comparison) -> bytes:
    file = BytesIO()
    with rc_context({**PLAIN_TEXT, "font.family": "sans-serif"}), warnings.catch_warnings():
        # Names may contain characters that matplotlib's font lacks; it draws boxes for them.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        draw(comparison).savefig(file, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return file.getvalue()


def _bars(comparison: Comparison) -> Figure:
    """A bar for each checkpoint, with the paper's figures as lines across."""
    rows, labels = comparison.benchmarks, comparison.labels
    figure = Figure(figsize=(8.0, 5.0), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    width = 0.8 / len(labels)
    for index, label in enumerate(labels):
        positions = np.arange(len(rows)) + (index - (len(labels) - 1) / 2) * width
        heights = np.asarray([row.values[index] for row in rows], dtype=float)
        colour = checkpoint_line(index)["color"]
        axes.bar(positions, heights, 0.9 * width, color=colour, label=checkpoint_name(label))
        errors = _errors(rows, index)
        axes.errorbar(positions, heights, yerr=errors, fmt="none", ecolor=PRINT.ink, capsize=3, linewidth=1)
        _write_heights(axes, positions, heights, heights + np.nan_to_num(errors))
    for name in comparison.figures:
        _paper_lines(axes, name, [getattr(row.paper, name) for row in rows])
    axes.set_xticks(range(len(rows)), labels=[shortened(row.title) for row in rows], fontsize=10, color=PRINT.ink)
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_ylim(0, 100)
    _plain(axes, "y")
    figure.legend(
        loc="outside lower left",
        ncols=legend_columns([*map(checkpoint_name, labels)]),
        fontsize=9,
        frameon=False,
        labelcolor=PRINT.ink,
    )
    return figure


def _write_heights(axes: Axes, positions: Iterable[float], heights: Iterable[float], tops: Iterable[float]) -> None:
    """Write each bar's value at its foot, or above it if the bar is too low."""
    for position, height, top in zip(positions, heights, tops, strict=True):
        colour, bottom = ("white", 1.5) if height > 8 else (PRINT.ink, top + 1.5)
        if np.isfinite(height):
            axes.text(position, bottom, f"{height:.1f}", ha="center", color=colour, fontsize=9)


def _paper_lines(axes: Axes, name: str, values: Sequence[float | None]) -> None:
    colour, style = PAPER_LINES[name]
    known = [(position, value) for position, value in enumerate(values) if value is not None]
    axes.hlines(
        [value for _, value in known],
        [position - 0.45 for position, _ in known],
        [position + 0.45 for position, _ in known],
        color=colour,
        linestyle=style,
        linewidth=1.6,
        label=f"paper: {FIGURES[name]}",
    )


def _before_after(comparison: Comparison) -> Figure:
    """A row per benchmark: the first and the last checkpoint with standard errors, and below them the paper's student
    and Uni-OPD."""
    rows = comparison.benchmarks
    positions = _row_positions(comparison)
    figure = Figure(figsize=(9.6, 1.6 + 0.42 * positions[-1]), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    _gains(axes, rows, positions)
    for index, filled in _compared(comparison):
        _points(axes, rows, positions, index, checkpoint_name(comparison.labels[index]), filled=filled)
    for name, marker in (("student", "|"), ("uni_opd", "D")):
        if name in comparison.figures:
            _paper_marks(axes, rows, positions, name, marker)
    _name_rows(axes, comparison, positions)
    axes.set_xlim(0, 100)
    axes.set_xlabel("score, with one standard error", fontsize=9, color=SOFT)
    _plain(axes, "x")
    figure.legend(loc="outside lower left", ncols=2, fontsize=9, frameon=False, labelcolor=PRINT.ink)
    return figure


def _compared(comparison: Comparison) -> list[tuple[int, bool]]:
    """Indices of the first checkpoint (hollow points) and the last one (filled); a single checkpoint is filled."""
    last = len(comparison.labels) - 1
    return [(0, False), (last, True)] if last else [(0, True)]


def _row_positions(comparison: Comparison) -> list[float]:
    """Each row's distance from the top. The first row of a domain leaves room for the domain's name."""
    positions, position = [], 0.0
    for benchmarks in comparison.domains.values():
        position += 0.9
        for _ in benchmarks:
            positions.append(position)
            position += 1.0
    return positions


def _gains(axes: Axes, rows: Sequence[Benchmark], positions: Sequence[float]) -> None:
    """A band from the first to the last checkpoint, red for a loss."""
    for row, position in zip(rows, positions, strict=True):
        first, last = row.values[0], row.values[-1]
        if first is not None and last is not None:
            colour = PRINT.lines[0] if last >= first else _LOSS
            axes.plot([first, last], [position, position], color=colour, linewidth=5, alpha=0.3, solid_capstyle="butt")


def _points(
    axes: Axes, rows: Sequence[Benchmark], positions: Sequence[float], index: int, label: str, *, filled: bool
) -> None:
    values = np.asarray([row.values[index] for row in rows], dtype=float)
    axes.errorbar(
        values,
        positions,
        xerr=_errors(rows, index),
        fmt="o",
        markersize=7,
        color=PRINT.lines[0],
        markerfacecolor=PRINT.lines[0] if filled else "white",
        capsize=3,
        linewidth=1.3,
        label=label,
        zorder=3 if filled else 2,
    )


def _paper_marks(axes: Axes, rows: Sequence[Benchmark], positions: Sequence[float], name: str, marker: str) -> None:
    values = np.asarray([getattr(row.paper, name) for row in rows], dtype=float)
    below = [position + 0.3 for position in positions]
    axes.plot(
        values, below, marker, color=PRINT.lines[1], markersize=5, markeredgewidth=2, label=f"paper: {FIGURES[name]}"
    )


def _name_rows(axes: Axes, comparison: Comparison, positions: Sequence[float]) -> None:
    """Write benchmark names on the left, gains on the right, and each domain's name above its first benchmark."""
    rows = comparison.benchmarks
    axes.set_yticks(positions, labels=[shortened(row.title) for row in rows], fontsize=10)
    axes.set_ylim(positions[-1] + 0.7, 0)
    transform = axes.get_yaxis_transform()
    style: dict[str, Any] = {"va": "center", "clip_on": False}
    for row, position in zip(rows, positions, strict=True):
        axes.text(1.01, position, _gained(row), transform=transform, fontsize=9, color=PRINT.ink, **style)
    for domain, benchmarks in comparison.domains.items():
        position = positions[rows.index(benchmarks[0])] - 0.7
        axes.text(0.0, position, shortened(domain), transform=transform, fontsize=9, color=SOFT, **style)


def _gained(row: Benchmark) -> str:
    """`65.1 (+40.0)`: the last value, and its difference to the first."""
    first, last = row.values[0], row.values[-1]
    if last is None:
        return "-"
    return f"{last:.1f}" if first is None or len(row.values) < 2 else f"{last:.1f} ({last - first:+.1f})"


def _errors(rows: Sequence[Benchmark], index: int) -> NDArray[np.float64]:
    """Standard errors; NaN (no error bar) where unknown."""
    scores = [row.scores[index] for row in rows]
    return np.asarray([None if score is None else finite(score.standard_error) for score in scores], dtype=float)


def _plain(axes: Axes, numbers: Literal["x", "y"]) -> None:
    """Draw a grid behind everything, along the axis of the numbers, and no frame."""
    axes.set_axisbelow(True)
    axes.grid(axis=numbers, color=PRINT.faint, linewidth=0.6)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(colors=PRINT.ink, length=0)
