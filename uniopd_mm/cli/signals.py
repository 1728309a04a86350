"""SIGTERM and SIGHUP end a command as Ctrl-C does: with the cursor back, files closed and a last word."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130  # exit status after Ctrl-C


class Ended(KeyboardInterrupt):
    """The process was told to end by a signal with this number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def last_word(error: KeyboardInterrupt) -> tuple[str, int]:
    """What to print, and the exit status: 128 and the signal's number, as shells count."""
    if isinstance(error, Ended):
        return str(error), 128 + error.number
    return "interrupted", INTERRUPTED


@contextmanager
def ending_signals() -> Iterator[None]:
    """During the block, SIGTERM and SIGHUP raise `Ended` in the main thread. One that is ignored (`nohup`) or handled
    already is left alone, and so are child processes."""
    if current_thread() is not main_thread():
        yield
        return
    owner = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            raise Ended(number)
        signal.signal(number, signal.SIG_DFL)  # a forked child ends as it would without us
        os.kill(os.getpid(), number)

    own = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in own:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in own:
            signal.signal(number, signal.SIG_DFL)
