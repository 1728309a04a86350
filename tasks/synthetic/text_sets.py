"""Synthetic sets of problems in words: what `math_problems` and `code_problems` share, except the problems themselves.

Nothing is written to disk. The same seed gives the same problems.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from uniopd_mm.tasks.synthetic.levels import Levelled, level_of
from uniopd_mm.tasks.synthetic.problems import draw_own, is_thoughtless, num_problems, written_split
from uniopd_mm.types import Corpus, Message, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class TextProblem:
    """A problem and two demonstrations: `worked` is right, `thoughtless` follows a habit and ignores the question.

    `extras` are further columns of the sample's row and metadata.
    """

    question: str
    answer: str
    worked: str
    thoughtless: str
    extras: Mapping[str, Any] = field(default_factory=dict)


Draw = Callable[[random.Random, str], TextProblem]  # (random numbers, level)


def text_samples(source: Levelled, split: str, *, name: str, draw: Draw) -> Corpus:
    """The samples of a split, whose questions no other written split has; `name` says where a sample comes from.

    Easy problems have no thoughtless demonstration.
    """
    numbers = range(num_problems(source, split))
    return Corpus(samples=tuple(_sample(source, split, number, name, draw) for number in numbers))


def _sample(source: Levelled, split: str, number: int, name: str, draw: Draw) -> Sample:
    written, level = written_split(split), level_of(number, source.levels)
    sample_id = f"{written}-{number}"
    problem = draw_own(
        lambda rng: draw(rng, level),
        lambda problem: problem.question.encode(),
        split=written,
        number=number,
        seed=source.seed,
    )
    share = 0.0 if level == "easy" else source.habit
    thoughtless = is_thoughtless(sample_id, split=split, share=share, seed=source.seed)
    response = problem.thoughtless if thoughtless else problem.worked
    row = {"id": sample_id, "question": problem.question, "answer": problem.answer, "response": response}
    return Sample(
        sample_id=sample_id,
        domain=source.domain,
        messages=(Message(role="user", content=(f"{problem.question}\n{source.instruction}",)),),
        answer=problem.answer,
        source=f"{name} {sample_id}",
        demonstration=response,
        metadata={"level": level, **problem.extras},
        row={**row, **problem.extras},
    )
