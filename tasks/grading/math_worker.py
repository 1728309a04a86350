r"""The program of a worker process: whether two mathematical expressions in LaTeX are equal, as math_verify sees it.

For each line of JSON on standard input it writes a verdict to standard output, until standard input is closed. A
comparison may need any amount of time and memory. The process limits its own, and ends if it exceeds them. It imports
nothing that imports torch, so that it starts quickly.
"""

import json
import logging
import os
import re
import resource
import signal
import sys
from fractions import Fraction
from functools import lru_cache
from typing import Any, TextIO

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify import verify
from math_verify.parser import should_treat_as_complex

from uniopd_mm.tasks.grading.math_intervals import same_set
from uniopd_mm.tasks.grading.math_numbers import read_number, rounds_to
from uniopd_mm.tasks.grading.math_pool import Verdict
from uniopd_mm.tasks.grading.math_sets import has_marks, read_set
from uniopd_mm.tasks.grading.math_term_parts import has, with_decimal_logarithms
from uniopd_mm.tasks.grading.math_terms import Term, read_term
from uniopd_mm.tasks.grading.math_values import is_undefined, real_value, same

MEMORY_BYTES = 2 << 30
CLOSE = sympy.Rational(1, 10**12)
ROUGHLY_CLOSE = sympy.Rational(1, 10**6)
DIGITS = 30

# Units are removed earlier: math_verify would take the letters of "3ab" for a unit.
_NORMALIZATION = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
_CONVERSION = ConversionConfig(lowercase_symbols=False)
_DEGREES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
_TWO_NUMBERS = re.compile(
    r"(?:^|[-+*/=(,{}])\s*[0-9.]+ +[0-9.]"
)  # read as a product, a sum or not at all: no one knows


def compare(reference: str, answer: str) -> Verdict:
    """The verdict on two expressions. May raise any exception of the libraries."""
    if (has_marks(reference) or has_marks(answer)) and (sets := _of_sets(reference, answer)):
        return sets
    terms = read_term(reference), read_term(answer)
    if terms[0] and terms[1]:
        return _of_terms(terms[0], terms[1], reference, answer)
    return _of_expressions(reference, answer)


def _of_sets(reference: str, answer: str) -> Verdict | None:
    expected, given = read_set(reference), read_set(answer)
    if not expected or not given:
        return None
    equal = same_set(expected, given)
    if equal is None:
        return Verdict.EQUAL if _of_expressions(reference, answer) is Verdict.EQUAL else Verdict.UNPROVED
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


def _of_terms(expected: Term, given: Term, reference: str, answer: str) -> Verdict:
    for number, other in ((read_number(answer), expected), (read_number(reference), given)):
        if number and number.decimals and (value := real_value(other)) is not None and rounds_to(value, number):
            return Verdict.EQUAL
    equal = same(expected, given)
    if equal is None:
        return _undecided(expected, given)
    if (
        not equal
        and (has(expected, "log") or has(given, "log"))
        and same(with_decimal_logarithms(expected), with_decimal_logarithms(given))
    ):
        return Verdict.UNPROVED
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


def _undecided(expected: Term, given: Term) -> Verdict:
    """Where one of two terms has no value; a value that is too large makes a failure."""
    if is_undefined(expected):
        return Verdict.BAD_REFERENCE
    if is_undefined(given):
        return Verdict.BAD_ANSWER
    return Verdict.UNPROVED


def _of_expressions(reference: str, answer: str) -> Verdict:
    expected = read_expression(reference)
    if expected is None or _is_undefined(expected):
        return Verdict.BAD_REFERENCE
    given = read_expression(answer)
    if given is None or _is_undefined(given):
        return Verdict.BAD_ANSWER
    for number, other in ((read_number(answer), expected), (read_number(reference), given)):
        value = _real_value(other) if number and number.decimals else None
        if number and value is not None and rounds_to(value, number):
            return Verdict.EQUAL
    if _differ(expected, given):
        return Verdict.DIFFERENT
    equal = _expand_alike(expected, given) or verify(
        expected, given, timeout_seconds=None, raise_on_error=True, allow_set_relation_comp=True
    )
    if equal:
        return Verdict.EQUAL
    numeric = all(isinstance(side, sympy.Expr) and not side.free_symbols for side in (expected, given))
    return Verdict.UNPROVED if numeric else Verdict.DIFFERENT


@lru_cache(maxsize=1024)
def read_expression(text: str) -> Any:
    """A sympy object; None if the text as a whole is not mathematics."""
    if number := read_number(text):
        return sympy.Rational(number.value.numerator, number.value.denominator)
    if _TWO_NUMBERS.search(text):
        return None
    latex = normalize_latex(_in_radians(text), _NORMALIZATION)
    try:
        expression = latex2sympy(
            latex,
            is_real=not should_treat_as_complex(latex),
            convert_degrees=False,
            normalization_config=None,
            conversion_config=_CONVERSION,
        )
    except Exception:  # noqa: BLE001 - the parser raises many kinds for what it cannot read
        return None
    if not isinstance(expression, sympy.Basic):
        return expression
    symbols = expression.free_symbols
    imaginary = {symbol: sympy.I for symbol in symbols if str(symbol) == "i"}
    return expression.subs(imaginary) if len(imaginary) == len(symbols) == 1 else expression


def _in_radians(text: str) -> str:
    return _DEGREES.sub(r"\\frac{\1\\pi}{180}", text) if re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", text) else text


def _is_undefined(expression: Any) -> bool:
    return expression in (sympy.nan, sympy.zoo)


def _real_value(expression: Any) -> Fraction | None:
    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    value = expression.evalf(DIGITS)
    return Fraction(str(value)) if isinstance(value, sympy.Float) else None


def _differ(expected: Any, given: Any) -> bool:
    """Whether two expressions of the same variables, or one and a number, have different values at one point.

    That is quick, where math_verify goes on trying to simplify their difference, and stricter: it takes a tiny
    difference for none. Decimals in an expression count as rounded.
    """
    if not isinstance(expected, sympy.Expr) or not isinstance(given, sympy.Expr):
        return False
    symbols = expected.free_symbols | given.free_symbols
    alike = expected.free_symbols == given.free_symbols or expected.is_Rational or given.is_Rational
    if not alike:  # "e" may be the number, and a name of several letters their product: math_verify knows
        return False
    point = {symbol: sympy.Rational(sympy.prime(7 + place), 7) for place, symbol in enumerate(sorted(symbols, key=str))}
    values = [sympy.sympify(expression.evalf(DIGITS, subs=point)) for expression in (expected, given)]
    if not all(value.is_number and value.is_finite for value in values):
        return False
    rough = expected.has(sympy.Float) or given.has(sympy.Float)
    allowed = (ROUGHLY_CLOSE if rough else CLOSE) * max(abs(value) for value in values)
    return bool(abs(values[0] - values[1]) > allowed)


def _expand_alike(expected: Any, given: Any) -> bool:
    """Whether two polynomials are the same; math_verify would try all kinds of simplification first."""
    if not isinstance(expected, sympy.Expr) or not isinstance(given, sympy.Expr):
        return False
    symbols = expected.free_symbols
    if not symbols or not all(expression.is_polynomial(*symbols) for expression in (expected, given)):
        return False
    return bool(sympy.expand(expected - given) == 0)


class _TimeOut(BaseException):
    """A comparison has computed for long enough. No library catches it as an error of its own."""


def _stop(*_: object) -> None:
    """A second alarm, in a call that does not let go, ends the process."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, 1)
    raise _TimeOut


def verdict_on(line: str) -> Verdict:
    """The verdict on one request {"reference", "answer", "seconds"}. A comparison that computes for longer is left, and
    the process serves on; if it cannot be left, the process ends itself, even if its parent is gone."""
    request = json.loads(line)
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])
    try:
        return compare(request["reference"], request["answer"])
    except _TimeOut:
        return Verdict.TIME
    except Exception:  # noqa: BLE001 - parsers and a simplifier on a model's text may raise anything
        return Verdict.FAILED
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> None:
    """Serve until standard input is closed. Libraries that print cannot write to the replies."""
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        logging.disable(logging.CRITICAL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends this process
        _limit_memory(_own_memory() + MEMORY_BYTES)
        _warm_up()
        _serve(sys.stdin, replies)


def _serve(requests: TextIO, replies: TextIO) -> None:
    print(Verdict.EQUAL, file=replies, flush=True)  # ready
    for line in requests:
        print(verdict_on(line), file=replies, flush=True)


def _limit_memory(wanted: int) -> None:
    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    limit = wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _own_memory() -> int:
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[0]) * resource.getpagesize()


def _warm_up() -> None:
    """The first expressions of a kind take the parser a tenth of a second."""
    compare(r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}")
    compare(r"2x+1", r"1+x \cdot 2")
