r"""Sets of real numbers, however they are written: intervals, unions, inequalities, chains, set-builders, words.

    (-\infty,-2)\cup(3,\infty)    x<-2 \text{ or } x>3    5>x>2    \{x \mid x>2\}    x \ne 0    \mathbb{R}\setminus\{2\}

A set is read as a tree, and compared as its list of intervals at points drawn at random for the letters in its ends.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from mpmath import mp

from uniopd_mm.tasks.grading.math_terms import Term, read_term, symbols_of
from uniopd_mm.tasks.grading.math_values import DIGITS, TooLarge, Undefined, number_of, points_for

SetTree: TypeAlias = tuple[Any, ...]
Piece: TypeAlias = tuple[Any, bool, Any, bool]  # from, whether with it, to, whether with it

LONGEST_TEXT = 400
_RELATION = re.compile(r"\\(?:le|ge|ne)(?![a-zA-Z])|[<>=]")
_SIGN = {"<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", "=": "=", r"\ne": "!="}
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_MARKS = re.compile(
    r"[<>]|\\(?:le|ge|ne|cup|cap|setminus|mathbb|mid|infty|in|lor|land|emptyset)(?![a-zA-Z])|\breals?\b|real numbers"
)
_REALS = re.compile(
    r"(?:all |the |any |every |set of )*(?:of )?(?:all )?(?:the )?reals?(?: (?:numbers?|values?))?(?: (?:of )?[a-z])?|\\mathbb\s*\{?R\}?|(?:for )?(?:all|any)(?: values of)? [a-z]|"
    r"(?:for )?(?:all|any|every) (?:real (?:number|value)s?(?: of)?|reals?) ?[a-z]?",
    re.IGNORECASE,
)
_EXCEPT = re.compile(
    r"(?P<all>.+?),?\s*(?:except(?: for)?|excluding|other than|but not|without|besides)\s+(?P<left>.+)"
)
_MEMBER = re.compile(r"^\s*[a-zA-Z](?:_\{?[a-zA-Z0-9]+\}?)?\s*\\in(?![a-zA-Z])\s*")
_BUILDER = re.compile(
    r"^\\\{\s*(?P<name>[a-zA-Z])\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?(?:\\mid|\||:)\s*(?P<rest>.+)\\\}$"
)
_INTERVAL = re.compile(r"^(?P<left>[(\[\]])(?P<inside>.+)(?P<right>[)\]\[])$")
_OR = re.compile(
    r"\\text\s*\{\s*,?\s*or\s*\}|(?<![A-Za-z\\])or(?![A-Za-z])|\\lor(?![a-zA-Z])|\\vee(?![a-zA-Z])|\\cup(?![a-zA-Z])|(?<=\))\s*[uU]\s*(?=[(\[])|(?<=\])\s*[uU]\s*(?=[(\[])"
)
_AND = re.compile(
    r"\\text\s*\{\s*,?\s*and\s*\}|(?<![A-Za-z\\])and(?![A-Za-z])|\\land(?![a-zA-Z])|\\wedge(?![a-zA-Z])|\\cap(?![a-zA-Z])"
)
_MINUS = re.compile(r"\\setminus(?![a-zA-Z])|(?<=\})\s*-\s*(?=\\\{)")
_NAME = re.compile(r"\\?[a-zA-Z]+(?:_\{?[a-zA-Z0-9]+\}?)?")


def has_marks(text: str) -> bool:
    """Whether a text holds a sign that only a relation or a set has."""
    return _MARKS.search(text) is not None


@lru_cache(maxsize=2048)
def read_set(text: str) -> SetTree | None:
    """The set that a text is; None where it is no set of real numbers."""
    if len(text) > LONGEST_TEXT:
        return None
    text = re.sub(
        r"\\text\s*\{\s*(for all|for any|real|reals|all real numbers|all reals|for|such that|except|if)\s*\}",
        r" \1 ",
        text,
    )
    return _read(text, 0)


def _read(text: str, depth: int) -> SetTree | None:
    text = text.strip().strip(",")
    if depth > 12 or not text:
        return None
    if _REALS.fullmatch(text.strip()):
        return ("all",)
    if text == r"\emptyset" or text == r"\emptyset ".strip():
        return ("empty",)
    if match := _EXCEPT.fullmatch(text):
        return _pair("minus", _read(match["all"], depth + 1), _excluded(match["left"], depth))
    for name, pattern in (("union", _OR), ("inter", _AND)):
        if len(parts := _split(text, pattern)) > 1:
            return _several(name, parts, depth)
    if len(parts := _split(text, _MINUS)) == 2:
        return _pair("minus", _read(parts[0], depth + 1), _read(parts[1], depth + 1))
    if len(parts := _split(text, re.compile(","))) > 1 and all(
        _RELATION.search(part) or _REALS.fullmatch(_MEMBER.sub("", part).strip()) for part in parts
    ):
        return _several("comma", [_MEMBER.sub("", part) for part in parts], depth)
    if match := _BUILDER.fullmatch(text):
        return _read(match["rest"], depth + 1)
    if member := _MEMBER.match(text):
        return _read(text[member.end() :], depth + 1)
    return _brackets(text) or _chain(text)


def _excluded(text: str, depth: int) -> SetTree | None:
    text = re.sub(r"^(?:when |where |at |for )", "", text.strip())
    tree = _read(text, depth + 1) if _RELATION.search(text) else None
    if tree:
        return tree
    parts = [part for piece in _split(text, _AND) for part in _split(piece, re.compile(","))]
    terms = [read_term(part.strip()) for part in parts]
    return ("points", *terms) if all(terms) else None


def _pair(name: str, first: SetTree | None, second: SetTree | None) -> SetTree | None:
    return (name, first, second) if first and second else None


def _several(name: str, parts: list[str], depth: int) -> SetTree | None:
    trees = [_read(part, depth + 1) for part in parts]
    return (name, *trees) if all(trees) else None


def _split(text: str, pattern: re.Pattern[str]) -> list[str]:
    """The parts between the matches that stand outside all brackets; those of an interval need not be alike."""
    depth, cuts, place = 0, [], 0
    for match in re.finditer(rf"(?P<open>\\\{{|[(\[{{])|(?P<close>\\\}}|[)\]}}])|(?P<cut>{pattern.pattern})", text):
        if match["open"]:
            depth += 1
        elif match["close"]:
            depth -= 1
        elif depth == 0:
            cuts.append(match)
    parts = []
    for cut in cuts:
        parts.append(text[place : cut.start()])
        place = cut.end()
    return [*parts, text[place:]]


def _brackets(text: str) -> SetTree | None:
    if text.startswith(r"\{") and text.endswith(r"\}"):
        terms = [read_term(part.strip()) for part in _split(text[2:-2], re.compile("[,;]"))]
        return ("points", *terms) if all(terms) else None
    match = _INTERVAL.fullmatch(text)
    parts = _split(match["inside"], re.compile("[,;]")) if match else []
    if not match or len(parts) != 2:
        return None
    ends = [_end(part.strip()) for part in parts]
    if not all(ends):
        return None
    return ("interval", ends[0], match["left"] == "[", ends[1], match["right"] == "]")


def _end(text: str) -> Term | None:
    if re.fullmatch(r"[-+]?\s*\\infty", text):
        return ("infinity", -1 if text.startswith("-") else 1)
    return read_term(text)


def _chain(text: str) -> SetTree | None:
    """a < x \\le b as the relations between its neighbours."""
    signs = [_SIGN[match[0]] for match in _RELATION.finditer(text)]
    sides = [side.strip() for side in _RELATION.split(text)]
    if not signs or len(signs) > 3 or not all(sides):
        return None
    terms = [_end(side) for side in sides]
    if not all(terms):
        return None
    relations = [("relation", left, sign, right) for left, sign, right in zip(terms, signs, terms[1:], strict=False)]
    return relations[0] if len(relations) == 1 else ("inter", *relations)


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
    names = [variable_of(tree) for tree in (expected, given)]
    if None in names:
        return None
    letters = (_letters(expected) - {names[0]}) | (_letters(given) - {names[1]})
    if names[0] and names[1] and names[0] != names[1]:
        return None
    doubt = False
    for point in points_for(sorted(letters), turns=4 if letters else 1):
        try:
            first, second = (_pieces(tree, point, name) for tree, name in zip((expected, given), names, strict=True))
        except (Undefined, TooLarge):
            return None
        except _Unclear:
            doubt = True
            continue
        if not _alike(first, second):
            return False
    return None if doubt else True


class _Unclear(Exception):
    """A comma between relations may mean "or" as well as "and"."""


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
            united = _joined([piece for pieces in both for piece in pieces])
            return common if _alike(common, united) or not all(_is_half(pieces) for pieces in both) else common
    raise TooLarge


def _is_half(pieces: list[Piece]) -> bool:
    return len(pieces) == 1 and (pieces[0][0] == -mp.inf) != (pieces[0][2] == mp.inf)


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
        if kept and ((low < kept[-1][2] and not _equal(low, kept[-1][2])) or (_equal(low, kept[-1][2]) and (with_low or kept[-1][3]))):  # fmt: skip
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
