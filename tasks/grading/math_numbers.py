r"""Numbers as answers write them, compared exactly with rational arithmetic.

    1,000   -3.50   .5   2/3   \frac{2}{3}   \frac12   3\frac{1}{2}   0.1\overline{6}   1.5 \times 10^{-3}   2e5

Left out: anything to compute with (roots, powers, constants), which `math_terms` reads.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

LONGEST_NUMBER = 400  # characters, and the largest power of ten: what is longer is no answer to a question
ROUNDED_DECIMALS = 6
ROUNDED_DIGITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A rational number; `decimals` counts the digits after the point where it is written so, else it is None."""

    value: Fraction
    decimals: int | None = None


_DECIMAL = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_PLAIN = re.compile(rf"(?P<digits>{_DECIMAL})(?:[eE](?P<power>[-+]?[0-9]+))?")
_POWER_OF_TEN = re.compile(
    rf"(?:(?P<digits>{_DECIMAL})\s*(?:\\times|\\cdot|\*)\s*)?10\s*\^\s*(?:\{{\s*(?P<braced>[-+]?[0-9]+)\s*\}}|(?P<bare>[0-9]))"
)
_SLASH = re.compile(rf"(?P<top>{_DECIMAL})\s*/\s*(?P<bottom>-?(?:{_DECIMAL}))")
_FRAC = (
    rf"\\frac\s*(?:\{{\s*(?P<top>-?(?:{_DECIMAL}))\s*\}}|(?P<top1>[0-9]))"
    rf"\s*(?:\{{\s*(?P<bottom>-?(?:{_DECIMAL}))\s*\}}|(?P<bottom1>[0-9]))"
)
_FRACTION = re.compile(_FRAC)
_MIXED = re.compile(rf"(?P<whole>[0-9]+)\s*{_FRAC}")
_MIXED_SLASH = re.compile(r"(?P<whole>[0-9]+) +(?P<top>[0-9]+)\s*/\s*(?P<bottom>[0-9]+)")
_REPEATING = re.compile(
    r"(?P<whole>[0-9]*)\.(?P<fixed>[0-9]*)\\(?:overline|bar|dot)\s*(?:\{(?P<again>[0-9]+)\}|(?P<once>[0-9]))"
)
_SIGN = re.compile(r"\s*([-+]?)\s*")


def read_number(text: str) -> Number | None:
    """The number that a text is, None where it is anything else. Commas between digits are not read."""
    if len(text) > LONGEST_NUMBER:
        return None
    sign = _SIGN.match(text)
    body = text[sign.end() if sign else 0 :].strip()
    try:
        number = _unsigned(body)
    except ZeroDivisionError:
        return None
    if number is None or sign is None or sign[1] != "-":
        return number
    return Number(value=-number.value, decimals=number.decimals)


def same_number(first: Number, second: Number) -> bool:
    """Whether two numbers are equal, or one of them is the other rounded to six decimals or more (0.333333 is 1/3,
    0.333 is not)."""
    if first.value == second.value:
        return True
    return rounds_to(second.value, first) or rounds_to(first.value, second)


def rounds_to(value: Fraction, number: Number) -> bool:
    """Whether a number has at least six decimals, four of them significant, and is `value` to that many decimals."""
    if number.decimals is None or number.decimals < ROUNDED_DECIMALS:
        return False
    scale = 10**number.decimals
    return abs(number.value) * scale >= 10 ** (ROUNDED_DIGITS - 1) and round(value * scale) == number.value * scale


def _unsigned(body: str) -> Number | None:
    if match := _PLAIN.fullmatch(body):
        power = int(match["power"] or 0)
        value = _scaled(match["digits"], power)
        return value and Number(value=value.value, decimals=None if power else _decimals(match["digits"]))
    if match := _POWER_OF_TEN.fullmatch(body):
        return _scaled(match["digits"] or "1", int(match["braced"] or match["bare"]))
    if match := _SLASH.fullmatch(body):
        return Number(value=Fraction(match["top"]) / Fraction(match["bottom"]))
    if match := _FRACTION.fullmatch(body):
        return Number(value=_quotient(match))
    if match := _MIXED.fullmatch(body) or _MIXED_SLASH.fullmatch(body):
        part = _quotient(match) if match.re is _MIXED else Fraction(int(match["top"]), int(match["bottom"]))
        return Number(value=int(match["whole"]) + part) if part >= 0 else None
    if match := _REPEATING.fullmatch(body):
        return Number(value=_repeating(match["whole"], match["fixed"], match["again"] or match["once"]))
    return None


def _quotient(match: re.Match[str]) -> Fraction:
    return Fraction(match["top"] or match["top1"]) / Fraction(match["bottom"] or match["bottom1"])


def _scaled(digits: str, power: int) -> Number | None:
    return Number(value=Fraction(digits) * Fraction(10) ** power) if abs(power) <= LONGEST_NUMBER else None


def _decimals(digits: str) -> int | None:
    return len(digits.partition(".")[2]) if "." in digits else None


def _repeating(whole: str, fixed: str, again: str) -> Fraction:
    """1.2\\overline{34} is (1234 - 12) / 990."""
    return Fraction(int(whole + fixed + again) - int(whole + fixed or "0"), 10 ** len(fixed) * (10 ** len(again) - 1))
