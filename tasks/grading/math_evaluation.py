"""What a term is worth at a point, to any number of digits, over the real or the complex numbers."""

import math
import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mpmath import mp

from uniopd_mm.tasks.grading.math_term_parts import has
from uniopd_mm.tasks.grading.math_terms import Term

DIGITS = 50
MOST_BITS = 200_000  # of the exponent of a value
LONGEST_SUM = 20_000
INFINITE_TERMS = 400
VANISHED = 6  # terms in a row, after which a sum has converged


class Undefined(ArithmeticError):
    """A term has no value at a point: 1/0, or over the real numbers the root of -1."""


class TooLarge(ArithmeticError):
    """A value, or the way to it, is too large to compute."""


class Evaluation:
    """One evaluation at a point. `largest` and `smallest` are binary exponents of the values on the way, above 0."""

    def __init__(self, point: Mapping[str, Any], *, real: bool) -> None:
        self._point = dict(point)
        self._real = real
        self.largest = self.smallest = 0
        self._left = LONGEST_SUM

    def value(self, term: Term) -> Any:
        value = self._value(term)
        if not mp.isfinite(value):
            raise Undefined
        if value:
            size = mp.mag(value)
            self.largest, self.smallest = max(self.largest, size), max(self.smallest, -size)
            if abs(size) > MOST_BITS:
                raise TooLarge
        return value

    def _value(self, term: Term) -> Any:
        match term:
            case ("number", text):
                return mp.mpf(text)
            case ("symbol", name):
                return self._point[name]
            case ("pi",):
                return +mp.pi
            case ("e",):
                return +mp.e
            case ("i",):
                if self._real:
                    raise Undefined
                return mp.mpc(0, 1)
            case ("+", left, right):
                return self.value(left) + self.value(right)
            case ("*", left, right):
                return self.value(left) * self.value(right)
            case ("neg", inside):
                return -self.value(inside)
            case ("/", left, right):
                below = self.value(right)
                if self._is_zero(below):
                    raise Undefined
                return self.value(left) / below
            case ("^", base, power):
                return self._power(base, power)
            case ("root", degree, inside):
                return self._root(self.value(degree), self.value(inside))
            case ("degrees", inside):
                return self.value(inside) * mp.pi / 180
            case ("sum" | "prod" as name, index, first, last, inside):
                return self._series(name, index, first, last, inside)
            case ("of", name, *arguments):
                return _drawn(name, [self.value(argument) for argument in arguments])
            case (name, inside, "base", base):
                if name != "log":
                    raise TooLarge
                return self._log(inside) / self._log(base)
            case (name, *arguments):
                return self._function(name, arguments)
        raise TooLarge

    def _is_zero(self, value: Any) -> bool:
        return not value or mp.mag(value) < self.largest - mp.prec + 20

    def _power(self, base: Term, power: Term) -> Any:
        exponent = self.value(power)
        below = mp.e if base == ("e",) else self.value(base)
        if not below:
            if mp.re(exponent) > 0:
                return mp.mpf(0)
            raise Undefined
        if abs(mp.mag(below)) + 1 and abs(exponent) * max(1, abs(mp.mag(below))) > MOST_BITS:
            raise TooLarge
        if self._real and below < 0 and exponent != int(exponent):
            ratio = _ratio(power)
            if ratio is None or ratio.denominator % 2 == 0:
                raise Undefined
            return (-1) ** (ratio.numerator % 2) * mp.power(-below, exponent)
        return mp.power(below, exponent)

    def _root(self, degree: Any, inside: Any) -> Any:
        if not degree:
            raise Undefined
        if not self._real or inside >= 0:
            return mp.power(inside, 1 / degree) if inside else mp.mpf(0)
        if degree != int(degree) or int(degree) % 2 == 0:
            raise Undefined
        return -mp.power(-inside, 1 / degree)

    def _log(self, inside: Term) -> Any:
        value = self.value(inside)
        if not value or (self._real and value < 0):
            raise Undefined
        return mp.log(value)

    def _function(self, name: str, arguments: list[Term]) -> Any:
        if name in ("ln", "log", "lg") and len(arguments) == 1:
            return self._log(arguments[0]) / (mp.log(10) if name == "lg" else 1)
        values = [self.value(argument) for argument in arguments]
        if name in ("max", "min") and self._real:
            return max(values) if name == "max" else min(values)
        if name in ("gcd", "lcm"):
            return _divisors(name, values)
        if name in ("mod", "binom") and len(values) == 2:
            return _remainder(*values) if name == "mod" else self._binomial(*values)
        if len(values) != 1:
            raise TooLarge
        return self._of_one(name, values[0])

    def _of_one(self, name: str, value: Any) -> Any:
        if name == "!":
            if (self._real and value < 0) or abs(value) > 10_000:
                raise Undefined if value < 0 else TooLarge
            return mp.gamma(value + 1)
        if name == "exp" and abs(value) > MOST_BITS:
            raise TooLarge
        if self._real and ((name in ("arcsin", "arccos") and abs(value) > 1) or (name == "arccosh" and value < 1)):
            raise Undefined
        if name in ("floor", "ceil"):
            return _whole(name, value)
        if mp.mag(value) > 3000:
            raise TooLarge
        function = getattr(mp, _MPMATH.get(name, name), None)
        if function is None:
            raise TooLarge
        try:
            return function(value)
        except (ValueError, ZeroDivisionError) as error:
            raise Undefined from error

    def _binomial(self, above: Any, below: Any) -> Any:
        if max(abs(above), abs(below)) > 10_000:
            raise TooLarge
        return mp.binomial(above, below)

    def _series(self, name: str, index: str, first: Term, last: Term, inside: Term) -> Any:
        start = self.value(first)
        endless = last == ("infinity",)
        stop = start + INFINITE_TERMS if endless else self.value(last)
        if start != int(start) or stop != int(stop) or stop - start > LONGEST_SUM:
            raise TooLarge
        kept, smallest, largest = self._point.get(index), self.smallest, self.largest
        total = mp.mpf(0 if name == "sum" else 1)
        small = most = 0
        for count in range(int(start), int(stop) + 1):
            self._left -= 1
            if self._left < 0:
                raise TooLarge
            self._point[index] = mp.mpf(count)
            part = self.value(inside)
            total = total + part if name == "sum" else total * part
            most = max([most, *(mp.mag(value) for value in (part, total) if value)])
            small = small + 1 if abs(part - (name == "prod")) < mp.power(10, -mp.dps - 5) else 0
            if endless and small == VANISHED:
                break
        self._restore(index, kept)
        self.smallest = smallest  # its last terms are small, which says nothing of the sum
        if not has(inside, "+"):  # nothing cancels within a term
            self.largest = max(largest, most)
        if endless and small < VANISHED:
            raise TooLarge  # it does not converge quickly enough to tell
        return total

    def _restore(self, index: str, kept: Any) -> None:
        if kept is None:
            self._point.pop(index, None)
        else:
            self._point[index] = kept


_MPMATH = {
    **{"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsinh": "asinh", "abs": "fabs"},
    **{"arccosh": "acosh", "arctanh": "atanh"},
}


def _whole(name: str, value: Any) -> Any:
    """Floor and ceiling; a value within rounding of a whole number is that number."""
    near = mp.nint(mp.re(value))
    if abs(value - near) < mp.power(10, -mp.dps // 2):
        return near
    return mp.floor(value) if name == "floor" else mp.ceil(value)


def _remainder(value: Any, modulus: Any) -> Any:
    if not modulus or any(part != int(mp.re(part)) for part in (value, modulus)):
        raise TooLarge
    return value - modulus * mp.floor(value / modulus)


def _divisors(name: str, values: list[Any]) -> Any:
    whole = [int(mp.re(value)) for value in values]
    if any(part != value for part, value in zip(whole, values, strict=True)):
        raise TooLarge
    return mp.mpf(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))


def _drawn(name: str, arguments: list[Any]) -> Any:
    """A value for a function of which nothing is known: the same for the same arguments, and no other."""
    shown = [mp.nstr(mp.mpc(argument), 30) for argument in arguments]
    return mp.mpf(zlib.crc32(repr((name, shown)).encode()) % 10**6 + 7) / 10**5


def _ratio(term: Term) -> Fraction | None:
    """The rational number that a term of numbers is."""
    match term:
        case ("number", text):
            return Fraction(text)
        case ("neg", inside):
            value = _ratio(inside)
            return None if value is None else -value
        case ("/", left, right):
            above, below = _ratio(left), _ratio(right)
            return above / below if above is not None and below else None
    return None
