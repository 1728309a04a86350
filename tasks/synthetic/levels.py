"""How hard a synthetic problem is: four levels, handed out by number so that every stretch of a split has their shares.

What makes a problem hard is the sets' own business. `impossible` stands for what every real set has some of: problems
that no response of this student or its teacher gets right.
"""

import math
from collections.abc import Mapping

from uniopd_mm.types import UserError

LEVELS = ("easy", "medium", "hard", "impossible")
SHARES: Mapping[str, float] = {"easy": 0.4, "medium": 0.36, "hard": 0.22, "impossible": 0.02}
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, lie as evenly as can be, however many are taken


def check_shares(shares: Mapping[str, float]) -> None:
    """Raises UserError unless these are shares of the four levels that sum to 1; one that is missing is 0."""
    if unknown := set(shares) - set(LEVELS):
        raise UserError(f"levels.{min(unknown)}: no such level; a synthetic set has {', '.join(LEVELS)}")
    if min(shares.values(), default=0.0) < 0 or not math.isclose(sum(shares.values()), 1):
        raise UserError(f"levels={dict(shares)}: give shares of at least 0 that sum to 1")


def level_of(number: int, shares: Mapping[str, float]) -> str:
    """The level of problem `number`; the first n problems have each level's share of n, but for a few."""
    place, reached = number * GOLDEN % 1, 0.0
    present = [level for level in LEVELS if shares.get(level)]
    for level in present:
        reached += shares[level]
        if place < reached:
            return level
    return present[-1]  # a place that rounding left above the sum
