"""Whether two terms are equal, by their values at points drawn at random.

Two terms differ if they do at one point. They are the same if they agree to many digits wherever the first is defined
over the real numbers. If only the second is undefined somewhere, nothing can be told.
"""

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mpmath import mp

from uniopd_mm.tasks.grading.math_evaluation import DIGITS, Evaluation, TooLarge, Undefined
from uniopd_mm.tasks.grading.math_term_parts import has, numbers_of, symbols_of
from uniopd_mm.tasks.grading.math_terms import Term

MOST_DIGITS = 20_000
ROUNDED = 6  # decimals that make a number in an expression a rounded one


def value_at(term: Term, point: Mapping[str, Any], digits: int, *, real: bool) -> tuple[Any, int, int]:
    """The value of a term, and the largest and the smallest binary exponents on the way, both as numbers above 0.
    Raises Undefined and TooLarge."""
    with mp.workdps(digits):
        evaluation = Evaluation(point, real=real)
        return evaluation.value(term), evaluation.largest, evaluation.smallest


def number_of(term: Term, point: Mapping[str, Any]) -> Any:
    """The value of a real term. Raises Undefined and TooLarge."""
    return value_at(term, point, DIGITS, real=True)[0]


def same(expected: Term, given: Term) -> bool | None:
    """Whether two terms are equal; None where that cannot be told."""
    symbols = sorted(symbols_of(expected) | symbols_of(given))
    whole = _counted(expected) | _counted(given)
    complex_needed = has(expected, "i") or has(given, "i")
    doubt, agreed = False, 0
    for point in points_for(symbols, whole):
        outcome = _same_at(expected, given, point, real=not complex_needed)
        if outcome is None and not symbols and not complex_needed:
            outcome = _same_at(expected, given, point, real=False)
        if outcome is False:
            return False
        agreed += outcome is True
        doubt = doubt or outcome is None
        if not symbols:
            break
    return None if doubt or not agreed else True


def _same_at(expected: Term, given: Term, point: Mapping[str, Any], *, real: bool) -> bool | None:
    """At one point; None where only the second is undefined. Points at which the first is undefined say nothing."""
    digits = DIGITS
    for _ in range(_TRIES):
        try:
            first, *sizes = value_at(expected, point, digits, real=real)
        except Undefined:
            return None if not point else _UNSAID
        except TooLarge:
            return None
        try:
            second, *further = value_at(given, point, digits, real=real)
        except (Undefined, TooLarge):
            return None
        above, below = map(max, zip(sizes, further, strict=True))
        needed = int(DIGITS + 0.31 * max(0, above + below - 60))  # for parts that cancel, and the last digit of all
        if needed <= digits:
            return _close(expected, given, first, second, digits, above)
        digits = needed + 5
        if digits > MOST_DIGITS:
            return None
    return None


def _close(expected: Term, given: Term, first: Any, second: Any, digits: int, above: int) -> bool:
    rough = any(_is_rounded(number) for term in (expected, given) if not is_plain(term) for number in numbers_of(term))
    with mp.workdps(digits + 10):
        apart = abs(first - second)
        if rough:
            return bool(apart <= max(abs(first), abs(second)) * mp.power(10, -6))
        return bool(apart <= mp.power(10, 14 - digits) * mp.power(2, above))


_TRIES = 4
_UNSAID: Any = ()  # neither True, False nor None


def is_plain(term: Term) -> bool:
    """Whether a term is a number as it is written, whose digits all count."""
    return term[0] == "number" or (term[0] == "neg" and term[1][0] == "number")


def _is_rounded(number: str) -> bool:
    return len(number.partition(".")[2]) >= ROUNDED


def _counted(term: Term) -> frozenset[str]:
    """Letters that stand for whole numbers: those of n!, of binomials and of the bounds of sums."""
    inside = frozenset[str]().union(*(_counted(part) for part in term[1:] if isinstance(part, tuple)))
    if term[0] in ("!", "binom", "mod"):
        return inside.union(*(symbols_of(part) for part in term[1:]))
    if term[0] in ("sum", "prod"):
        return inside | symbols_of(term[2]) | symbols_of(term[3])
    if term[0] == "^" and term[1] == ("neg", ("number", "1")):
        return inside | symbols_of(term[2])
    return inside


def points_for(symbols: list[str], whole: frozenset[str] = frozenset(), turns: int = 8) -> list[dict[str, Any]]:
    """Positive points first, then points of all signs. Always the same ones."""
    draw = random.Random(20)
    points = []
    for turn in range(turns if symbols else 1):
        point = {}
        for symbol in symbols:
            value = mp.mpf(draw.randrange(3 + turn, 12 + turn)) if symbol in whole else _drawn_value(draw)
            sign = -1 if turn >= 3 and symbol not in whole and draw.random() < 0.6 else 1
            point[symbol] = sign * value
        points.append(point)
    return points


def _drawn_value(draw: random.Random) -> Any:
    with mp.workdps(40):
        return mp.mpf(draw.randrange(200, 3000)) / 997 + mp.mpf(draw.randrange(1, 10**9)) / 10**12


def real_value(term: Term) -> Fraction | None:
    """The value of a real term without letters, to DIGITS digits."""
    if symbols_of(term):
        return None
    try:
        value = number_of(term, {})
    except (Undefined, TooLarge):
        return None
    with mp.workdps(DIGITS):
        return (
            Fraction(mp.nstr(value, DIGITS))
            if mp.im(value) == 0 and abs(mp.mag(value) if value else 0) < 2000
            else None
        )


def is_undefined(term: Term) -> bool:
    """Whether a term without letters has no value, not even over the complex numbers. Raises TooLarge."""
    if symbols_of(term):
        return False
    try:
        value_at(term, {}, DIGITS, real=False)
    except Undefined:
        return True
    return False
