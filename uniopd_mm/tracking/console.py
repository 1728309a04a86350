"""Progress of a command: a live bar on a terminal, plain lines everywhere else.

On a terminal, notes and warnings print above the bar. A file, a pipe or a dumb terminal gets a plain line every few
items, without control characters. Left out: how a bar fits the terminal (layout.py), and tables (tables.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from time import monotonic
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.layout import GAP, title_line, value_lines
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import Skip

_LINES = 20  # about as many plain lines for a whole run
_QUIET_SECONDS = 60.0  # after this time, the next item gets a plain line
NAMED = 50  # the most rows to list one by one

# Label, key of StepMetrics.values, format. The ETA stands between the two groups.
_FIRST = (
    ("accuracy", "accuracy", "{:.3f}"),
    ("held-out", "eval/accuracy", "{:.3f}"),
    ("KL", "reverse_kl", "{:.3f}"),
    ("length", "response_length", "{:.1f}"),
)
_OPTIONAL = (
    ("benchmarks", "benchmark/mean", "{:.1f}"),
    ("reward", "reward", "{:.3f}"),
    ("consistency", "order_consistency", "{:.3f}"),
    ("entropy", "entropy", "{:.3f}"),
)


@cache
def terminal() -> Console:
    """The console of this process. What is printed through it appears above a live bar."""
    return Console(highlight=False)


def interactive(console: Console) -> bool:
    """Whether a live bar can be drawn: never into a file, even where `FORCE_COLOR` colours its lines."""
    return console.file.isatty() and not console.is_dumb_terminal


def note(text: str) -> None:
    """Print a line, above the bar if there is one."""
    terminal().print(printable(text, terminal()), soft_wrap=True)


def warning(text: str) -> None:
    """Print a line that begins with "warning:", above the bar if there is one."""
    terminal().print(printable(f"warning: {text}", terminal()), soft_wrap=True, style="yellow")


def warn_of_skips(skips: Sequence[Skip], what: str, more: str = "") -> None:
    """Warn of each skipped row; `what` says what happens to it. Past `NAMED` rows, one line gives the number of the
    others, with `more` at its end."""
    for skip in skips[:NAMED]:
        warning(f"{skip.where}: {skip.reason}; {what}")
    if len(skips) > NAMED:
        warning(f"{len(skips) - NAMED} more rows: {what}{more}")


@final
class Bar:
    """Progress through `total` items, with their latest values."""

    def __init__(
        self,
        title: str,
        total: int,
        *,
        completed: int = 0,
        transient: bool = False,
        console: Console | None = None,
    ) -> None:
        self._console = console or terminal()
        self._title = self._printable(title)
        self._total = total
        self._first = self._done = completed
        self._started = self._paced_from = self._last_line = monotonic()
        self._values: tuple[str, ...] = ()
        self._optional: tuple[str, ...] = ()
        self._time = _eta(None)
        self._live: Live | None = None
        if interactive(self._console):
            self._live = Live(
                get_renderable=self._drawn, console=self._console, refresh_per_second=4, transient=transient
            )

    def start(self) -> None:
        if self._live:
            self._live.start()

    def advance(self, count: int = 1, status: str = "", *, optional: Sequence[str] = ()) -> None:
        """Count `count` more items as done and replace the values on display.

        `status` holds values with two spaces between them, which are always shown, followed by the ETA. A terminal
        shows those of `optional` that it has room for; a plain line has all of them.
        """
        before, self._done = self._done, self._done + count
        if self._done == self._first:
            self._paced_from = monotonic()  # what came before the first item says nothing about its pace
        self._values = tuple(map(self._printable, filter(None, status.split(GAP))))
        self._optional = tuple(map(self._printable, optional))
        done = self._done >= self._total
        self._time = f"took {_clock(monotonic() - self._started)}" if done else _eta(self.seconds_left())
        if not self._live and self._line_is_due(before):
            self._last_line = monotonic()
            parts = (f"{self._title} {self._done}/{self._total}", *self._values, self._time, *self._optional)
            self._console.print(Text(GAP.join(parts)), soft_wrap=True)

    def seconds_left(self) -> float | None:
        """Estimated from the speed of this process so far; None before the first item."""
        done = self._done - self._first
        return (monotonic() - self._paced_from) / done * (self._total - self._done) if done else None

    def stop(self) -> None:
        """Leave the bar on the screen as it is and release the terminal."""
        if self._live:
            self._live.stop()

    def _drawn(self) -> Group:
        """The bar as it is now. Where there are no values, the ETA goes beside the bar."""
        elapsed = [] if self._done >= self._total else [f"elapsed {_clock(monotonic() - self._started)}"]
        shown = bool(self._values or self._optional)
        times = elapsed if shown else [self._time, *elapsed]
        width = self._console.width
        lines = value_lines((*self._values, self._time), self._optional, width) if shown else []
        return Group(title_line(self._title, self._done, self._total, times, width), *map(Text, lines))

    def _printable(self, text: str) -> str:
        return printable(text, self._console).plain

    def _line_is_due(self, before: int) -> bool:
        every = max(1, self._total // _LINES)
        steps_passed = before // every < self._done // every
        first_or_last = before == self._first or self._done >= self._total
        return first_or_last or steps_passed or monotonic() - self._last_line >= _QUIET_SECONDS


@contextmanager
def progress(title: str, total: int, *, transient: bool = False, console: Console | None = None) -> Iterator[Bar]:
    """A bar for the block: `with progress("grading", len(rows)) as bar: ... bar.advance(status="loss 0.31")`.

    Bars can be nested, such as an evaluation inside a run. A `transient` bar is erased at the end.
    """
    bar = Bar(title, total, transient=transient, console=console)
    bar.start()
    try:
        yield bar
    finally:
        bar.stop()


@final
class ConsoleTracker(Tracker):
    """The run's bar: accuracy, held-out accuracy, KL, response length and ETA, then other values if there is room.

    Each value stays on display until a later step measures it again, so the last evaluation remains visible.
    """

    def __init__(self, total_steps: int, resume_step: int | None = None, *, console: Console | None = None) -> None:
        self._shown: dict[str, float] = {}
        self._step = max(0, resume_step or 0)
        self._bar = Bar("step", total_steps, completed=self._step, console=console)
        self._bar.start()

    def log_step(self, metrics: StepMetrics) -> None:
        self._shown |= metrics.values
        advance, self._step = metrics.step - self._step, metrics.step
        speed = metrics.timing.get("tokens_per_second")
        optional = [*_labelled(_OPTIONAL, self._shown), *([] if speed is None else [f"{speed:.0f} tok/s"])]
        self._bar.advance(advance, GAP.join(_labelled(_FIRST, self._shown)), optional=optional)

    def close(self) -> None:
        self._bar.stop()


def _labelled(shown: Sequence[tuple[str, str, str]], values: Mapping[str, float]) -> list[str]:
    """`accuracy 0.500` and so on, without values that were not measured."""
    return [f"{label} {layout.format(values[key])}" for label, key, layout in shown if key in values]


def _eta(seconds: float | None) -> str:
    """`ETA 0:01:05`, or `ETA -:--:--` while unknown."""
    return "ETA -:--:--" if seconds is None else f"ETA {_clock(seconds)}"


def _clock(seconds: float) -> str:
    """`0:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def printable(text: str, console: Console) -> Text:
    """The text with escapes for control characters and for characters that the terminal's encoding lacks. File names
    and model outputs may hold both."""
    visible = "".join(letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}" for letter in text)
    return Text(visible.encode(console.encoding, errors="backslashreplace").decode(console.encoding))
