"""Histogram of a corpus by difficulty, before and after balancing: as a table for the terminal, and as a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text
from torch import Tensor

from uniopd_mm.distill.balancing import difficulty_bins
from uniopd_mm.tracking.charts import PRINT

_BAR = 20  # characters of the longest bar


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Prompts by pass rate: each bin's label and its counts before and after. The first and the last bin hold the pass
    rates of exactly 0 and exactly 1."""

    labels: tuple[str, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar of `share` times the full length, at least one character unless the share is 0."""

    share: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(("#" if options.ascii_only else "\u2588") * ceil(self.share * _BAR), no_wrap=True)


def histogram(pass_rates: Tensor, repeats: Tensor, num_bins: int) -> Histogram:
    """Count prompts with pass rates [P] in the bins of `balance_difficulty`: once each before, and `repeats` i64[P]
    times after."""
    bins = difficulty_bins(pass_rates.double(), num_bins)
    before = torch.bincount(bins, minlength=num_bins + 2)
    after = torch.bincount(bins, weights=repeats.double(), minlength=num_bins + 2).long()
    edges = [f"{edge / num_bins:.2g}" for edge in range(num_bins + 1)]
    between = [f"{low} - {high}" for low, high in pairwise(edges)]
    return Histogram(labels=("0", *between, "1"), before=tuple(before.tolist()), after=tuple(after.tolist()))


def histogram_table(counted: Histogram) -> Table:
    """One row per bin, with its prompts before and after as numbers and bars."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("pass rate", justify="right", no_wrap=True)
    for name in ("before", "after"):
        table.add_column(name, justify="right")
        table.add_column(width=_BAR)
    most = max(1, *counted.before, *counted.after)
    for label, before, after in zip(counted.labels, counted.before, counted.after, strict=True):
        table.add_row(label, str(before), _Bar(before / most), str(after), _Bar(after / most))
    table.add_section()
    table.add_row("all", str(sum(counted.before)), "", str(sum(counted.after)), "")
    return table


def histogram_png(counted: Histogram, path: Path) -> None:
    """Write bars side by side as a PNG of 1280 x 640 pixels with a white background, whatever the suffix of `path`."""
    figure = Figure(figsize=(6.4, 3.2), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    places = np.arange(len(counted.labels))
    for shift, name, counts, colour in (
        (-0.2, "before", counted.before, PRINT.lines[0]),
        (0.2, "after", counted.after, PRINT.lines[1]),
    ):
        axes.bar(places + shift, counts, width=0.4, color=colour, label=f"{name} ({sum(counts)})")
    axes.set_title("Train prompts by pass rate", loc="left", fontsize=10, fontweight="bold", color=PRINT.ink)
    axes.set_xlabel("pass rate: share of the student's rollouts that are correct", fontsize=8, color=PRINT.ink)
    axes.set_xticks(places, _ticks(counted.labels))
    axes.grid(axis="y", color=PRINT.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(PRINT.faint)
    axes.tick_params(colors=PRINT.ink, labelsize=8, length=0)
    axes.legend(fontsize=8, frameon=False, labelcolor=PRINT.ink, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    figure.savefig(path, format="png", dpi=200, facecolor="white")


def _ticks(labels: Sequence[str]) -> list[str]:
    """Tick labels; if there are many, only every n-th one is shown."""
    every = -(-len(labels) // 13)
    return [label.replace(" - ", "-") if index % every == 0 else "" for index, label in enumerate(labels)]
