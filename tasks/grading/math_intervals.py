"""Sets of real numbers as lists of intervals, compared at points drawn at random for the letters in their ends."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from mpmath import mp

from uniopd_mm.tasks.grading.math_evaluation import DIGITS, TooLarge, Undefined
from uniopd_mm.tasks.grading.math_sets import SetTree
from uniopd_mm.tasks.grading.math_term_parts import symbols_of
from uniopd_mm.tasks.grading.math_terms import Term
from uniopd_mm.tasks.grading.math_values import number_of, points_for

Piece: TypeAlias = tuple[Any, bool, Any, bool]  # from, whether with it, to, whether with it

_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


def variable_of(tree: SetTree) -> str | None:
    """The letter whose values a set of relations holds: the one that stands alone, or the only one. "" for none."""
    alone, all_names = set[str](), set[str]()
    if tree[0] == "inter" and len(tree) == 3 and tree[1][0] == tree[2][0] == "relation" and tree[1][3] == tree[2][1]:
        middle = tree[1][3]
        if middle[0] == "symbol":  # a < x < b
            return str(middle[1])
    for relation in _relations(tree):
        names = [symbols_of(side) for side in (relation[1], relation[3])]
        all_names |= names[0] | names[1]
        alone |= {side[1] for side in (relation[1], relation[3]) if side[0] == "symbol"}
    if not all_names:
        return ""
    candidates = alone if len(all_names) > 1 else all_names
    return next(iter(candidates)) if len(candidates) == 1 else None


def _relations(tree: SetTree) -> list[SetTree]:
    if tree[0] == "relation":
        return [tree]
    inside = (
        [part for part in tree[1:] if isinstance(part, tuple)]
        if tree[0] in ("union", "inter", "minus", "comma")
        else []
    )
    return [relation for part in inside for relation in _relations(part)]


def _letters(tree: Any) -> frozenset[str]:
    if not isinstance(tree, tuple):
        return frozenset()
    if tree and tree[0] == "symbol":
        return frozenset({tree[1]})
    return frozenset[str]().union(*(_letters(part) for part in tree))


def same_set(expected: SetTree, given: SetTree) -> bool | None:
    """Whether two sets are equal; None where that cannot be told."""
    with mp.workdps(DIGITS):
        return _same_set(expected, given)


def _same_set(expected: SetTree, given: SetTree) -> bool | None:
    first_name, second_name = variable_of(expected), variable_of(given)
    if first_name is None or second_name is None:
        return None
    names = (first_name, second_name)
    letters = (_letters(expected) - {names[0]}) | (_letters(given) - {names[1]})
    if names[0] and names[1] and names[0] != names[1]:
        return None
    for point in points_for(sorted(letters), turns=4 if letters else 1):
        try:
            first, second = (_pieces(tree, point, name) for tree, name in zip((expected, given), names, strict=True))
        except (Undefined, TooLarge):
            return None
        if not _alike(first, second):
            return False
    return True


def _pieces(tree: SetTree, point: Mapping[str, Any], name: str) -> list[Piece]:
    match tree:
        case ("all",):
            return [(-mp.inf, False, mp.inf, False)]
        case ("empty",):
            return []
        case ("points", *terms):
            values = [number_of(term, point) for term in terms]
            return _joined([(value, True, value, True) for value in values])
        case ("interval", low, with_low, high, with_high):
            return _joined([(_number(low, point), with_low, _number(high, point), with_high)])
        case ("relation", left, sign, right):
            return _solved(left, sign, right, point, name)
        case ("union", *parts):
            return _joined([piece for part in parts for piece in _pieces(part, point, name)])
        case ("inter", *parts):
            return _common([_pieces(part, point, name) for part in parts])
        case ("minus", whole, part):
            return _common([_pieces(whole, point, name), _outside(_pieces(part, point, name))])
        case ("comma", *parts):
            both = [_pieces(part, point, name) for part in parts]
            common = _common(both)
            if not common:  # no one states a condition that nothing meets
                return _joined([piece for pieces in both for piece in pieces])
            return common
    raise TooLarge


def _number(end: Term, point: Mapping[str, Any]) -> Any:
    return end[1] * mp.inf if end[0] == "infinity" else number_of(end, point)


def _solved(left: Term, sign: str, right: Term, point: Mapping[str, Any], name: str) -> list[Piece]:
    """The solutions of a relation that is linear in the letter, or a bound on its absolute value."""
    if left[0] == "infinity" or right[0] == "infinity":
        return _beside_infinity(left, sign, right, name)
    if left[0] == "abs" or right[0] == "abs":
        return _absolute(left, sign, right, point, name)
    difference: Term = ("+", left, ("neg", right))
    at = [number_of(difference, {**point, name: mp.mpf(value)}) for value in (0, 1, 7, -11)]
    slope = at[1] - at[0]
    close = mp.power(10, -30) * max(1, *map(abs, at))
    if abs(at[2] - at[0] - 7 * slope) > close or abs(at[3] - at[0] + 11 * slope) > close or abs(slope) <= close:
        raise TooLarge
    root = -at[0] / slope
    sign = sign if slope > 0 else _TURNED[sign]
    if sign == "=":
        return [(root, True, root, True)]
    if sign == "!=":
        return _outside([(root, True, root, True)])
    closed = sign.endswith("=")
    return [(-mp.inf, False, root, closed)] if sign.startswith("<") else [(root, closed, mp.inf, False)]


def _beside_infinity(left: Term, sign: str, right: Term, name: str) -> list[Piece]:
    """-\\infty < x says nothing."""
    if left[0] == "infinity":
        left, sign, right = right, _TURNED[sign], left
    if left != ("symbol", name) or sign not in ("<", "<=", ">", ">=") or (sign[0] == "<") != (right[1] > 0):
        raise TooLarge
    return [(-mp.inf, False, mp.inf, False)]


def _absolute(left: Term, sign: str, right: Term, point: Mapping[str, Any], name: str) -> list[Piece]:
    if left[0] != "abs":
        left, sign, right = right, _TURNED[sign], left
    if name in symbols_of(right):
        raise TooLarge
    inside, minus = left[1], ("neg", right)
    if sign in ("<", "<=", "="):
        first = _solved(inside, sign, right, point, name)
        second = _solved(inside, {"<": ">", "<=": ">=", "=": "="}[sign], minus, point, name)
        return _joined([*first, *second]) if sign == "=" else _common([first, second])
    if sign == "!=":
        return _outside(_absolute(left, "=", right, point, name))
    if number_of(right, point) < 0:
        return [(-mp.inf, False, mp.inf, False)]
    turned = {">": "<", ">=": "<="}[sign]
    return _joined([*_solved(inside, sign, right, point, name), *_solved(inside, turned, minus, point, name)])


def _equal(first: Any, second: Any) -> bool:
    if mp.isinf(first) or mp.isinf(second):
        return bool(first == second)
    return bool(abs(first - second) <= mp.power(10, -35) * max(1, abs(first), abs(second)))


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The pieces in their order, those that touch as one."""
    kept: list[Piece] = []
    for low, with_low, high, with_high in sorted(pieces, key=lambda piece: (piece[0], not piece[1])):
        if (low > high and not _equal(low, high)) or (_equal(low, high) and not (with_low and with_high)):
            continue
        if kept and _touch(kept[-1], low, with_low):
            first, with_first, last, with_last = kept[-1]
            if _equal(low, first):
                with_first = with_first or with_low
            if _equal(high, last):
                with_last = with_last or with_high
            elif high > last:
                last, with_last = high, with_high
            kept[-1] = (first, with_first, last, with_last)
        else:
            kept.append((low, with_low, high, with_high))
    return kept


def _touch(piece: Piece, low: Any, with_low: bool) -> bool:
    if _equal(low, piece[2]):
        return with_low or piece[3]
    return bool(low < piece[2])


def _outside(pieces: list[Piece]) -> list[Piece]:
    start, with_start, outside = -mp.inf, False, []
    for low, with_low, high, with_high in _joined(pieces):
        outside.append((start, with_start, low, not with_low and not mp.isinf(low)))
        start, with_start = high, not with_high and not mp.isinf(high)
    return _joined([*outside, (start, with_start, mp.inf, False)])


def _common(parts: list[list[Piece]]) -> list[Piece]:
    """What all have, as what none leaves out."""
    return _outside([piece for part in parts for piece in _outside(part)])


def _alike(first: list[Piece], second: list[Piece]) -> bool:
    return len(first) == len(second) and all(
        _equal(one[0], other[0]) and _equal(one[2], other[2]) and one[1] == other[1] and one[3] == other[3]
        for one, other in zip(first, second, strict=True)
    )
