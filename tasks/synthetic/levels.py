"""How hard a synthetic problem is: four levels, assigned by number so that every stretch of a split has their shares.

Each set decides what makes its problems hard. `impossible` stands for the problems, found in every real set, that
neither the student nor its teacher ever gets right.
"""

import math
from collections.abc import Mapping
from typing import Protocol

from uniopd_mm.tasks.synthetic.problems import Sized
from uniopd_mm.types import UserError

LEVELS = ("easy", "medium", "hard", "impossible")
SHARES: Mapping[str, float] = {"easy": 0.4, "medium": 0.36, "hard": 0.22, "impossible": 0.02}
GOLDEN = (math.sqrt(5) - 1) / 2  # any number of its multiples, modulo 1, is spread about as evenly as possible


class Levelled(Sized, Protocol):
    """The fields of a synthetic set whose problems have levels."""

    @property
    def habit(self) -> float: ...

    @property
    def seed(self) -> int: ...

    @property
    def levels(self) -> Mapping[str, float]: ...

    @property
    def instruction(self) -> str: ...

    @property
    def domain(self) -> str: ...


def check_shares(shares: Mapping[str, float]) -> None:
    """Raises UserError unless these are shares of the four levels that sum to 1. A missing level has share 0."""
    if unknown := set(shares) - set(LEVELS):
        raise UserError(f"levels.{min(unknown)}: no such level; choose from {', '.join(LEVELS)}")
    if min(shares.values(), default=0.0) < 0 or not math.isclose(sum(shares.values()), 1):
        raise UserError(f"levels={dict(shares)}: give shares of at least 0 that sum to 1")


def level_of(number: int, shares: Mapping[str, float]) -> str:
    """The level of problem `number`. Among the first n problems, each level has about its share of n."""
    place, reached = number * GOLDEN % 1, 0.0
    present = [level for level in LEVELS if shares.get(level)]
    for level in present:
        reached += shares[level]
        if place < reached:
            return level
    return present[-1]  # rounding left the sum of the shares below this place
