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

from uniopd_mm.tasks.grading.math_compounds import read_compound
from uniopd_mm.tasks.grading.math_phrases import computed
from uniopd_mm.tasks.grading.math_tails import NO_TAIL, Tail, split_tail

DEEPEST = 40  # brackets inside brackets
MOST_ITEMS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value: `text` without the parts named beside it; `whole` is all of it. Absent parts are ""."""

    whole: str
    text: str
    name: str
    tail: Tail = NO_TAIL


@dataclass(frozen=True, kw_only=True, slots=True)
class Several:
    """Values in brackets, `brackets` being "()", "[]", "(]", "[)" or "{}", a ratio ":", or a list of them, which has
    none; `either` says that a list was written with "or" or \\pm."""

    whole: str
    name: str
    brackets: str
    items: "tuple[Form, ...]"
    either: bool = False

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
    text = computed(text)
    joined = _joined_digits(text)
    plain = _read(text, 0)
    if joined == text:
        return (plain,)
    alone = _ALONE.fullmatch(text.strip()) is not None
    return (_read(joined, 0), plain) if alone else (_read(joined, 0),)


_THOUSANDS = re.compile(
    r"(?<![0-9.,^_{(\[])(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+)(?![0-9,])"
    r"|(?<![0-9.,^_{(\[])[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?![0-9,])"  # Indian
)
_ALONE = re.compile(rf"[-+]?\s*(?:{_THOUSANDS.pattern})(?:\.[0-9]+)?")
_EUROPEAN = re.compile(
    r"(?<![0-9.,^_{(\[])[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}(?:,[0-9]+)?"
    r"|(?:\.[0-9]{3})+,(?:[0-9]{1,2}|[0-9]{4,})|(?: [0-9]{3})+,[0-9]{1,2})(?![0-9,.])"
)


def _joined_digits(text: str) -> str:
    """1,234,567, 12,34,567, 1 234 567, 1.234.567 and 1.234,5 without what parts their digits."""
    text = _EUROPEAN.sub(lambda match: re.sub("[. ]", "", match[0]).replace(",", "."), text)
    return _THOUSANDS.sub(lambda match: re.sub("[, ]", "", match[0]), text)


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
    if compound := read_compound(text):
        return Value(whole=text, text=str(compound[0]), name="", tail=compound[1])
    parts = _parts(text, tokens)
    if len(parts) > 1:
        return Several(
            whole=text, name="", brackets="", items=(items := _unordered(parts, depth)), either=_either(text, items)
        )
    name, value = _named(text)
    is_set = value.startswith(r"\{") and value.endswith(r"\}")
    if not is_set and (signs := _plus_minus(value)):
        before = f"{name} = " if name else ""
        return Several(
            whole=text, name="", brackets="", items=_items([before + sign for sign in signs], depth), either=True
        )
    return _ratio(text, name, value, depth) or _bracketed(text, name, value, depth) or _value(text, name, value)


_OR = re.compile(r"(?<![A-Za-z\\])or(?![A-Za-z])|\\lor(?![a-zA-Z])")


def _either(text: str, items: tuple[Form, ...]) -> bool:
    names = [item.name for item in items if item.name]
    return _OR.search(text) is not None or len(names) > len(set(names))


def _ratio(whole: str, name: str, value: str, depth: int) -> Form | None:
    """3 : 2 : 4, of which only the quotients count."""
    parts = value.split(":")
    if len(parts) < 2 or not all(_balanced(part) and part.strip() and _RATIO_PART.fullmatch(part) for part in parts):
        return None
    return Several(whole=whole, name=name, brackets=":", items=_items(parts, depth))


_RATIO_PART = re.compile(r"[-0-9./a-z\\{}()^+ ]{1,60}")


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


_CONSTANTS = frozenset({r"\pi", "e", "i", r"\infty"})
_BARE_SYMBOL = re.compile(_SYMBOL)
_APPROX = re.compile(r"\\approx(?![a-zA-Z])")


def _named(text: str) -> tuple[str, str]:
    """A name and the value that stands at the end of its equations: "x = 2 + 3 = 5" is x and 5, as "5 = x" is. Of
    "\\sqrt{2} \\approx 1.41" the exact value counts."""
    match = _NAME.match(text)
    if re.search(r"[<>]|\\(?:le|ge|ne)(?![a-zA-Z])", text):
        return "", text
    if match and match["name"].strip() not in _CONSTANTS:
        sides = equation_sides(text[match.end() :])
        if not all(side.strip() for side in sides):
            return "", text
        return re.sub(r"\\text|[\s{}]", "", match["name"]), _exact(sides[-1])
    sides = equation_sides(text)
    if len(sides) == 2 and _BARE_SYMBOL.fullmatch(sides[1].strip()) and sides[1].strip() not in _CONSTANTS:
        return sides[1].strip(), sides[0].strip()
    return ("", _exact(text)) if len(sides) == 1 else ("", text)


def _exact(text: str) -> str:
    exact, *rough = _APPROX.split(text)
    return (exact if exact.strip() else rough[-1] if rough else text).strip()


def equation_sides(text: str) -> list[str]:
    """The sides of an equation, parted at every = outside brackets, subscripts and environments."""
    depth, sides, start = 0, [], 0
    for match in _EQUALS_OR_BRACKET.finditer(text):
        token = match[0]
        if token == "=":
            if depth == 0:
                sides.append(text[start : match.start()])
                start = match.end()
        else:
            depth += (token in _OPENING) - (token in _CLOSING)
    return [*sides, text[start:]]


_EQUALS_OR_BRACKET = re.compile(rf"(?<![<>!:=\\])=(?!=)|{_TOKEN.pattern}")


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


def _value(whole: str, name: str, value: str) -> Value:
    text, tail = split_tail(value)
    return Value(whole=whole, text=text, name=name, tail=tail)
