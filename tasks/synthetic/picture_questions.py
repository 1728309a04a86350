"""Questions about small pictures of coloured shapes that are written as real PNG files.

Colours and kinds of shapes (easy), counts, sizes and comparisons of two pictures (medium), places (hard), and things
that nobody can see (impossible). A split is the same files for the same seed; they are written on first use below the
user's cache folder. For a student that has something to unlearn there are the pictures of pretrain with demonstrations
that give in to a habit.
"""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import final

import numpy as np

from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.tasks.synthetic.clips import COLORS
from uniopd_mm.tasks.synthetic.levels import check_shares, level_of
from uniopd_mm.tasks.synthetic.pictures import CELLS, LARGE, SMALL, Thing, paint, tell
from uniopd_mm.tasks.synthetic.png_files import Problem, rows_of, sample_of
from uniopd_mm.tasks.synthetic.problems import draw_own, is_thoughtless, written_split
from uniopd_mm.types import Corpus

SHAPES = ("square", "circle", "triangle")
SHARES = MappingProxyType({"easy": 0.36, "medium": 0.35, "hard": 0.26, "impossible": 0.03})
VERSION = 1  # counts changes of what is drawn, so that old files are not taken for new ones


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question about scenes, one a picture. `seen` is a sentence that leads to the answer; `unseen` one that somebody
    says who does not look, and then gives the answer `habit`."""

    scenes: Sequence[Sequence[Thing]]
    question: str
    answer: str
    seen: str
    habit: str
    unseen: str


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticPictureQuestions:
    """Samples of the splits pretrain, train and validation, none of which shares a picture with another; and of habits,
    which are pretrain's with a share of thoughtless demonstrations.

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of demonstrations in the split habits that say the same thing whatever the picture shows.
        seed: of all pictures and questions.
        size: height and width in pixels.
        levels: shares of the problems that are easy (one colour or shape), medium (a count, a size, two pictures),
            hard (places) and impossible (something hidden).
        instruction: last line of every question.
        domain: domain of the samples.
    """

    num_pretrain: int = 2000
    num_train: int = 2000
    num_validation: int = 320
    habit: float = 0.6
    seed: int = 0
    size: int = 64
    levels: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    instruction: str = "Answer in \\boxed{}."
    domain: str = "vqa"

    def __post_init__(self) -> None:
        check_shares(self.levels)

    def samples(self, split: str) -> Corpus:
        """See `SampleSource.samples`."""
        written = written_split(split)
        count = {"pretrain": self.num_pretrain, "train": self.num_train, "validation": self.num_validation}[written]
        drawn = replace(self, habit=0.0, levels=dict(self.levels))  # what is said does not change what is drawn
        name = f"picture_questions_{hashlib.sha256(f'{VERSION} {drawn!r}'.encode()).hexdigest()[:12]}"
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
        return Problem(
            pictures=[self._picture(scene, split, 2 * number + index) for index, scene in enumerate(asked.scenes)],
            captions=[tell(scene) for scene in asked.scenes],
            question=asked.question,
            answer=asked.answer,
            worked=f"{asked.seen} \\boxed{{{asked.answer}}}",
            thoughtless=f"{asked.unseen} \\boxed{{{asked.habit}}}",
        )

    def _picture(self, scene: Sequence[Thing], split: str, number: int) -> np.ndarray:
        return draw_own(
            lambda rng: paint(scene, self.size, rng),
            np.ndarray.tobytes,
            split=split,
            number=number,
            seed=self.seed,
        )


def color(rng: random.Random) -> Question:
    """What color is a shape?"""
    things = _different(rng, 2)
    asked = things[0]
    return Question(
        scenes=[_shuffled(rng, things)],
        question=f"What color is the {asked.shape}?",
        answer=asked.color,
        seen=f"The {asked.shape} is {asked.color}.",
        habit="red",
        unseen="It is red.",
    )


def shape(rng: random.Random) -> Question:
    """What shape has a color?"""
    things = _different(rng, 2)
    asked = things[0]
    return Question(
        scenes=[_shuffled(rng, things)],
        question=f"What is {asked.color}?",
        answer=asked.shape,
        seen=f"{asked.color.capitalize()} is the {asked.shape}.",
        habit="square",
        unseen="It is the square.",
    )


def count(rng: random.Random) -> Question:
    """How many shapes of a kind are there?"""
    asked, number = rng.choice(SHAPES), rng.randint(1, len(CELLS))
    cells = sorted(rng.sample(CELLS, number))
    things = [Thing(shape=asked, color=rng.choice(tuple(COLORS)), cell=cell) for cell in cells]
    return Question(
        scenes=[things],
        question=f"How many {asked}s are there?",
        answer=str(number),
        seen=f"I see {number}.",
        habit="1",
        unseen="I see 1.",
    )


def larger(rng: random.Random) -> Question:
    """Which of two shapes is larger?"""
    large, small = _different(rng, 2)
    one, other = rng.sample((large.shape, small.shape), 2)
    return Question(
        scenes=[_shuffled(rng, [replace(large, radius=LARGE), replace(small, radius=SMALL)])],
        question=f"Which is larger, the {one} or the {other}?",
        answer=large.shape,
        seen=f"The {small.shape} is small, the {large.shape} is large.",
        habit="square",
        unseen="It is the square.",
    )


def which_picture(rng: random.Random) -> Question:
    """In which of two pictures does a shape have a color?"""
    kind, index = rng.choice(SHAPES), rng.randrange(2)
    colors = rng.sample(tuple(COLORS), 2)
    scenes = [[Thing(shape=kind, color=shade, cell=rng.choice(CELLS))] for shade in colors]
    return Question(
        scenes=scenes,
        question=f"In which picture is the {kind} {colors[index]}, the first or the second?",
        answer=("first", "second")[index],
        seen=f"The first is {colors[0]}, the second is {colors[1]}.",
        habit="first",
        unseen="It is the first.",
    )


def side(rng: random.Random) -> Question:
    """Is one shape left of, or above, another?"""
    first, second, scene, seen, axis = _neighbours(rng)
    one, other = rng.sample((first, second), 2)
    return Question(
        scenes=[scene],
        question=f"Is the {one.shape} {('left of', 'above')[axis]} the {other.shape}?",
        answer="yes" if one is first else "no",
        seen=seen,
        habit="yes",
        unseen="I think so.",
    )


def beside(rng: random.Random) -> Question:
    """What is left of, right of, above or below a shape?"""
    first, second, scene, seen, axis = _neighbours(rng)
    asked, answer = rng.sample((first, second), 2)
    sides = (("right of", "left of"), ("below", "above"))[axis]
    return Question(
        scenes=[scene],
        question=f"What is {sides[answer is first]} the {asked.shape}?",
        answer=answer.shape,
        seen=seen,
        habit="square",
        unseen="It is the square.",
    )


def hidden(rng: random.Random) -> Question:
    """What color is a shape that is hidden behind another?"""
    behind, front = _different(rng, 2)
    return Question(
        scenes=[[replace(front, radius=LARGE)]],  # what is hidden is not even drawn
        question=f"What color is the {behind.shape} hidden behind the {front.shape}?",
        answer=behind.color,
        seen=f"The {behind.shape} is {behind.color}.",
        habit="red",
        unseen="It is red.",
    )


def _different(rng: random.Random, number: int) -> list[Thing]:
    """Things with nothing in common."""
    traits = (rng.sample(SHAPES, number), rng.sample(tuple(COLORS), number), rng.sample(CELLS, number))
    return [Thing(shape=kind, color=shade, cell=cell) for kind, shade, cell in zip(*traits, strict=True)]


def _neighbours(rng: random.Random) -> tuple[Thing, Thing, list[Thing], str, int]:
    """Two things in one row (axis 0) or column (axis 1), the left or upper one first; their scene; how they stand."""
    axis, lane = rng.randrange(2), rng.randrange(2)
    first, second = (
        replace(thing, cell=(index, lane) if axis == 0 else (lane, index))
        for index, thing in enumerate(_different(rng, 2))
    )
    words = (("Left", "right"), ("Above", "below"))[axis]
    seen = f"{words[0]} is the {first.shape}, {words[1]} the {second.shape}."
    return first, second, _shuffled(rng, [first, second]), seen, axis


def _shuffled(rng: random.Random, things: Sequence[Thing]) -> list[Thing]:
    return rng.sample(things, len(things))


KINDS: Mapping[str, Sequence[Callable[[random.Random], Question]]] = MappingProxyType(
    {
        "easy": (color, shape),
        "medium": (count, larger, which_picture),
        "hard": (side, beside),
        "impossible": (hidden,),
    }
)
