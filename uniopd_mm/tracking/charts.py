"""Curves of a run as pictures, drawn by matplotlib: inline SVG that takes its colours from the page, or a PNG.

Left out: interaction, and what a chart means (page.py and report.py choose the series).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

_MAX_POINTS = 400
_NAME = 40  # characters of a series' name
_ROW = 66  # characters of a row of names, with 6 for each name's line and space
_NAME_HEIGHT = 0.17  # inches of such a row
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # so that equal runs give equal pages


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A curve: values by step. `points` marks each (few measurements); otherwise a smooth line over a faint raw one."""

    label: str
    steps: Sequence[int]
    values: Sequence[float]
    points: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A horizontal line with its name at the right edge."""

    label: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A titled chart; with `percent` the values are shares in [0, 1] shown on a fixed scale."""

    title: str
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    percent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """Colours as `#rrggbb`: text, faint lines, then one for each series."""

    ink: str
    faint: str
    lines: tuple[str, ...]


PRINT = Palette(
    ink="#3b4252",
    faint="#c3c9d4",
    lines=("#2563eb", "#ea7317", "#0d9468", "#c026a3", "#8a6a1c", "#1f9fc7"),
)
MAX_SERIES = len(PRINT.lines)
# Stand-ins that `svg` replaces by CSS variables, so that one drawing suits a light and a dark page.
_PAGE = Palette(ink="#0a0b01", faint="#0a0b02", lines=tuple(f"#0a0b1{number}" for number in range(1, MAX_SERIES + 1)))
_STAND_INS = {
    _PAGE.ink: "var(--ink)",
    _PAGE.faint: "var(--faint)",
    **{colour: f"var(--line-{number})" for number, colour in enumerate(_PAGE.lines, 1)},
}
# What users name (a domain, a teacher) is no formula, whatever dollar signs it has.
PLAIN_TEXT = {"text.parse_math": False}


def svg(chart: Chart) -> str:
    """An `<svg>` element. Its page defines --ink, --faint and --line-1 to --line-<MAX_SERIES>."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": chart.title, "font.family": "sans-serif"}):
        figure = draw(chart, _PAGE, width=5.2, height=2.7 + _NAME_HEIGHT * _num_rows(chart))
        text = StringIO()
        with warnings.catch_warnings():
            # The browser draws the text, and may well have what matplotlib's font lacks.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
            figure.savefig(text, format="svg", transparent=True, metadata=_NO_METADATA)
    drawing = text.getvalue()[text.getvalue().index("<svg") :]
    for colour, variable in _STAND_INS.items():
        drawing = drawing.replace(colour, variable)
    return drawing


def png(chart: Chart, path: Path) -> None:
    """A PNG of 1280 x 640 pixels on white."""
    draw(chart, PRINT, width=6.4, height=3.2).savefig(path, dpi=200, facecolor="white")


def draw(chart: Chart, palette: Palette, *, width: float, height: float) -> Figure:
    """The chart, `width` by `height` inches, of at most `MAX_SERIES` series."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    lines = [
        _draw_series(axes, series, colour)
        for series, colour in zip(chart.series, palette.lines[: len(chart.series)], strict=True)
    ]
    with rc_context(PLAIN_TEXT):
        _style(axes, chart, palette)
        _draw_levels(axes, chart.levels, palette)
        if len(lines) > 1:
            _name_series(figure, lines, chart, palette)
    return figure


def smooth(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """A centred mean over `window` entries, fewer at the ends; NaN entries are left out of every mean.

    smooth([1, 2, 6], 3) == [1.5, 3, 4]
    """
    known = np.isfinite(values)
    kernel = np.ones(window)
    totals = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    counts = np.convolve(known.astype(float), kernel, mode="same")
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0.5)


def _draw_series(axes: Axes, series: Series, colour: str) -> Line2D:
    steps, values = np.asarray(series.steps), np.asarray(series.values, dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    if series.points or len(values) < 8:
        (line,) = axes.plot(steps, values, color=colour, linewidth=1.8, marker="o", markersize=4)
        return line
    every = -(-len(values) // _MAX_POINTS)
    window = max(3, len(values) // 15) | 1
    axes.plot(steps[::every], values[::every], color=colour, linewidth=0.8, alpha=0.3)
    (line,) = axes.plot(steps[::every], smooth(values, window)[::every], color=colour, linewidth=1.8)
    return line


def _name_series(figure: Figure, lines: Sequence[Line2D], chart: Chart, palette: Palette) -> None:
    """Below the axes, where no curve passes."""
    figure.legend(
        lines,
        [shortened(series.label) for series in chart.series],
        loc="outside lower left",
        ncols=_names_in_a_row(chart),
        fontsize=8,
        frameon=False,
        labelcolor=palette.ink,
    )


def _num_rows(chart: Chart) -> int:
    """Rows of names below a chart; a single curve needs none."""
    return -(-len(chart.series) // _names_in_a_row(chart)) if len(chart.series) > 1 else 0


def _names_in_a_row(chart: Chart) -> int:
    """As many as the longest leaves room for."""
    longest = max(len(shortened(series.label)) for series in chart.series)
    return max(1, min(3, _ROW // (longest + 6)))


def shortened(label: str) -> str:
    """A name that fits, and that the legend does not take for a private one (`_x`) or the font for half a letter."""
    readable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in label)
    fitting = readable if len(readable) <= _NAME else f"{readable[: _NAME - 1]}…"
    return f" {fitting}" if fitting.startswith("_") else fitting


def _draw_levels(axes: Axes, levels: Sequence[Level], palette: Palette) -> None:
    """Dashed lines, each named at the right edge; names that would overlap are moved apart."""
    bottom, top = axes.get_ylim()
    height = -np.inf
    for level in sorted(levels, key=lambda entry: entry.value):
        axes.axhline(level.value, color=palette.ink, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.7, zorder=1)
        height = max(level.value, height + 0.085 * (top - bottom))
        place = axes.get_yaxis_transform()
        axes.text(1.015, height, level.label, transform=place, va="center", fontsize=8, color=palette.ink)


def _style(axes: Axes, chart: Chart, palette: Palette) -> None:
    axes.set_title(chart.title, loc="left", fontsize=10, fontweight="bold", color=palette.ink)
    axes.set_xlabel("step", fontsize=8, color=palette.ink)
    axes.grid(axis="y", color=palette.faint, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(palette.faint)
    axes.tick_params(colors=palette.ink, labelsize=8, length=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if chart.percent:
        axes.set_ylim(-0.03, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
