"""Questions about small pictures of coloured shapes, which are stored as PNG files.

Colours and kinds of shapes (easy), counts, sizes and comparisons of two pictures (medium), places (hard), and shapes
that the picture does not show (impossible). The same seed gives the same files.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import final

from uniopd_mm.tasks.synthetic.clips import COLORS
from uniopd_mm.tasks.synthetic.levels import check_shares
from uniopd_mm.tasks.synthetic.picture_sets import PictureSet, Question, picture_samples
from uniopd_mm.tasks.synthetic.pictures import CELLS, LARGE, SMALL, Thing, paint, tell
from uniopd_mm.types import Corpus

SHAPES = ("square", "circle", "triangle")
SHARES = MappingProxyType({"easy": 0.36, "medium": 0.35, "hard": 0.26, "impossible": 0.03})

PictureQuestion = Question[Sequence[Thing]]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticPictureQuestions:
    """The splits pretrain, train and validation, which share no picture, and habits (see `problems`).

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of thoughtless demonstrations in the split habits.
        seed: of all pictures and questions.
        size: height and width in pixels.
        levels: shares of the problems that are easy (one colour or shape), medium (a count, a size, two pictures),
            hard (places) and impossible (a shape that is hidden).
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
        drawn = replace(self, habit=0.0, levels=dict(self.levels))  # demonstrations do not change what is drawn
        return picture_samples(self, split, PICTURES, made_of=repr(drawn))


def color(rng: random.Random) -> PictureQuestion:
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


def shape(rng: random.Random) -> PictureQuestion:
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


def count(rng: random.Random) -> PictureQuestion:
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


def larger(rng: random.Random) -> PictureQuestion:
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


def which_picture(rng: random.Random) -> PictureQuestion:
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


def side(rng: random.Random) -> PictureQuestion:
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


def beside(rng: random.Random) -> PictureQuestion:
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


def hidden(rng: random.Random) -> PictureQuestion:
    """What color is a shape that is hidden behind another?"""
    behind, front = _different(rng, 2)
    return Question(
        scenes=[[replace(front, radius=LARGE)]],  # the hidden shape is not drawn
        question=f"What color is the {behind.shape} hidden behind the {front.shape}?",
        answer=behind.color,
        seen=f"The {behind.shape} is {behind.color}.",
        habit="red",
        unseen="It is red.",
    )


def _different(rng: random.Random, number: int) -> list[Thing]:
    """Things that differ in shape, colour and cell."""
    traits = (rng.sample(SHAPES, number), rng.sample(tuple(COLORS), number), rng.sample(CELLS, number))
    return [Thing(shape=kind, color=shade, cell=cell) for kind, shade, cell in zip(*traits, strict=True)]


def _neighbours(rng: random.Random) -> tuple[Thing, Thing, list[Thing], str, int]:
    """Two things side by side (axis 0) or one above the other (axis 1).

    Returns the left or upper thing, the other one, their scene, a sentence about their places, and the axis.
    """
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


KINDS: Mapping[str, Sequence[Callable[[random.Random], PictureQuestion]]] = MappingProxyType(
    {
        "easy": (color, shape),
        "medium": (count, larger, which_picture),
        "hard": (side, beside),
        "impossible": (hidden,),
    }
)
PICTURES = PictureSet(name="picture_questions", version=1, kinds=KINDS, paint=paint, tell=tell, max_pictures=2)
