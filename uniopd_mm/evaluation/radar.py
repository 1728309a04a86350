"""A radar chart of all checkpoints and the paper's models: one axis per benchmark, each with its own scale.

Not here: charts with fewer than three axes, and writing the file (pictures.py).
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.projections.polar import PolarAxes
from numpy.typing import NDArray

from uniopd_mm.evaluation.comparison import FIGURES, Benchmark, Comparison
from uniopd_mm.tracking.charts import PRINT, shortened

MIN_AXES = 3  # fewer axes span no area
PAPER_LINES = {"student": ("#9aa3b2", ":"), "opd": ("#6b7280", "--"), "uni_opd": ("#111827", "-.")}
SOFT = "#7b8496"
_STYLES = ("-", "--", ":", "-.")  # for checkpoints that share a colour
_MIN_SPAN = 8.0  # smallest range of an axis in points, so that noise does not fill it
_TITLE = 16  # characters per line of a title
_NAME = 32  # characters of a checkpoint's name
_ROW = 90  # characters per row of the legend
_INNER, _OUTER = 0.25, 1.0  # radii of an axis's lowest and highest figure


def radar(comparison: Comparison) -> Figure:
    """Every axis runs from its benchmark's lowest to its highest figure, which are written at its ends. Below each name
    is the value of the last checkpoint."""
    rows = comparison.benchmarks
    figure = Figure(figsize=(9.6, 9.6), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot(projection="polar")
    assert isinstance(axes, PolarAxes)
    angles = 2 * np.pi * np.arange(len(rows)) / len(rows)
    spans = [_span(row) for row in rows]
    lines = [_ring(axes, angles, radii(values, spans), style) for values, style in _curves(comparison)]
    last = radii([row.values[-1] for row in rows], spans)
    if np.isfinite(last).all():
        axes.fill(angles, last, color=lines[-1].get_color(), alpha=0.06)
    _draw_axes(axes, rows, angles, spans)
    paper_names = [f"paper: {FIGURES[name]}" for name in PAPER_LINES if name in comparison.figures]
    names = [*paper_names, *map(checkpoint_name, comparison.labels)]
    columns = legend_columns(names)
    figure.legend(
        lines, names, loc="outside lower center", ncols=columns, fontsize=10, frameon=False, labelcolor=PRINT.ink
    )
    caption = "Each axis runs from its lowest to its highest figure.\nBelow the names: "
    figure.suptitle(caption + checkpoint_name(comparison.labels[-1]), fontsize=10, color=SOFT)
    return figure


def radii(values: Sequence[float | None], spans: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The radii of values on their axes: `_INNER` at the lowest figure, `_OUTER` at the highest, NaN for None."""
    shares = [
        np.nan if value is None else (value - low) / (high - low)
        for value, (low, high) in zip(values, spans, strict=True)
    ]
    return _INNER + (_OUTER - _INNER) * np.asarray(shares, dtype=float)


def _span(row: Benchmark) -> tuple[float, float]:
    """The ends of an axis: the lowest and highest figure of the benchmark, at least `_MIN_SPAN` apart."""
    figures = [value for value in (*row.values, *(getattr(row.paper, name) for name in FIGURES)) if value is not None]
    low, high = min(figures), max(figures)
    span = max(high - low, _MIN_SPAN)
    low = min(max((low + high - span) / 2, 0.0), 100.0 - span)  # an axis stays within 0 to 100
    return low, low + span


def _curves(comparison: Comparison) -> list[tuple[list[float | None], dict[str, Any]]]:
    """The values of the paper's models, then of the checkpoints, with their line styles. The last checkpoint is on
    top."""
    rows = comparison.benchmarks
    paper = [
        ([getattr(row.paper, name) for row in rows], {"color": colour, "linestyle": style, "linewidth": 1.3})
        for name, (colour, style) in PAPER_LINES.items()
        if name in comparison.figures
    ]
    checkpoints = [
        (
            [row.values[index] for row in rows],
            {**checkpoint_line(index), "linewidth": 2.2, "marker": "o", "markersize": 4},
        )
        for index in range(len(comparison.labels))
    ]
    return [*paper, *checkpoints]


def _ring(axes: PolarAxes, angles: NDArray[np.float64], values: NDArray[np.float64], style: dict[str, Any]) -> Line2D:
    """A closed line, with gaps where values are missing."""
    closed = np.append(angles, angles[0]), np.append(values, values[0])
    (line,) = axes.plot(*closed, **style)
    return line


def _draw_axes(
    axes: PolarAxes, rows: Sequence[Benchmark], angles: NDArray[np.float64], spans: Sequence[tuple[float, float]]
) -> None:
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_ylim(0, 1.06)
    axes.set_yticks(np.linspace(_INNER, _OUTER, 4), labels=[])
    axes.set_xticks(angles, labels=[])
    axes.grid(color=PRINT.faint, linewidth=0.6)
    axes.spines["polar"].set_visible(False)
    for row, angle, (low, high) in zip(rows, angles, spans, strict=True):
        for radius, value in ((_INNER - 0.07, low), (_OUTER + 0.06, high)):
            axes.text(angle, radius, f"{value:.0f}", ha="center", va="center", fontsize=8, color=SOFT)
        title = "\n".join([*wrap(shortened(row.title), _TITLE), _last_value(row)])
        axes.text(angle, _OUTER + 0.13, title, **_alignment(float(angle)), fontsize=10, color=PRINT.ink)


def _alignment(angle: float) -> dict[str, Any]:
    """Text alignment that lets a label grow away from the circle. Angles go clockwise from the top."""
    right, up = np.sin(angle), np.cos(angle)
    return {
        "ha": "center" if abs(right) < 0.2 else "left" if right > 0 else "right",
        "va": "center" if abs(up) < 0.5 else "bottom" if up > 0 else "top",
    }


def _last_value(row: Benchmark) -> str:
    return "-" if row.values[-1] is None else f"{row.values[-1]:.1f}"


def checkpoint_line(index: int) -> dict[str, Any]:
    """Colour and style of the checkpoint with that index."""
    colours = PRINT.lines
    return {"color": colours[index % len(colours)], "linestyle": _STYLES[index // len(colours) % len(_STYLES)]}


def checkpoint_name(label: str) -> str:
    """The end of a long label, which is more informative than its beginning, without characters that a chart cannot
    show."""
    return shortened(label if len(label) <= _NAME else f"…{label[1 - _NAME :]}")


def legend_columns(names: Sequence[str]) -> int:
    """As many columns of names as the longest name allows."""
    return max(1, min(3, _ROW // (max(map(len, names)) + 6)))
