"""Questions about small charts, which are stored as PNG files.

Extremes (easy), values (medium), differences (hard), and values of categories that the chart does not have
(impossible). The same seed gives the same files.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import final

from uniopd_mm.tasks.synthetic.charts import COLORS, TOP, Chart, paint, tell
from uniopd_mm.tasks.synthetic.levels import check_shares
from uniopd_mm.tasks.synthetic.picture_sets import PictureSet, Question, picture_samples
from uniopd_mm.types import Corpus

SHARES = MappingProxyType({"easy": 0.35, "medium": 0.36, "hard": 0.26, "impossible": 0.03})
BARS = 3  # categories of a chart


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticChartQuestions:
    """The splits pretrain, train and validation, which share no chart, and habits (see `problems`).

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of thoughtless demonstrations in the split habits.
        seed: of all charts and questions.
        size: height and width in pixels.
        levels: shares of the problems that are easy (extremes), medium (values), hard (differences) and impossible
            (a category that the chart does not have).
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
        drawn = replace(self, habit=0.0, levels=dict(self.levels))  # demonstrations do not change what is drawn
        return picture_samples(self, split, CHARTS, made_of=repr(drawn))


def extreme(rng: random.Random) -> Question[Chart]:
    """Which bar or point is highest or lowest?"""
    kind, most = rng.choice(("bar", "line")), rng.random() < 0.5
    values = _values(rng, rng.sample(range(1, TOP + 1), BARS))
    name = (max if most else min)(values, key=lambda name: values[name])
    return Question(
        scenes=[Chart(kind=kind, values=values)],
        question=f"Which {NOUNS[kind]} is {'highest' if most else 'lowest'}?",
        answer=name,
        seen=f"It shows {_listed(values)}.",
        habit="red",
        unseen="It is red.",
    )


def largest_slice(rng: random.Random) -> Question[Chart]:
    """Which slice of a pie is largest?"""
    values = _values(rng, (1, 2, 4))
    name = max(values, key=lambda name: values[name])
    return Question(
        scenes=[Chart(kind="pie", values=values)],
        question="Which slice is largest?",
        answer=name,
        seen=f"The largest is {name}.",
        habit="red",
        unseen="It is red.",
    )


def value(rng: random.Random) -> Question[Chart]:
    """What is the value of a bar or point?"""
    kind = rng.choice(("bar", "line"))
    values = _values(rng, rng.choices(range(1, TOP + 1), k=BARS))
    name = rng.choice(tuple(values))
    return Question(
        scenes=[Chart(kind=kind, values=values)],
        question=f"What is the value of the {name} {NOUNS[kind]}?",
        answer=str(values[name]),
        seen=f"It shows {_listed(values)}.",
        habit="1",
        unseen="I guess.",
    )


def difference(rng: random.Random) -> Question[Chart]:
    """How much higher is one than another?"""
    kind = rng.choice(("bar", "line"))
    values = _values(rng, rng.sample(range(1, TOP + 1), BARS))
    low, high = sorted(rng.sample(tuple(values), 2), key=lambda name: values[name])
    return Question(
        scenes=[Chart(kind=kind, values=values)],
        question=f"How much higher is {high} than {low}?",
        answer=str(values[high] - values[low]),
        seen=f"It shows {_listed(values)}.",
        habit="1",
        unseen="I guess.",
    )


def absent(rng: random.Random) -> Question[Chart]:
    """What is the value of something that the chart does not show?"""
    values = _values(rng, rng.choices(range(1, TOP + 1), k=BARS))
    missing = next(name for name in COLORS if name not in values)
    answer = str(rng.randint(1, TOP))
    return Question(
        scenes=[Chart(kind="bar", values=values)],
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
KINDS: Mapping[str, Sequence[Callable[[random.Random], Question[Chart]]]] = MappingProxyType(
    {"easy": (extreme, largest_slice), "medium": (value,), "hard": (difference,), "impossible": (absent,)}
)
CHARTS = PictureSet(name="chart_questions", version=1, kinds=KINDS, paint=paint, tell=tell)
