"""A radar of all checkpoints and the paper's models: one axis for each benchmark, each with a scale of its own.

Left out: everything with fewer than three axes, and writing the picture (pictures.py).
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

LEAST_AXES = 3  # fewer span no area
PAPER_LINES = {"student": ("#9aa3b2", ":"), "opd": ("#6b7280", "--"), "uni_opd": ("#111827", "-.")}
SOFT = "#7b8496"
_STYLES = ("-", "--", ":", "-.")  # of checkpoints that share a colour
_LEAST_SPAN = 8.0  # points from the innermost ring to the edge of an axis, so that noise does not fill it
_TITLE = 16  # letters of a title's line
_NAME = 32  # letters of a checkpoint's name
_ROW = 90  # letters of a row of names
_INNER, _OUTER = 0.25, 1.0  # radii of an axis' lowest and highest figure


def radar(comparison: Comparison) -> Figure:
    """Every axis runs from its benchmark's lowest to its highest figure, which are written at its ends; below each
    name stands the value of the last checkpoint."""
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
    names = [*_paper_names(comparison), *map(checkpoint_name, comparison.labels)]
    columns = names_in_a_row(names)
    figure.legend(
        lines, names, loc="outside lower center", ncols=columns, fontsize=10, frameon=False, labelcolor=PRINT.ink
    )
    caption = "Each axis runs from its lowest to its highest figure.\nBelow the names: "
    figure.suptitle(caption + checkpoint_name(comparison.labels[-1]), fontsize=10, color=SOFT)
    return figure


def radii(values: Sequence[float | None], spans: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Where values stand on their axes: `_INNER` at the lowest figure, `_OUTER` at the highest, NaN for None."""
    shares = [
        np.nan if value is None else (value - low) / (high - low)
        for value, (low, high) in zip(values, spans, strict=True)
    ]
    return _INNER + (_OUTER - _INNER) * np.asarray(shares, dtype=float)


def _span(row: Benchmark) -> tuple[float, float]:
    """An axis' ends: the lowest and highest figure of the benchmark, apart by `_LEAST_SPAN` at least."""
    figures = [value for value in (*row.values, *(getattr(row.paper, name) for name in FIGURES)) if value is not None]
    low, high = min(figures), max(figures)
    span = max(high - low, _LEAST_SPAN)
    low = min(max((low + high - span) / 2, 0.0), 100.0 - span)  # no axis goes beyond the scale
    return low, low + span


def _curves(comparison: Comparison) -> list[tuple[list[float | None], dict[str, Any]]]:
    """The values of the paper's models, then of the checkpoints, with their lines; the last checkpoint on top."""
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
    """A closed line, open where values are missing."""
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
        axes.text(angle, _OUTER + 0.13, title, **_beside(float(angle)), fontsize=10, color=PRINT.ink)


def _beside(angle: float) -> dict[str, Any]:
    """How a text stands that grows away from the circle; angles go clockwise from the top."""
    right, up = np.sin(angle), np.cos(angle)
    return {
        "ha": "center" if abs(right) < 0.2 else "left" if right > 0 else "right",
        "va": "center" if abs(up) < 0.5 else "bottom" if up > 0 else "top",
    }


def _last_value(row: Benchmark) -> str:
    return "-" if row.values[-1] is None else f"{row.values[-1]:.1f}"


def _paper_names(comparison: Comparison) -> list[str]:
    return [f"paper: {FIGURES[name]}" for name in PAPER_LINES if name in comparison.figures]


def checkpoint_line(index: int) -> dict[str, Any]:
    """Colour and style of the checkpoint of that number."""
    colours = PRINT.lines
    return {"color": colours[index % len(colours)], "linestyle": _STYLES[index // len(colours) % len(_STYLES)]}


def checkpoint_name(label: str) -> str:
    """The end of a long label, which tells more than its beginning, as a picture can show it."""
    return shortened(label if len(label) <= _NAME else f"…{label[1 - _NAME :]}")


def names_in_a_row(names: Sequence[str]) -> int:
    """Of a legend, as many as the longest leaves room for."""
    return max(1, min(3, _ROW // (max(map(len, names)) + 6)))
