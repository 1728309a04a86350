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
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify

from uniopd_mm.tasks.grading.math_numbers import read_number, rounds_to
from uniopd_mm.tasks.grading.math_pool import Verdict

MEMORY_BYTES = 2 << 30
CLOSE = sympy.Rational(1, 10**12)
ROUGHLY_CLOSE = sympy.Rational(1, 10**6)
DIGITS = 30

# Units are removed earlier: math_verify would take the letters of "3ab" for a unit.
_NORMALIZATION = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="last")
_EXTRACTION = [LatexExtractionConfig(boxed_match_priority=0, normalization_config=_NORMALIZATION)]
_DEGREES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
_TWO_NUMBERS = re.compile(
    r"(?:^|[-+*/=(,{}])\s*[0-9.]+ +[0-9.]"
)  # read as a product, a sum or not at all: no one knows


def compare(reference: str, answer: str) -> Verdict:
    """The verdict on two expressions. May raise any exception of the libraries."""
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
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


@lru_cache(maxsize=1024)
def read_expression(text: str) -> Any:
    """A sympy object; None if the text as a whole is not mathematics."""
    if number := read_number(text):
        return sympy.Rational(number.value.numerator, number.value.denominator)
    if _TWO_NUMBERS.search(text):
        return None
    parsed = parse(rf"\boxed{{{_in_radians(text)}}}", _EXTRACTION, fallback_mode="no_fallback", parsing_timeout=None)
    expression = parsed[0] if parsed else None
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


def verdict_on(line: str) -> Verdict:
    """The verdict on one request {"reference", "answer", "seconds"}. If it computes for longer, the process ends itself
    by an alarm, even if its parent is gone."""
    request = json.loads(line)
    signal.setitimer(signal.ITIMER_PROF, request["seconds"] + 2)
    try:
        verdict = compare(request["reference"], request["answer"])
    except Exception:  # noqa: BLE001 - parsers and a simplifier on a model's text may raise anything
        verdict = Verdict.FAILED
    signal.setitimer(signal.ITIMER_PROF, 0)
    return verdict


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
