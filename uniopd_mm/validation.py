"""How often a model answers held-out questions right: greedy, one response each, graded by the task."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uniopd_mm.data.prompts import encode_all
from uniopd_mm.interfaces import Processor, RolloutEngine, Task
from uniopd_mm.tracking.console import progress
from uniopd_mm.types import Sample, Sampling, Skip, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Counts by domain, and what could not be asked. An unknown outcome is a question that was not answered right."""

    correct: Mapping[str, int]
    asked: Mapping[str, int]
    unknown: int
    skipped: tuple[Skip, ...]

    @property
    def accuracy(self) -> Mapping[str, float | None]:
        """Share answered right, by domain."""
        return {domain: self.correct.get(domain, 0) / asked for domain, asked in self.asked.items()}

    @property
    def overall(self) -> float:
        """Share answered right over all questions."""
        return sum(self.correct.values()) / sum(self.asked.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Validator:
    """Asks the same questions of whoever answers.

    Args:
        samples: held-out questions, in a fixed order.
        chunk: questions encoded and answered at a time.
    """

    task: Task
    processor: Processor
    samples: Sequence[Sample]
    max_prompt_tokens: int
    max_new_tokens: int
    chunk: int = 128

    def __call__(self, engine: RolloutEngine, title: str) -> Validation:
        """Raises UserError where not one question can be asked."""
        sampling = Sampling(temperature=0, max_new_tokens=self.max_new_tokens, seed=0, policy_step=0)
        correct, asked, skipped = Counter[str](), Counter[str](), list[Skip]()
        unknown = 0
        with progress(title, len(self.samples), transient=True) as bar:
            for prompts, skips in encode_all(self.processor, self.samples, self.max_prompt_tokens, self.chunk):
                skipped += skips
                for (rollout,) in engine.generate(prompts, 1, sampling) if prompts else ():
                    sample = rollout.prompt.sample
                    outcome = self.task.grade(sample, self.processor.decode(rollout.response_ids))
                    asked[sample.domain] += 1
                    correct[sample.domain] += outcome.correct is True
                    unknown += outcome.correct is None
                bar.advance(len(prompts) + len(skips))
        if not asked:
            last = f"{skipped[-1].where}: {skipped[-1].reason}"
            raise UserError(f"data.path: no validation sample can be used; the last: {last}")
        return Validation(correct=dict(correct), asked=dict(asked), unknown=unknown, skipped=tuple(skipped))
