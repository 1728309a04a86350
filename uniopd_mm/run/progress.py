"""The progress of a run: counts over its steps, the state a checkpoint saves, and the time each phase takes."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Self, final

from uniopd_mm.data.mixture import MixtureState
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.learner.checkpoint import Best, better, load_state, unreadable_state
from uniopd_mm.learner.learner import Learner
from uniopd_mm.run.changes import Fingerprints
from uniopd_mm.run.records import plain, restored
from uniopd_mm.run.validation import Validation
from uniopd_mm.runtime.rng import rng_state
from uniopd_mm.types import Skip


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Finished steps, validations of student and teacher, and counts over all steps.

    `seconds` is the time of all steps; `left_out` counts unknown outcomes and failed teachers by reason; `history` has
    the metrics of each step, from which warnings are derived; `best` is the best step so far, never step 0; `changes`
    are those of rows, teachers or code that the user accepted at a resume.
    """

    before: Validation
    teacher: Validation | None
    after: Validation | None = None
    step: int = 0
    teacher_failures: int = 0
    unknown_outcomes: int = 0
    seconds: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()
    best: Best | None = None
    changes: tuple[str, ...] = ()

    def after_step(self, number: int, values: Mapping[str, float], seconds: float, measure: str) -> Self:
        """Add a step. It may be the best by `measure`, a key that `values` has where the step was evaluated."""
        numbers = {name: value if isinstance(value, int) else float(value) for name, value in values.items()}
        measured = Best(step=number, measure=measure, value=values.get(measure, math.nan))
        return replace(
            self,
            step=number,
            teacher_failures=self.teacher_failures + int(values["teacher_failures"]),
            unknown_outcomes=self.unknown_outcomes + int(values["unknown_outcomes"]),
            seconds=self.seconds + seconds,
            history=(*self.history, numbers),
            best=better(self.best, measured),
        )

    def leaving_out(self, reasons: Mapping[str, int]) -> Self:
        """Add counts of what was left out, by reason."""
        return replace(self, left_out=dict(Counter(self.left_out) + Counter(reasons)))

    def validated(self, after: Validation) -> Self:
        """Replace the latest validation of the student."""
        return replace(self, after=after)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """Everything the next step depends on, apart from the student's weights."""

    progress: Progress
    mixture: MixtureState
    skipped: tuple[Skip, ...]
    learner: Mapping[str, Any]
    rng: Mapping[str, Any]
    fingerprints: Fingerprints

    @classmethod
    def of(cls, progress: Progress, prompts: PromptStream, learner: Learner, fingerprints: Fingerprints) -> Self:
        """The current state of a run."""
        return cls(
            progress=progress,
            mixture=prompts.mixture.state,
            skipped=tuple(prompts.skipped),
            learner=learner.state_dict(),
            rng=rng_state(),
            fingerprints=fingerprints,
        )

    def saved(self) -> Mapping[str, Any]:
        """What a checkpoint saves of it: plain values and tensors."""
        return plain(self)

    @classmethod
    def loaded(cls, checkpoint: Path) -> Self:
        """The state that a checkpoint saved.

        Raises:
            UserError: its files hold none.
        """
        try:
            return restored(cls, load_state(checkpoint))
        except (TypeError, KeyError) as error:
            raise unreadable_state(checkpoint, error) from error


@final
@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Seconds of one step, in total and by phase."""

    started: float = field(default_factory=perf_counter)
    laps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Add the time of the block to phase `name`."""
        began = perf_counter()
        yield
        self.laps[name] = self.laps.get(name, 0.0) + perf_counter() - began

    def seconds(self) -> float:
        """Seconds since the start."""
        return perf_counter() - self.started

    def timing(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """The `timing` of metrics.jsonl: seconds, phases, and response tokens per second of generation."""
        per_second = values["response_tokens"] / max(self.laps["generate"], 1e-9)
        return {"seconds": self.seconds(), **self.laps, "tokens_per_second": per_second}
