r"""The value of a closed form in LaTeX, for references that are rounded decimals: \frac{2\pi}{3} is 2.0943…

    expression   product (+ or - product)…
    product      power (\times, \cdot, *, / or nothing between them) power…
    power        a number, \pi, e, \frac{}{}, \sqrt{}, \sqrt[n]{} or a bracket; and ^ with one of these

Any other text has no value here, for example one with functions (\sin, \log), variables or units. Texts must be
normalised by `math_spelling.spelled`.
"""

import math
import re
from typing import final

LONGEST = 200  # characters
DEEPEST = 20  # brackets inside brackets
_TOKEN = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+|\\[a-zA-Z]+|[-+*/^(){}\[\]e])\s*")
_BRACKETS = {"(": ")", "{": "}", "[": "]"}
_NUMERALS = "0123456789."
_SIGNS = ("+", "-")
_CONSTANTS = {r"\pi": math.pi, "e": math.e}


class _NoValue(ValueError):
    """The text is not a closed form."""


def closed_value(text: str) -> float | None:
    """The value of the whole text; None if it is not a closed form, or not a finite real number."""
    if len(text) > LONGEST:
        return None
    try:
        value = _Reader(text).value()
    except (_NoValue, ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) else None


@final
class _Reader:
    """Reads a text from left to right. Every method raises _NoValue if the text continues differently."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._place = 0
        self._depth = 0

    def value(self) -> float:
        value = self._expression()
        if self._place < len(self._text):
            raise _NoValue
        return value

    def _next(self) -> str:
        """The token ahead, "" at the end."""
        match = _TOKEN.match(self._text, self._place)
        return match[1] if match else ""

    def _take(self, *expected: str) -> str:
        match = _TOKEN.match(self._text, self._place)
        if match is None or (expected and match[1] not in expected):
            raise _NoValue
        self._place = match.end()
        return match[1]

    def _expression(self) -> float:
        value = self._product()
        while self._next() in _SIGNS:
            value += self._product() if self._take() == "+" else -self._product()
        return value

    def _product(self) -> float:
        if self._next() in _SIGNS:
            return self._product() if self._take() == "+" else -self._product()
        value = self._power()
        while (token := self._next()) not in ("", *_SIGNS, *_BRACKETS.values()):
            if token == "/":
                self._take()
                value /= self._power()
                continue
            if token in (r"\times", r"\cdot", "*"):
                self._take()
            elif token[0] in _NUMERALS:  # "2 3" is not a product, and the 0 of "2^10" is not a factor
                raise _NoValue
            value *= self._power()
        return value

    def _power(self) -> float:
        base = self._atom()
        if self._next() != "^":
            return base
        self._take()
        exponent = self._argument()
        value = base**exponent
        if isinstance(value, complex):
            raise _NoValue
        return value

    def _argument(self) -> float:
        r"""A bracket, or a single digit or constant without brackets, as both in \frac12."""
        if self._next()[:1].isdigit():
            self._place += 1
            return float(self._text[self._place - 1])
        return self._atom()

    def _atom(self) -> float:
        token = self._take()
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token == r"\frac":
            top = self._argument()
            return top / self._argument()
        if token == r"\sqrt":
            return self._root()
        if token in _BRACKETS:
            return self._inside(_BRACKETS[token])
        if token[0] in _NUMERALS:
            return float(token)
        raise _NoValue

    def _root(self) -> float:
        degree = 2.0
        if self._next() == "[":
            self._take()
            degree = self._inside("]")
        radicand = self._argument()
        if radicand < 0:
            raise _NoValue
        return float(radicand ** (1 / degree))

    def _inside(self, closing: str) -> float:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _NoValue
        value = self._expression()
        self._take(closing)
        self._depth -= 1
        return value
