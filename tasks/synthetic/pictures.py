"""Scenes of coloured shapes on a grid: drawn as a picture, and described in words.

A picture is uint8 [S, S, 3]. `picture_questions` decides what is in a scene. Two pictures of one scene differ slightly
in the positions of the shapes and in the shade of the background.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uniopd_mm.tasks.synthetic.clips import draw

GRID = 2
ROWS, COLUMNS = ("top", "bottom"), ("left", "right")
CELLS = tuple((column, row) for row in range(GRID) for column in range(GRID))
SMALL, LARGE = 0.25, 0.45  # radius, in cells
SHIFT = 0.05  # the largest distance of a thing from the middle of its cell, in cells

Cell = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """A shape in a cell (column, row) of the grid, both counted from the top left."""

    shape: str
    color: str
    cell: Cell
    radius: float = 0.4


def paint(scene: Sequence[Thing], size: int, rng: random.Random) -> np.ndarray:
    """A picture uint8 [size, size, 3] of the scene."""
    ramp, shade = np.linspace(0, 90, size), rng.randint(8, 20)
    picture = np.full((size, size, 3), shade, dtype=np.uint8)
    picture[..., 0] += ramp.astype(np.uint8)  # redder to the right, bluer to the bottom, so that colours show places
    picture[..., 2] += ramp.astype(np.uint8)[:, None]
    cell = size / GRID
    for thing in scene:
        x, y = ((index + 0.5 + rng.uniform(-SHIFT, SHIFT)) * cell for index in thing.cell)
        draw(picture, thing.shape, thing.color, (x, y), thing.radius * cell)
    return picture


def tell(scene: Sequence[Thing]) -> str:
    """One sentence that describes everything in the scene.

    >>> tell([Thing(shape="circle", color="red", cell=(0, 0)), Thing(shape="square", color="blue", cell=(1, 1))])
    'A red circle at the top left and a blue square at the bottom right, on a dark background.'
    """
    *first, last = map(_told, scene)
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"{listed[0].upper()}{listed[1:]}, on a dark background."


def _told(thing: Thing) -> str:
    size = {SMALL: "small ", LARGE: "large "}.get(thing.radius, "")
    return f"a {size}{thing.color} {thing.shape} at the {ROWS[thing.cell[1]]} {COLUMNS[thing.cell[0]]}"
