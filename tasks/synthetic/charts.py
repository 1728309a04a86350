"""Small bar, line and pie charts of whole numbers: drawn as a picture, and described in words.

A picture is uint8 [S, S, 3]. `chart_questions` decides which values a chart has. There is no room for writing, so the
categories are named by their colours, and grid lines mark the whole values. Two pictures of one chart differ slightly
in the widths and in the shade of the background.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

COLORS = {
    "red": (220, 40, 40),
    "green": (40, 170, 70),
    "blue": (50, 80, 230),
    "orange": (245, 150, 30),
}
TOP = 4  # the highest value
GRID_LINE = (200, 200, 200)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Values of categories, in drawing order. `kind` is bar, line or pie. The points of a line are categories too."""

    kind: str
    values: Mapping[str, int]


def paint(chart: Chart, size: int, rng: random.Random) -> np.ndarray:
    """A picture uint8 [size, size, 3] of the chart."""
    shade = rng.randint(238, 252)
    image = Image.new("RGB", (size, size), (shade, shade, shade))
    {"bar": _bars, "line": _line, "pie": _pie}[chart.kind](ImageDraw.Draw(image), chart, size, rng)
    return np.asarray(image)


def tell(chart: Chart) -> str:
    """One sentence that describes everything in the chart.

    >>> tell(Chart(kind="bar", values={"red": 2, "blue": 4}))
    'A bar chart of red 2 and blue 4.'
    """
    *first, last = (f"{name} {value}" for name, value in chart.values.items())
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"A {chart.kind} chart of {listed}{' parts' if chart.kind == 'pie' else ''}."


def height_of(value: int, size: int) -> int:
    """The row of pixels of a value: 0 is at the bottom edge, the highest value a little below the top edge."""
    return size - 1 - round(value * size / (TOP + 0.4))


def _grid(canvas: ImageDraw.ImageDraw, size: int) -> None:
    for value in range(TOP + 1):
        canvas.line([(0, height_of(value, size)), (size, height_of(value, size))], fill=GRID_LINE)


def _bars(canvas: ImageDraw.ImageDraw, chart: Chart, size: int, rng: random.Random) -> None:
    _grid(canvas, size)
    slot = size / len(chart.values)
    margin = rng.uniform(0.08, 0.2) * slot
    for index, (name, value) in enumerate(chart.values.items()):
        left, right = index * slot + margin, (index + 1) * slot - margin
        canvas.rectangle([(round(left), height_of(value, size)), (round(right) - 1, size - 1)], fill=COLORS[name])


def _line(canvas: ImageDraw.ImageDraw, chart: Chart, size: int, rng: random.Random) -> None:
    """Grey strokes between points, each a disc of its category's colour."""
    _grid(canvas, size)
    slot, radius = size / len(chart.values), rng.uniform(0.055, 0.07) * size
    points = [((index + 0.5) * slot, height_of(value, size)) for index, value in enumerate(chart.values.values())]
    canvas.line(points, fill=(90, 90, 90), width=2)
    for (x, y), name in zip(points, chart.values, strict=True):
        canvas.ellipse([(x - radius, y - radius), (x + radius, y + radius)], fill=COLORS[name])


def _pie(canvas: ImageDraw.ImageDraw, chart: Chart, size: int, rng: random.Random) -> None:
    radius, total, start = rng.uniform(0.42, 0.47) * size, sum(chart.values.values()), -90.0
    box = [(size / 2 - radius, size / 2 - radius), (size / 2 + radius, size / 2 + radius)]
    for name, value in chart.values.items():
        end = start + 360 * value / total
        canvas.pieslice(box, start, end, fill=COLORS[name])
        start = end
