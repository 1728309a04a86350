r"""Sets of real numbers, however they are written: intervals, unions, inequalities, chains, set-builders, words.

    (-\infty,-2)\cup(3,\infty)    x<-2 \text{ or } x>3    5>x>2    \{x \mid x>2\}    x \ne 0    \mathbb{R}\setminus\{2\}

A set is read as a tree here, and compared by `math_intervals`.
"""

import re
from functools import lru_cache
from typing import Any, TypeAlias

from uniopd_mm.tasks.grading.math_terms import Term, read_term

SetTree: TypeAlias = tuple[Any, ...]

LONGEST_TEXT = 400
_RELATION = re.compile(r"\\(?:le|ge|ne)(?![a-zA-Z])|[<>=]")
_SIGN = {"<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", "=": "=", r"\ne": "!="}
_MARKS = re.compile(
    r"[<>]|\\(?:le|ge|ne|cup|cap|setminus|mathbb|mid|infty|in|lor|land|emptyset)(?![a-zA-Z])|\breals?\b|real numbers"
)
_REALS = re.compile(
    r"(?:[a-z] (?:is|can be|may be) )?(?:all |the |any |every |set of )*(?:of )?(?:all )?(?:the )?"
    r"reals?(?: (?:numbers?|values?))?(?: (?:of )?[a-z])?"
    r"|\\mathbb\s*\{?R\}?|(?:for )?(?:all|any)(?: values of)? [a-z]"
    r"|(?:for )?(?:all|any|every) (?:real (?:number|value)s?(?: of)?|reals?) ?[a-z]?",
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
_BOTH = re.compile(r"([a-z])\s*\\ne\s*\\pm\s*([^,]+)$")


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
    return _read(_BOTH.sub(r"\1 \\ne \2 and \1 \\ne -(\2)", text), 0)


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
