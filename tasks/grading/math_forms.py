r"""How a mathematical answer is built: one value or several, a set, a tuple or an interval, with names and units.

    x = 1 \text{ or } x = 2     a list of two values, both named x
    \pm\sqrt{2}                 a list of two values
    \{1, 2\}                    a set
    (x, y) = (1, 2)             an ordered group named "(x,y)"
    5 \text{ cm}^2              one value with a unit

Reads how the parts stand together, of texts short enough to be an answer; what the values themselves mean is
left to `math_numbers` and `math_worker`.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from uniopd_mm.tasks.grading.math_numbers import KNOWN_UNITS
from uniopd_mm.tasks.grading.math_spelling import is_words

DEEPEST = 40  # brackets inside brackets
MOST_ITEMS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value: `text` without the parts named beside it; `whole` is all of it. Absent parts are ""."""

    whole: str
    text: str
    name: str
    unit: str
    percent: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Several:
    """Values in brackets, `brackets` being "()", "[]", "(]", "[)" or "{}", or a list of them, which has none."""

    whole: str
    name: str
    brackets: str
    items: "tuple[Form, ...]"

    @property
    def ordered(self) -> bool:
        return self.brackets not in ("", "{}")


Form: TypeAlias = Value | Several


class TooDeep(ValueError):
    """More brackets inside brackets, or more values, than any answer has."""


def read_forms(text: str) -> tuple[Form, ...]:
    """What a text that `spelled` has simplified may be read as: "1,234" is one number or two.

    Raises:
        TooDeep: see there.
    """
    joined = _THOUSANDS.sub(lambda match: re.sub("[, ]", "", match[0]), text)
    plain = _read(text, 0)
    if joined == text:
        return (plain,)
    alone = _THOUSANDS.fullmatch(text.strip()) is not None
    return (_read(joined, 0), plain) if alone else (_read(joined, 0),)


_THOUSANDS = re.compile(r"(?<![0-9.,^_{(\[])(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+)(?![0-9,])")
_TOKEN = re.compile(r"\\(?:begin|end|langle|rangle|lfloor|rfloor|lceil|rceil|lvert|rvert)(?![a-zA-Z])|\\.|[()\[\]{},;]")
_OPENING = frozenset({r"\begin", r"\langle", r"\lfloor", r"\lceil", r"\lvert", r"\{", "(", "[", "{"})
_CLOSING = frozenset({r"\end", r"\rangle", r"\rfloor", r"\rceil", r"\rvert", r"\}", ")", "]", "}"})
_BRACKET = {r"\{": "{", r"\}": "}", r"\langle": "(", r"\rangle": ")", "(": "(", ")": ")", "[": "[", "]": "]"}
_AND = re.compile(r"\\text\s*\{\s*(?:,?\s*or|,?\s*and)\s*\}|(?<![A-Za-z\\])(?:or|and)(?![A-Za-z])|\\lor(?![a-zA-Z])")
_SYMBOL = r"(?:\\(?!frac|sqrt)[a-zA-Z]+|[a-zA-Z])'*(?:_(?:\{[A-Za-z0-9]+\}|[A-Za-z0-9]))?(?:\([a-z0-9]\))?"
_TEXT_NAME = r"\\text\s*\{[A-Za-z ]+\}|[A-Za-z]{3,}"
_NAME = re.compile(
    rf"\s*(?P<name>{_SYMBOL}|{_TEXT_NAME}|\(\s*{_SYMBOL}(?:\s*,\s*{_SYMBOL})+\s*\))\s*(?P<sign>=|:=|\\in(?![a-zA-Z])|\\approx(?![a-zA-Z]))"
)
_INTEGER_FAMILY = re.compile(r"\\in\s*\\(?:mathbb|Z|N)")  # k\pi, k \in \mathbb{Z}: the comma parts no two answers


def _read(text: str, depth: int) -> Form:
    if depth > DEEPEST:
        raise TooDeep
    text = text.strip()
    tokens = _outer_tokens(text, depth)
    parts = _parts(text, tokens)
    if len(parts) > 1:
        return Several(whole=text, name="", brackets="", items=_unordered(parts, depth))
    name, value = _named(text)
    if signs := _plus_minus(value):
        before = text[: len(text) - len(value)]  # "x = "
        return Several(whole=text, name="", brackets="", items=_items([before + sign for sign in signs], depth))
    return _bracketed(text, name, value, depth) or _value(text, name, value)


def _outer_tokens(text: str, depth: int) -> list[tuple[int, str]]:
    """Separators outside all brackets; none where the brackets do not pair off. Checks the depth of all others."""
    open_brackets = 0
    separators: list[tuple[int, str]] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        open_brackets += (token in _OPENING) - (token in _CLOSING)
        if open_brackets < 0:
            return []
        if depth + open_brackets > DEEPEST:
            raise TooDeep
        if token in ",;" and not open_brackets:
            separators.append((match.start(), token))
    return [] if open_brackets else separators


def _parts(text: str, tokens: list[tuple[int, str]]) -> list[str]:
    if _INTEGER_FAMILY.search(text):
        return [text]
    starts = [0, *(position + 1 for position, _ in tokens)]
    ends = [*(position for position, _ in tokens), len(text)]
    pieces = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    return [part for piece in pieces for part in _and_parts(piece) if part.strip()]


def _and_parts(text: str) -> list[str]:
    """Split at "or" and "and"; not inside brackets."""
    cuts = [match for match in _AND.finditer(text) if _balanced(text[: match.start()])]
    starts = [0, *(match.end() for match in cuts)]
    ends = [*(match.start() for match in cuts), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _balanced(text: str) -> bool:
    tokens = [match[0] for match in _TOKEN.finditer(text)]
    return sum(token in _OPENING for token in tokens) == sum(token in _CLOSING for token in tokens)


def _items(parts: list[str], depth: int) -> tuple[Form, ...]:
    if len(parts) > MOST_ITEMS:
        raise TooDeep
    return tuple(_read(part, depth + 1) for part in parts)


def _unordered(parts: list[str], depth: int) -> tuple[Form, ...]:
    """The items of a list or set, with those of lists inside it: "1, \\pm 2" has three."""
    items = _items(parts, depth)
    within = (item.items if isinstance(item, Several) and not item.brackets else (item,) for item in items)
    return tuple(form for forms in within for form in forms)


def _named(text: str) -> tuple[str, str]:
    """A name and the value that stands at the end of its equations: "x = 2 + 3 = 5" is x and 5."""
    match = _NAME.match(text)
    if not match:
        return "", text
    sides = re.split(r"(?<![<>!:=\\])=(?!=)", text[match.end() :])
    if not all(side.strip() for side in sides) or re.search(r"[<>]|\\(?:le|ge|ne|lt|gt)", text):
        return "", text
    return re.sub(r"\\text|[\s{}]", "", match["name"]), sides[-1].strip()


def _plus_minus(text: str) -> list[str]:
    if not re.search(r"\\(?:pm|mp)(?![a-zA-Z])", text):
        return []
    upper = re.sub(r"\\mp(?![a-zA-Z])", "-", re.sub(r"\\pm(?![a-zA-Z])", "+", text))
    lower = re.sub(r"\\mp(?![a-zA-Z])", "+", re.sub(r"\\pm(?![a-zA-Z])", "-", text))
    return [upper.strip().removeprefix("+"), lower]


def _bracketed(text: str, name: str, value: str, depth: int) -> Form | None:
    """The group that one pair of brackets around the whole value makes; a single value in (…) is that value."""
    tokens = list(_TOKEN.finditer(value))
    if len(tokens) < 2 or tokens[0].start() or tokens[-1].end() != len(value) or not _encloses(tokens):
        return None
    opening, closing = (_BRACKET.get(tokens[index][0], tokens[index][0]) for index in (0, -1))
    inside = value[tokens[0].end() : tokens[-1].start()]
    parts = _parts(inside, _outer_tokens(inside, depth + 1))
    if opening == "{" and closing == "}":
        return Several(whole=text, name=name, brackets="{}", items=_unordered(parts, depth))
    if opening not in "([" or closing not in ")]":
        return None
    if len(parts) > 1:
        return Several(whole=text, name=name, brackets=opening + closing, items=_items(parts, depth))
    return _read(inside, depth + 1) if opening + closing == "()" and not name and parts else None


def _encloses(tokens: list[re.Match[str]]) -> bool:
    """Whether the first bracket is closed by the last."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token[0] in _OPENING) - (token[0] in _CLOSING)
        if depth <= 0 and index < len(tokens) - 1:
            return False
    return depth == 0


_PERCENT = re.compile(r"\s*(?:\\?%|\\text\s*\{\s*percent\s*\})$")
_SUBSCRIPT_BASE = re.compile(r"^([0-9A-F]+)\s*_\s*\{?\s*([0-9]{1,2})\s*\}?$")
_TEXT_UNIT = re.compile(r"^(.*[0-9A-Za-z)}!])\s*\\text\s*\{([^{}]*)\}\s*(\^\s*\{?[0-9]\}?)?$", re.DOTALL)
_DEGREE_UNIT = re.compile(r"^(.+?)\s*\^\s*\{?\s*\\circ\s*\}?\s*(?:\\text\s*\{\s*[CFK]\s*\}|[CFK])?$", re.DOTALL)
_ANGLE_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_BARE_UNIT = re.compile(r"^(.*[0-9}])( ?)([A-Za-z][A-Za-z./ ]*)(\^\s*\{?[0-9]\}?)?$", re.DOTALL)


def _value(whole: str, name: str, value: str) -> Value:
    text, unit = _without_unit(value)
    percent = _PERCENT.search(text)
    text = text[: percent.start()] if percent else text
    return Value(whole=whole, text=text, name=name, unit=unit, percent=percent is not None)


def _without_unit(text: str) -> tuple[str, str]:
    if match := _SUBSCRIPT_BASE.match(text):
        return match[1], f"base {match[2]}"
    if (match := _DEGREE_UNIT.match(text)) and not _ANGLE_FUNCTION.search(text):
        return match[1], r"^\circ"
    if match := _TEXT_UNIT.match(text):
        return match[1].strip(), match[2].strip() + (match[3] or "")
    if (match := _BARE_UNIT.match(text)) and _is_unit(match[2], match[3]):
        return match[1], match[3].strip() + (match[4] or "")
    return text, ""


def _is_unit(blank: str, words: str) -> bool:
    """Whether bare letters behind a number are a unit and no variables: "5cm" and "5 m" but "5m", "5 pears"."""
    first = re.split(r"[/ ]", words.strip().lower())[0].strip(".")
    known = first in KNOWN_UNITS or first.removesuffix("s") in KNOWN_UNITS
    return (known and (len(first) > 1 or blank != "")) or (blank != "" and len(first) > 3 and is_words(words))
