"""Whom to leave alone: a server that failed several times in a row is not asked again for a while."""

from collections.abc import Callable
from time import monotonic
from typing import final


@final
class Breaker:
    """Counts failures in a row.

    Args:
        failures: after which the server is left alone.
        seconds: for how long, before one may see whether it is back.
        clock: tells the time in seconds.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self.failures = failures
        self.seconds = seconds
        self._clock = clock
        self._in_a_row = 0
        self._until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server is left alone."""
        return self._until is not None

    @property
    def seconds_left(self) -> float:
        """Until it may be looked at again."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def failed(self) -> None:
        self._in_a_row += 1
        if self._in_a_row >= self.failures:
            self._until = self._clock() + self.seconds

    def succeeded(self) -> None:
        self._in_a_row = 0
        self._until = None
