"""A circuit breaker: a server that failed several times in a row is skipped for a while."""

from collections.abc import Callable
from time import monotonic
from typing import final


@final
class Breaker:
    """Counts consecutive failures.

    Args:
        failures: consecutive failures that open the breaker.
        seconds: how long the server is skipped before it may be probed.
        clock: returns the time in seconds.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self.failures = failures
        self.seconds = seconds
        self._clock = clock
        self._consecutive = 0
        self._until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server is skipped."""
        return self._until is not None

    @property
    def seconds_left(self) -> float:
        """Seconds until the server may be probed."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def record_failure(self) -> None:
        self._consecutive += 1
        if self._consecutive >= self.failures:
            self._until = self._clock() + self.seconds

    def record_success(self) -> None:
        self._consecutive = 0
        self._until = None
