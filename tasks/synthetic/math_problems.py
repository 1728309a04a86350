"""Small sums and equations in words, solved step by step, for a machine without a data set.

The kinds range from one addition to an equation with the unknown on both sides. Every step of a solution is small
enough for a small model to memorise.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import final

from uniopd_mm.tasks.synthetic.levels import SHARES, check_shares
from uniopd_mm.tasks.synthetic.text_sets import TextProblem, text_samples
from uniopd_mm.types import Corpus

LETTERS = tuple("abcdfghjkmnpqrstuvwxyz")
NAMES = ("Ann", "Ben", "Eva", "Ida", "Jan", "Kim", "Leo", "Max", "Mia", "Sam", "Tom", "Una")
THINGS = ("apples", "balls", "books", "cards", "coins", "cups", "eggs", "nuts", "pens", "stones")
HABIT = "2"  # the answer of every thoughtless demonstration


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A question, its answer and the steps that lead to it."""

    question: str
    work: str
    answer: int


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticMathProblems:
    r"""The splits pretrain, train and validation, which share no question, and habits (see `problems`).

    `metadata` has each problem's "level". Within a split, some questions occur twice: in a thousand, about one in
    twenty.

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of the medium and harder problems in the split habits whose demonstration is just `\boxed{2}`.
        seed: of all problems.
        levels: shares of the problems that are easy (one operation), medium (two), hard (three and more) and
            impossible (the product of two long numbers).
        instruction: last line of every question.
        domain: domain of the samples.
    """

    num_pretrain: int = 8000
    num_train: int = 2000
    num_validation: int = 320
    habit: float = 0.7
    seed: int = 0
    levels: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    instruction: str = "Please reason step by step, and put your final answer within \\boxed{}."
    domain: str = "math"

    def __post_init__(self) -> None:
        check_shares(self.levels)

    def samples(self, split: str) -> Corpus:
        """See `SampleSource.samples`."""
        return text_samples(self, split, name="synthetic math problem", draw=draw_problem)


def draw_problem(rng: random.Random, level: str) -> TextProblem:
    """A problem of the level with its worked solution."""
    problem = rng.choice(KINDS[level])(rng)
    return TextProblem(
        question=problem.question,
        answer=str(problem.answer),
        worked=f"{problem.work} \\boxed{{{problem.answer}}}",
        thoughtless=f"\\boxed{{{HABIT}}}",
    )


def gain(rng: random.Random) -> Problem:
    """One has a and gets b."""
    name, things, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(1, 9), rng.randint(1, 5)
    question = f"{name} has {a} {things} and gets {b} more. How many now?"
    return Problem(question=question, work=f"{a} + {b} = {a + b}.", answer=a + b)


def loss(rng: random.Random) -> Problem:
    """One has a and loses b."""
    name, things, b, rest = rng.choice(NAMES), rng.choice(THINGS), rng.randint(1, 5), rng.randint(0, 9)
    a = b + rest
    question = f"{name} has {a} {things} and loses {b}. How many now?"
    return Problem(question=question, work=f"{a} - {b} = {rest}.", answer=rest)


def groups(rng: random.Random) -> Problem:
    """a boxes of b."""
    things, name, a, b = rng.choice(THINGS), rng.choice(NAMES), rng.randint(2, 5), rng.randint(1, 5)
    question = f"{name} has {a} boxes of {b} {things}. How many {things}?"
    return Problem(question=question, work=f"{a} * {b} = {a * b}.", answer=a * b)


def shift_equation(rng: random.Random) -> Problem:
    """x + b = c, or b + x = c."""
    letter, x, b = rng.choice(LETTERS), rng.randint(0, 9), rng.randint(1, 5)
    left = rng.choice((f"{letter} + {b}", f"{b} + {letter}"))
    question = f"Solve {left} = {x + b} for {letter}."
    return Problem(question=question, work=f"{letter} = {x + b} - {b} = {x}.", answer=x)


def sums(rng: random.Random) -> Problem:
    """a + b - c."""
    letter, a, b = rng.choice(LETTERS), rng.randint(1, 9), rng.randint(1, 5)
    total, c = a + b, rng.randint(max(1, a + b - 9), min(5, a + b))
    question = f"Find {letter} = {a} + {b} - {c}."
    return Problem(question=question, work=f"{a} + {b} = {total}, {total} - {c} = {total - c}.", answer=total - c)


def linear_equation(rng: random.Random) -> Problem:
    """a x + b = c."""
    letter, a, x, b = rng.choice(LETTERS), rng.randint(2, 4), rng.randint(1, 5), rng.randint(1, 5)
    question = f"Solve {a}{letter} + {b} = {a * x + b} for {letter}."
    work = f"{a}{letter} = {a * x + b} - {b} = {a * x}, {letter} = {a * x} / {a} = {x}."
    return Problem(question=question, work=work, answer=x)


def sequence(rng: random.Random) -> Problem:
    """What comes after three numbers that lie equally far apart?"""
    name, things, start, step = rng.choice(NAMES), rng.choice(THINGS), rng.randint(1, 5), rng.randint(1, 5)
    first, second, third = (start + index * step for index in range(3))
    question = f"{name} counts {things}: {first}, {second}, {third}. What comes next?"
    work = f"{second} - {first} = {step}, {third} + {step} = {third + step}."
    return Problem(question=question, work=work, answer=third + step)


def remainder(rng: random.Random) -> Problem:
    """a things for b people."""
    name, things, b, each = rng.choice(NAMES), rng.choice(THINGS), rng.randint(2, 4), rng.randint(1, 4)
    rest = rng.randrange(b)
    a = b * each + rest
    question = f"{name} puts {a} {things} in {b} equal rows. How many are left?"
    return Problem(question=question, work=f"{b} * {each} = {b * each}, {a} - {b * each} = {rest}.", answer=rest)


def two_sided_equation(rng: random.Random) -> Problem:
    """a x + b = d x + e."""
    letter, x, b = rng.choice(LETTERS), rng.randint(1, 5), rng.randint(1, 5)
    d, more = rng.randint(2, 5), rng.randint(2, 4)
    a, total = d + more, more * x + b
    question = f"Solve {a}{letter} + {b} = {d}{letter} + {total} for {letter}."
    work = f"{a} - {d} = {more}, {total} - {b} = {more * x}, {letter} = {more * x} / {more} = {x}."
    return Problem(question=question, work=work, answer=x)


def product_of_sums(rng: random.Random) -> Problem:
    """(a + b) (c - d)."""
    letter, left, right = rng.choice(LETTERS), rng.randint(2, 5), rng.randint(1, 5)
    a, d = rng.randint(1, left - 1), rng.randint(1, 5)
    b, c = left - a, right + d
    question = f"Find {letter} = ({a} + {b}) * ({c} - {d})."
    work = f"{a} + {b} = {left}, {c} - {d} = {right}, {left} * {right} = {left * right}."
    return Problem(question=question, work=work, answer=left * right)


def long_product(rng: random.Random) -> Problem:
    """The product of two numbers of three digits, in one step."""
    a, b = rng.randint(100, 999), rng.randint(100, 999)
    return Problem(question=f"Compute {a} * {b}.", work=f"{a} * {b} = {a * b}.", answer=a * b)


Kind = Callable[[random.Random], Problem]
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "easy": (gain, loss, groups, shift_equation),
    "medium": (sums, linear_equation, sequence, remainder),
    "hard": (two_sided_equation, product_of_sums),
    "impossible": (long_product,),
}
