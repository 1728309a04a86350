"""What a person sees while something runs: a bar on a terminal, plain lines everywhere else.

A terminal gets one live bar, and notes print above it. A file, a pipe or a dumb terminal gets a plain line now and
then, without control characters. Left out: colours and layout of the final table (see summary.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from time import monotonic
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import Skip

_LINES = 20  # about so many plain lines for a whole run
NAMED = 50  # rows that are named one by one
_QUIET_SECONDS = 60.0  # and at least one in this time

# label, key of StepMetrics.values, format
_SHOWN = (
    ("accuracy", "accuracy", "{:.3f}"),
    ("KL", "reverse_kl", "{:.3f}"),
    ("consistency", "order_consistency", "{:.3f}"),
    ("reward", "reward", "{:.3f}"),
    ("entropy", "entropy", "{:.3f}"),
    ("length", "response_length", "{:.1f}"),
    ("eval", "eval/accuracy", "{:.3f}"),
    ("benchmarks", "benchmark/mean", "{:.1f}"),
)


@cache
def terminal() -> Console:
    """The one console of this process; everything printed through it appears above a live bar."""
    return Console(highlight=False)


def interactive(console: Console) -> bool:
    """Whether a live bar can be drawn. `FORCE_COLOR` colours a file's lines but draws no bar into it."""
    return console.file.isatty() and not console.is_dumb_terminal


def note(text: str) -> None:
    """Print a line, above the bar if there is one."""
    terminal().print(printable(text, terminal()), soft_wrap=True)


def warning(text: str) -> None:
    """Print a line that begins with "warning:", above the bar if there is one."""
    terminal().print(printable(f"warning: {text}", terminal()), soft_wrap=True, style="yellow")


def warn_of_skips(skips: Sequence[Skip], what: str, more: str = "") -> None:
    """Name each with what becomes of it; of very many the first, and how many there are beside, with `more` to say."""
    for skip in skips[:NAMED]:
        warning(f"{skip.where}: {skip.reason}; {what}")
    if len(skips) > NAMED:
        warning(f"{len(skips) - NAMED} more rows: {what}{more}")


@final
class Bar:
    """Progress through `total` items, with a short status beside it."""

    def __init__(
        self,
        title: str,
        total: int,
        *,
        completed: int = 0,
        transient: bool = False,
        console: Console | None = None,
    ) -> None:
        self._title = title
        self._total = total
        self._first = self._done = completed
        self._console = console or terminal()
        self._started = self._paced_from = self._last_line = monotonic()
        self._progress, self._task = _bar(title, total, completed, self._console)
        self._status = Text("", no_wrap=True, overflow="ellipsis")
        self._live: Live | None = None
        if interactive(self._console):
            bar = Group(self._progress, self._status)
            self._live = Live(bar, console=self._console, refresh_per_second=4, transient=transient)

    def start(self) -> None:
        if self._live:
            self._live.start()

    def advance(self, count: int = 1, status: str = "") -> None:
        """`count` more items are done; `status` replaces the text beside the bar."""
        before, self._done = self._done, self._done + count
        if self._done == self._first:
            self._paced_from = monotonic()  # the first evaluation took its time, which says nothing of the steps
        left = _clock(self.seconds_left())
        if self._live:
            self._progress.update(self._task, completed=self._done, left=left)
            self._status.plain = f"  {status}" if status else ""
        elif self._line_is_due(before):
            self._last_line = monotonic()
            end = f"ETA {left}" if self._done < self._total else f"took {_clock(monotonic() - self._started)}"
            parts = (f"{self._title} {self._done}/{self._total}", status, end)
            line = "  ".join(part for part in parts if part)
            self._console.print(printable(line, self._console), soft_wrap=True)

    def seconds_left(self) -> float | None:
        """What is left at the speed of this process so far; None before the first item."""
        done = self._done - self._first
        return (monotonic() - self._paced_from) / done * (self._total - self._done) if done else None

    def stop(self) -> None:
        """Leave the bar as it stands and give the terminal back."""
        if self._live:
            self._live.stop()

    def _line_is_due(self, before: int) -> bool:
        every = max(1, self._total // _LINES)
        steps_passed = before // every < self._done // every
        first_or_last = before == self._first or self._done >= self._total
        return first_or_last or steps_passed or monotonic() - self._last_line >= _QUIET_SECONDS


@contextmanager
def progress(title: str, total: int, *, transient: bool = False, console: Console | None = None) -> Iterator[Bar]:
    """A bar for the block: `with progress("grading", len(rows)) as bar: ... bar.advance(status="loss 0.31")`.

    It may stand inside another one, such as an evaluation inside the run; `transient` wipes it away at the end.
    """
    bar = Bar(title, total, transient=transient, console=console)
    bar.start()
    try:
        yield bar
    finally:
        bar.stop()


@final
class ConsoleTracker(Tracker):
    """The run's bar: step, accuracy, KL, order consistency, reward, entropy, response length, tokens/s, ETA.

    A value stays on display until a later step measures it anew, so that a rare evaluation can be read.
    """

    def __init__(self, total_steps: int, resume_step: int | None = None, *, console: Console | None = None) -> None:
        self._shown: dict[str, float] = {}
        self._step = max(0, resume_step or 0)
        self._bar = Bar("step", total_steps, completed=self._step, console=console)
        self._bar.start()

    def log_step(self, metrics: StepMetrics) -> None:
        self._shown |= metrics.values
        advance, self._step = metrics.step - self._step, metrics.step
        self._bar.advance(advance, status_line(self._shown, metrics.timing.get("tokens_per_second")))

    def close(self) -> None:
        self._bar.stop()


def status_line(values: dict[str, float], tokens_per_second: float | None) -> str:
    """`accuracy 0.500  KL 0.120 ...`, without what was not measured."""
    parts = [f"{label} {layout.format(values[key])}" for label, key, layout in _SHOWN if key in values]
    return "  ".join([*parts, f"{tokens_per_second:.0f} tok/s"] if tokens_per_second is not None else parts)


def _bar(title: str, total: int, completed: int, console: Console) -> tuple[Progress, TaskID]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, TextColumn("ETA {task.fields[left]}"), console=console)
    return bar, bar.add_task(title, total=total, completed=completed, left=_clock(None))


def _clock(seconds: float | None) -> str:
    """`0:01:05`, or `-:--:--` where unknown."""
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def printable(text: str, console: Console) -> Text:
    """The text as plain lines: a file's name or a model's words may hold control characters or what the terminal's
    encoding lacks."""
    visible = "".join(letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}" for letter in text)
    return Text(visible.encode(console.encoding, errors="backslashreplace").decode(console.encoding))
