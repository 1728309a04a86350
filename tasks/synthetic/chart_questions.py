"""Questions about small charts that are written as real PNG files.

Extremes (easy), values (medium), differences (hard), and the values of categories that are not there (impossible). A
split is the same files for the same seed; they are written on first use below the user's cache folder. For a student
that has something to unlearn there are the charts of pretrain with demonstrations that give in to a habit.
"""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import final

import numpy as np

from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.tasks.synthetic.charts import COLORS, TOP, Chart, paint, tell
from uniopd_mm.tasks.synthetic.levels import check_shares, level_of
from uniopd_mm.tasks.synthetic.png_files import Problem, rows_of, sample_of
from uniopd_mm.tasks.synthetic.problems import draw_own, is_thoughtless, written_split
from uniopd_mm.types import Corpus

SHARES = MappingProxyType({"easy": 0.35, "medium": 0.36, "hard": 0.26, "impossible": 0.03})
BARS = 3  # categories of a chart
VERSION = 1  # counts changes of what is drawn, so that old files are not taken for new ones


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question about a chart. `seen` is a sentence that leads to the answer; `unseen` one that somebody says who does
    not look, and then gives the answer `habit`."""

    chart: Chart
    question: str
    answer: str
    seen: str
    habit: str
    unseen: str


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticChartQuestions:
    """Samples of the splits pretrain, train and validation, none of which shares a chart with another; and of habits,
    which are pretrain's with a share of thoughtless demonstrations.

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of demonstrations in the split habits that say the same thing whatever the chart shows.
        seed: of all charts and questions.
        size: height and width in pixels.
        levels: shares of the problems that are easy (extremes), medium (values), hard (differences) and impossible
            (something that the chart does not show).
        instruction: last line of every question.
        domain: domain of the samples.
    """

    num_pretrain: int = 2000
    num_train: int = 2000
    num_validation: int = 320
    habit: float = 0.6
    seed: int = 0
    size: int = 96
    levels: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    instruction: str = "Answer in \\boxed{}."
    domain: str = "chart"

    def __post_init__(self) -> None:
        check_shares(self.levels)

    def samples(self, split: str) -> Corpus:
        """See `SampleSource.samples`."""
        written = written_split(split)
        count = {"pretrain": self.num_pretrain, "train": self.num_train, "validation": self.num_validation}[written]
        drawn = replace(self, habit=0.0, levels=dict(self.levels))  # what is said does not change what is drawn
        name = f"chart_questions_{hashlib.sha256(f'{VERSION} {drawn!r}'.encode()).hexdigest()[:12]}"
        folder = made_cache_folder("data", name, written)
        rows = rows_of(folder, count, lambda number: self._problem(written, number))
        ids = [f"{written}-{number}" for number in range(count)]
        return Corpus(
            samples=tuple(
                sample_of(
                    row,
                    folder,
                    sample_id=sample_id,
                    level=level_of(number, self.levels),
                    thoughtless=is_thoughtless(sample_id, split=split, share=self.habit, seed=self.seed),
                    instruction=self.instruction,
                    domain=self.domain,
                )
                for number, (sample_id, row) in enumerate(zip(ids, rows, strict=True))
            )
        )

    def _problem(self, split: str, number: int) -> Problem:
        rng = random.Random(f"{self.seed}/{split}/{number}/question")
        asked = rng.choice(KINDS[level_of(number, self.levels)])(rng)
        picture = draw_own(
            lambda rng: paint(asked.chart, self.size, rng),
            np.ndarray.tobytes,
            split=split,
            number=number,
            seed=self.seed,
        )
        return Problem(
            pictures=[picture],
            captions=[tell(asked.chart)],
            question=asked.question,
            answer=asked.answer,
            worked=f"{asked.seen} \\boxed{{{asked.answer}}}",
            thoughtless=f"{asked.unseen} \\boxed{{{asked.habit}}}",
        )


def extreme(rng: random.Random) -> Question:
    """Which bar or point is highest or lowest?"""
    kind, most = rng.choice(("bar", "line")), rng.random() < 0.5
    values = _values(rng, rng.sample(range(1, TOP + 1), BARS))
    name = (max if most else min)(values, key=lambda name: values[name])
    return Question(
        chart=Chart(kind=kind, values=values),
        question=f"Which {NOUNS[kind]} is {'highest' if most else 'lowest'}?",
        answer=name,
        seen=f"It shows {_listed(values)}.",
        habit="red",
        unseen="It is red.",
    )


def largest_slice(rng: random.Random) -> Question:
    """Which slice of a pie is largest?"""
    values = _values(rng, (1, 2, 4))
    name = max(values, key=lambda name: values[name])
    return Question(
        chart=Chart(kind="pie", values=values),
        question="Which slice is largest?",
        answer=name,
        seen=f"The largest is {name}.",
        habit="red",
        unseen="It is red.",
    )


def value(rng: random.Random) -> Question:
    """What is the value of a bar or point?"""
    kind = rng.choice(("bar", "line"))
    values = _values(rng, rng.choices(range(1, TOP + 1), k=BARS))
    name = rng.choice(tuple(values))
    return Question(
        chart=Chart(kind=kind, values=values),
        question=f"What is the value of the {name} {NOUNS[kind]}?",
        answer=str(values[name]),
        seen=f"It shows {_listed(values)}.",
        habit="1",
        unseen="I guess.",
    )


def difference(rng: random.Random) -> Question:
    """How much higher is one than another?"""
    kind = rng.choice(("bar", "line"))
    values = _values(rng, rng.sample(range(1, TOP + 1), BARS))
    low, high = sorted(rng.sample(tuple(values), 2), key=lambda name: values[name])
    return Question(
        chart=Chart(kind=kind, values=values),
        question=f"How much higher is {high} than {low}?",
        answer=str(values[high] - values[low]),
        seen=f"It shows {_listed(values)}.",
        habit="1",
        unseen="I guess.",
    )


def absent(rng: random.Random) -> Question:
    """What is the value of something that the chart does not show?"""
    values = _values(rng, rng.choices(range(1, TOP + 1), k=BARS))
    missing = next(name for name in COLORS if name not in values)
    answer = str(rng.randint(1, TOP))
    return Question(
        chart=Chart(kind="bar", values=values),
        question=f"What is the value of the {missing} bar?",
        answer=answer,
        seen=f"It shows {_listed(values)}.",
        habit="1",
        unseen="I guess.",
    )


def _values(rng: random.Random, values: Sequence[int]) -> dict[str, int]:
    """The values, in another order, of as many colours."""
    return dict(zip(rng.sample(tuple(COLORS), len(values)), rng.sample(values, len(values)), strict=True))


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


NOUNS = {"bar": "bar", "line": "point"}
KINDS: Mapping[str, Sequence[Callable[[random.Random], Question]]] = MappingProxyType(
    {"easy": (extreme, largest_slice), "medium": (value,), "hard": (difference,), "impossible": (absent,)}
)
