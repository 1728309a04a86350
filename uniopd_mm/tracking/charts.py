"""Line charts drawn with matplotlib: as a PNG, or as inline SVG that takes its colours from the page.

Left out: interaction, and the choice of what to draw (page.py, report.py).
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
_NAME = 40  # the most characters of a series' name in the legend
_ROW = 66  # characters in a row of the legend; each entry needs 6 besides its name
_NAME_HEIGHT = 0.17  # height of such a row, in inches
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # equal runs give equal pages


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A curve: values by step. `points` marks each value, for few measurements; otherwise a smoothed line is drawn over
    the faint raw one."""

    label: str
    steps: Sequence[int]
    values: Sequence[float]
    points: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A horizontal line, labelled at the right edge."""

    label: str
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart with a title. With `percent`, values are shares in [0, 1], drawn on a fixed scale from 0 % to 100 %."""

    title: str
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    percent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """Colours as `#rrggbb`: text, faint lines, and one for each series."""

    ink: str
    faint: str
    lines: tuple[str, ...]


PRINT = Palette(
    ink="#3b4252",
    faint="#c3c9d4",
    lines=("#2563eb", "#ea7317", "#0d9468", "#c026a3", "#8a6a1c", "#1f9fc7"),
)
MAX_SERIES = len(PRINT.lines)
# Placeholders that `svg` replaces with CSS variables, so that one drawing suits both the light and the dark page.
_PAGE = Palette(ink="#0a0b01", faint="#0a0b02", lines=tuple(f"#0a0b1{number}" for number in range(1, MAX_SERIES + 1)))
_STAND_INS = {
    _PAGE.ink: "var(--ink)",
    _PAGE.faint: "var(--faint)",
    **{colour: f"var(--line-{number})" for number, colour in enumerate(_PAGE.lines, 1)},
}
# Names of domains and teachers are not formulas, even with dollar signs in them.
PLAIN_TEXT = {"text.parse_math": False}


def svg(chart: Chart) -> str:
    """An `<svg>` element. The page must define --ink, --faint and --line-1 to --line-<MAX_SERIES>."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": chart.title, "font.family": "sans-serif"}):
        figure = draw(chart, _PAGE, width=5.2, height=2.7 + _NAME_HEIGHT * _num_rows(chart))
        text = StringIO()
        with warnings.catch_warnings():
            # The browser draws the text, with its own fonts.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
            figure.savefig(text, format="svg", transparent=True, metadata=_NO_METADATA)
    drawing = text.getvalue()[text.getvalue().index("<svg") :]
    for colour, variable in _STAND_INS.items():
        drawing = drawing.replace(colour, variable)
    return drawing


def png(chart: Chart, path: Path) -> None:
    """Write a PNG of 1280 x 640 pixels with a white background."""
    draw(chart, PRINT, width=6.4, height=3.2).savefig(path, dpi=200, facecolor="white")


def draw(chart: Chart, palette: Palette, *, width: float, height: float) -> Figure:
    """Draw the chart, `width` by `height` inches, with at most `MAX_SERIES` series."""
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
    """A centred moving average over `window` entries, fewer at the ends. NaN entries are ignored.

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
    """A legend below the axes, clear of the curves."""
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
    """Rows of the legend; a single curve needs none."""
    return -(-len(chart.series) // _names_in_a_row(chart)) if len(chart.series) > 1 else 0


def _names_in_a_row(chart: Chart) -> int:
    """Legend entries per row: as many as fit with the longest name, at most 3."""
    longest = max(len(shortened(series.label)) for series in chart.series)
    return max(1, min(3, _ROW // (longest + 6)))


def shortened(label: str) -> str:
    """The label cut to fit the legend, with unprintable characters replaced. matplotlib hides labels that start with an
    underscore, so those get a space in front."""
    readable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in label)
    fitting = readable if len(readable) <= _NAME else f"{readable[: _NAME - 1]}…"
    return f" {fitting}" if fitting.startswith("_") else fitting


def _draw_levels(axes: Axes, levels: Sequence[Level], palette: Palette) -> None:
    """Dashed lines with labels at the right edge; labels that would overlap are moved apart."""
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
