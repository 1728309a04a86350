"""Accuracy on held-out questions: one greedy response each, graded by the task."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from uniopd_mm.data.grading import grade_all
from uniopd_mm.data.prompts import encode_all
from uniopd_mm.data.responses import said
from uniopd_mm.interfaces import Processor, RolloutEngine, Task
from uniopd_mm.runtime.reasons import Reasons, counted, merged
from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.console import progress, warning
from uniopd_mm.types import Sample, Sampling, Skip, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Counts by domain, and the questions that were skipped. An unknown outcome counts as not correct; `reasons` count
    the unknown outcomes by reason."""

    correct: Mapping[str, int]
    asked: Mapping[str, int]
    unknown: int
    skipped: tuple[Skip, ...]
    reasons: Reasons = field(default_factory=dict)

    @property
    def accuracy(self) -> Mapping[str, float | None]:
        """Share of correct answers by domain."""
        return {domain: self.correct.get(domain, 0) / asked for domain, asked in self.asked.items()}

    @property
    def overall(self) -> float:
        """Share of correct answers over all questions."""
        return sum(self.correct.values()) / sum(self.asked.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Validator:
    """Evaluates an engine on a fixed set of questions.

    Args:
        samples: held-out questions in a fixed order; each process evaluates its shard.
        chunk: questions per call of the engine.
    """

    task: Task
    processor: Processor
    samples: Sequence[Sample]
    max_prompt_tokens: int
    max_new_tokens: int
    world: World
    stop_strings: tuple[str, ...] = ()
    chunk: int = 128

    def __call__(self, engine: RolloutEngine, title: str) -> Validation:
        """Raises UserError if every question is skipped."""
        validation = sum_up(self.world.gather(self._own_part(engine, title)))
        if not validation.asked:
            last = f"{validation.skipped[-1].where}: {validation.skipped[-1].reason}"
            raise UserError(f"data.path: every validation sample was skipped; the last: {last}")
        for count, first in validation.reasons.values():
            warning(f"{title}: {count} outcomes are unknown and count as not correct; the first: {first}")
        return validation

    def _own_part(self, engine: RolloutEngine, title: str) -> Validation:
        sampling = Sampling(
            temperature=0,
            max_new_tokens=self.max_new_tokens,
            seed=0,
            policy_step=0,
            stop_strings=self.stop_strings,
        )
        correct, asked, skipped = Counter[str](), Counter[str](), list[Skip]()
        reasons: list[str] = []
        samples = self.world.share(self.samples)
        with progress(title, len(samples), transient=True) as bar:
            for prompts, skips in encode_all(self.processor, samples, self.max_prompt_tokens, self.chunk):
                skipped += skips
                answers = [rollout for (rollout,) in engine.generate(prompts, 1, sampling)] if prompts else []
                asked_now = [rollout.prompt.sample for rollout in answers]
                texts = [said(self.processor, rollout) for rollout in answers]
                for sample, outcome in zip(asked_now, grade_all(self.task, asked_now, texts), strict=True):
                    asked[sample.domain] += 1
                    correct[sample.domain] += outcome.correct is True
                    reasons += [outcome.reason] if outcome.correct is None else []
                bar.advance(len(prompts) + len(skips))
        return Validation(
            correct=dict(correct),
            asked=dict(asked),
            unknown=len(reasons),
            skipped=tuple(skipped),
            reasons=counted(reasons),
        )


def sum_up(parts: Sequence[Validation]) -> Validation:
    """The sum over the shards of all processes."""
    correct, asked = Counter[str](), Counter[str]()
    for part in parts:
        correct.update(part.correct)
        asked.update(part.asked)
    return Validation(
        correct=dict(correct),
        asked=dict(asked),
        unknown=sum(part.unknown for part in parts),
        skipped=tuple(skip for part in parts for skip in part.skipped),
        reasons=merged(part.reasons for part in parts),
    )
