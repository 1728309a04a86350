"""The Tracker protocol, and a tracker that fans out to several."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol, final

from torch import Tensor

from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import Trajectory


class Tracker(Protocol):
    """A sink of what training measures. A sink that subclasses this ignores what it does not override."""

    def log_step(self, metrics: StepMetrics) -> None:
        """Take one step's metrics; steps come in increasing order, each once."""
        return None

    def log_rollouts(
        self,
        step: int,
        trajectories: Sequence[Trajectory],
        tokens: Callable[[Tensor], list[str]],
    ) -> None:
        """Take one step's trajectories of this process. `tokens` turns ids i64[R] into R strings."""
        return None

    def close(self) -> None:
        """Finish writing. Nothing may be logged afterwards."""
        return None


@final
class CompositeTracker(Tracker):
    """Hands everything to each of `sinks` in order; the first that raises stops the step."""

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
        """Close every sink, in reverse order, even when one fails; then raise what the last failing one raised."""
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
