"""A sweep as two PNG files: a radar of all checkpoints and the paper's (radar.py), or bars where there is too little
for one, and what the last checkpoint gained over the first.

Left out: tables (table.py), and the order of what is shown (comparison.py).
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
    LEAST_AXES,
    PAPER_LINES,
    SOFT,
    checkpoint_line,
    checkpoint_name,
    names_in_a_row,
    radar,
)
from uniopd_mm.evaluation.records import Score
from uniopd_mm.tracking.charts import PLAIN_TEXT, PRINT, shortened
from uniopd_mm.tracking.files import write_atomically

RADAR, BARS, BEFORE_AFTER = "radar.png", "bars.png", "before_after.png"
_DPI = 160
_LOSS = "#b91c1c"


def write_pictures(folder: Path, scores: Sequence[Score]) -> list[Path]:
    """Write radar.png, or bars.png where there are fewer than three benchmarks to compare, and before_after.png.

    Nothing is drawn of nothing; pictures of an earlier state that do not apply any more are removed.

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
    """File name -> PNG, of the benchmarks that have a value."""
    comparison = compare(scores)
    rows = [row for row in comparison.benchmarks if any(value is not None for value in row.values)]
    if not rows:
        return {}
    shown = Comparison(checkpoints=comparison.checkpoints, labels=comparison.labels, benchmarks=tuple(rows))
    first = (RADAR, radar) if len(rows) >= LEAST_AXES else (BARS, _bars)
    return {name: _png(draw, shown) for name, draw in (first, (BEFORE_AFTER, _before_after))}


def _png(draw: Callable[[Comparison], Figure], comparison: Comparison) -> bytes:
    file = BytesIO()
    with rc_context({**PLAIN_TEXT, "font.family": "sans-serif"}), warnings.catch_warnings():
        # A name may well have what matplotlib's font lacks: a box stands there.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        draw(comparison).savefig(file, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return file.getvalue()


def _bars(comparison: Comparison) -> Figure:
    """A bar for each checkpoint, and the paper's figures as marks over them."""
    rows, labels = comparison.benchmarks, comparison.labels
    figure = Figure(figsize=(8.0, 5.0), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    width = 0.8 / len(labels)
    for index, label in enumerate(labels):
        places = np.arange(len(rows)) + (index - (len(labels) - 1) / 2) * width
        heights = np.asarray([row.values[index] for row in rows], dtype=float)
        colour = checkpoint_line(index)["color"]
        axes.bar(places, heights, 0.9 * width, color=colour, label=checkpoint_name(label))
        axes.errorbar(places, heights, yerr=_errors(rows, index), fmt="none", ecolor=PRINT.ink, capsize=3, linewidth=1)
        _write_heights(axes, places, heights, heights + np.nan_to_num(_errors(rows, index)))
    for name in comparison.figures:
        _paper_lines(axes, name, [getattr(row.paper, name) for row in rows])
    axes.set_xticks(range(len(rows)), labels=[shortened(row.title) for row in rows], fontsize=10, color=PRINT.ink)
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_ylim(0, 100)
    _plain(axes, "y")
    figure.legend(
        loc="outside lower left",
        ncols=names_in_a_row([*map(checkpoint_name, labels)]),
        fontsize=9,
        frameon=False,
        labelcolor=PRINT.ink,
    )
    return figure


def _write_heights(axes: Axes, places: Iterable[float], heights: Iterable[float], tops: Iterable[float]) -> None:
    """At the foot of each bar, or above all of one that is too low to hold a number."""
    for place, height, top in zip(places, heights, tops, strict=True):
        colour, bottom = ("white", 1.5) if height > 8 else (PRINT.ink, top + 1.5)
        if np.isfinite(height):
            axes.text(place, bottom, f"{height:.1f}", ha="center", color=colour, fontsize=9)


def _paper_lines(axes: Axes, name: str, values: Sequence[float | None]) -> None:
    colour, style = PAPER_LINES[name]
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    axes.hlines(
        [value for _, value in known],
        [place - 0.45 for place, _ in known],
        [place + 0.45 for place, _ in known],
        color=colour,
        linestyle=style,
        linewidth=1.6,
        label=f"paper: {FIGURES[name]}",
    )


def _before_after(comparison: Comparison) -> Figure:
    """A row for each benchmark: the first and the last checkpoint with their standard errors, and the paper's student
    and Uni-OPD below them."""
    rows = comparison.benchmarks
    places = _places(comparison)
    figure = Figure(figsize=(9.6, 1.6 + 0.42 * places[-1]), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    _gains(axes, rows, places)
    for index, filled in _compared(comparison):
        _points(axes, rows, places, index, checkpoint_name(comparison.labels[index]), filled=filled)
    for name, marker in (("student", "|"), ("uni_opd", "D")):
        if name in comparison.figures:
            _paper_marks(axes, rows, places, name, marker)
    _name_rows(axes, comparison, places)
    axes.set_xlim(0, 100)
    axes.set_xlabel("score, with one standard error", fontsize=9, color=SOFT)
    _plain(axes, "x")
    figure.legend(loc="outside lower left", ncols=2, fontsize=9, frameon=False, labelcolor=PRINT.ink)
    return figure


def _compared(comparison: Comparison) -> list[tuple[int, bool]]:
    """Which checkpoints, and whether their points are filled: the first, hollow, and the last; a single one alone."""
    last = len(comparison.labels) - 1
    return [(0, False), (last, True)] if last else [(0, True)]


def _places(comparison: Comparison) -> list[float]:
    """A row's distance from the top, with room for its domain's name before the first of each."""
    places, place = [], 0.0
    for benchmarks in comparison.domains.values():
        place += 0.9
        for _ in benchmarks:
            places.append(place)
            place += 1.0
    return places


def _gains(axes: Axes, rows: Sequence[Benchmark], places: Sequence[float]) -> None:
    """A band from the first to the last checkpoint, red where it lost."""
    for row, place in zip(rows, places, strict=True):
        first, last = row.values[0], row.values[-1]
        if first is not None and last is not None:
            colour = PRINT.lines[0] if last >= first else _LOSS
            axes.plot([first, last], [place, place], color=colour, linewidth=5, alpha=0.3, solid_capstyle="butt")


def _points(
    axes: Axes, rows: Sequence[Benchmark], places: Sequence[float], index: int, label: str, *, filled: bool
) -> None:
    values = np.asarray([row.values[index] for row in rows], dtype=float)
    axes.errorbar(
        values,
        places,
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


def _paper_marks(axes: Axes, rows: Sequence[Benchmark], places: Sequence[float], name: str, marker: str) -> None:
    values = np.asarray([getattr(row.paper, name) for row in rows], dtype=float)
    below = [place + 0.3 for place in places]
    axes.plot(
        values, below, marker, color=PRINT.lines[1], markersize=5, markeredgewidth=2, label=f"paper: {FIGURES[name]}"
    )


def _name_rows(axes: Axes, comparison: Comparison, places: Sequence[float]) -> None:
    """Benchmarks at the left with what was gained at the right, and each domain above its first."""
    rows = comparison.benchmarks
    axes.set_yticks(places, labels=[shortened(row.title) for row in rows], fontsize=10)
    axes.set_ylim(places[-1] + 0.7, 0)
    beside = axes.get_yaxis_transform()
    inside: dict[str, Any] = {"va": "center", "clip_on": False}
    for row, place in zip(rows, places, strict=True):
        axes.text(1.01, place, _gained(row), transform=beside, fontsize=9, color=PRINT.ink, **inside)
    for domain, benchmarks in comparison.domains.items():
        place = places[rows.index(benchmarks[0])] - 0.7
        axes.text(0.0, place, shortened(domain), transform=beside, fontsize=9, color=SOFT, **inside)


def _gained(row: Benchmark) -> str:
    """`65.1 (+40.0)`, the last value and what it is more than the first."""
    first, last = row.values[0], row.values[-1]
    if last is None:
        return "-"
    return f"{last:.1f}" if first is None or len(row.values) < 2 else f"{last:.1f} ({last - first:+.1f})"


def _errors(rows: Sequence[Benchmark], index: int) -> NDArray[np.float64]:
    """Standard errors, NaN (no bar) where unknown."""
    scores = [row.scores[index] for row in rows]
    return np.asarray([None if score is None else finite(score.standard_error) for score in scores], dtype=float)


def _plain(axes: Axes, numbers: Literal["x", "y"]) -> None:
    """A grid behind everything, along the axis of the numbers, and no frame."""
    axes.set_axisbelow(True)
    axes.grid(axis=numbers, color=PRINT.faint, linewidth=0.6)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(colors=PRINT.ink, length=0)
