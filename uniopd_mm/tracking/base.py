"""The Tracker protocol, and a tracker that forwards to several others."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol, final

from torch import Tensor

from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import Trajectory


class Tracker(Protocol):
    """A sink for the measurements of training. Methods that a subclass does not override do nothing."""

    def log_step(self, metrics: StepMetrics) -> None:
        """Log the metrics of one step. Steps come in increasing order, each once."""
        return None

    def log_rollouts(
        self,
        step: int,
        trajectories: Sequence[Trajectory],
        tokens: Callable[[Tensor], list[str]],
    ) -> None:
        """Log this process's trajectories of one step. `tokens` turns ids i64[R] into R strings."""
        return None

    def close(self) -> None:
        """Finish writing. Log nothing afterwards."""
        return None


@final
class CompositeTracker(Tracker):
    """Forwards every call to each of `sinks` in order. An exception from one of them skips the later ones."""

    def __init__(self, sinks: Sequence[Tracker]) -> None:
        self._sinks = tuple(sinks)

    def log_step(self, metrics: StepMetrics) -> None:
        for sink in self._sinks:
            sink.log_step(metrics)

    def log_rollouts(
        self,
        step: int,
        trajectories: Sequence[Trajectory],
        tokens: Callable[[Tensor], list[str]],
    ) -> None:
        for sink in self._sinks:
            sink.log_rollouts(step, trajectories, tokens)

    def close(self) -> None:
        """Close every sink in reverse order, even if some fail; then raise the last exception."""
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
