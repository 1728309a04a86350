"""The lines of a live progress bar, fitted to the width of the terminal.

    step ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100/200  elapsed 0:05:00
    accuracy 0.500  held-out 0.250  KL 0.125  length 12.0  ETA 0:05:00  reward 0.750

On a narrow terminal the bar shrinks, the second line wraps between values, and optional values are dropped. A value is
never cut in the middle. Left out: when and where the lines are printed (console.py).
"""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

GAP = "  "  # between two values
_BAR = 40  # characters of the bar where there is room
_SHORT_BAR = 10  # a time is dropped before the bar gets shorter than this


def title_line(title: str, done: int, total: int, times: Sequence[str], width: int) -> Table:
    """The title, the bar, `done/total`, and as many of `times`, from the first, as fit."""
    end = f"{done:{len(str(total))}}/{total}"
    for time in times:
        if _room(title, GAP.join((end, time)), width) < _SHORT_BAR:
            break
        end = GAP.join((end, time))
    bar = ProgressBar(total=total, completed=done, width=min(_BAR, max(1, _room(title, end, width))))
    line = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    line.add_row(Text(set_cell_size(title, min(cell_len(title), max(0, _room("", end, width) - 1)))), bar, Text(end))
    return line


def value_lines(values: Sequence[str], optional: Sequence[str], width: int) -> list[str]:
    """All of `values`, on as many lines as they need, then each of `optional` that fits on the last line.

    value_lines(["KL 0.1", "ETA 0:01"], ["reward 0.5", "1 tok/s"], 25) == ["KL 0.1  ETA 0:01  1 tok/s"]
    """
    lines: list[str] = []
    for value in values:
        joined = GAP.join((*lines[-1:], value))
        if lines and cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(value)
    for value in optional:
        joined = GAP.join((*lines[-1:], value))
        if cell_len(joined) <= width:
            lines[-1:] = [joined]
    return lines


def _room(title: str, end: str, width: int) -> int:
    """Characters left for the bar between the title and the end, with a space on either side."""
    return width - cell_len(f"{title}  {end}")
