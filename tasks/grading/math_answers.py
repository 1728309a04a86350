r"""Whether the final answer of a response is the reference, for mathematics: equal in value, not in writing.

    right                                       wrong
    0.5, \frac12, 2/4 for 1/2                   0.33 for 1/3 (0.333333 is right: six correct decimals)
    50\%, 50, 0.5 for 50%                       5% for 50%
    5, 5\text{ cm} for 5 cm                     5 m for 5 cm: units need not be given, and are not converted
    x=2 \text{ or } x=1 for 1, 2                1 for 1, 2; 1 or 2 for 1: all values, and no others
    (1, 2), "1, 2" for (1, 2)                   (2, 1) for (1, 2); [1, 2) for (1, 2)
    \sqrt{8}, \sqrt{2}+\sqrt{2} for 2\sqrt{2}   1.414 for \sqrt{2}
    x = 2 + 3 = 5, a + b = 5 for 5              x = 5 for y = 5: what stands behind the last = counts
    (B), B, "B. 12" for B                       B or C for B

The final answer is that of `answers.final_answer`; of several \boxed{}, the last one counts. Numbers are compared here,
as exact fractions; everything else is compared by math_verify in worker processes (`math_pool`). The outcome is unknown
if the reference cannot be read or a comparison does not end in time. Left out: conversion of units, equality up to the
names of variables, problems with several right answers, and times of day: "10:30" is the ratio 1/3.
"""

import re

from uniopd_mm.tasks.grading.answers import final_answer, last_boxed, right, unknown, wrong
from uniopd_mm.tasks.grading.math_compare import Comparison, Undecided
from uniopd_mm.tasks.grading.math_forms import TooDeep, read_forms
from uniopd_mm.tasks.grading.math_spelling import spelled, squeezed
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

LONGEST_ANSWER = 2000  # characters
TIME_LIMIT = 5.0  # seconds for all comparisons of one response
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{(?![^{}]*\})")  # cut off: \boxed{13 of \boxed{130}


def grade_math(response: str, reference: str | None) -> Outcome:
    """Right if the final answer equals the reference. An empty response, an answer of more than 2,000 characters and an
    answer that is not mathematics are wrong. Never raises. Takes little more than `TIME_LIMIT` at most."""
    if not reference or not reference.strip():
        return unknown("there is no reference answer")
    expected = spelled(last_boxed(reference) or reference)
    if not expected or len(expected) > LONGEST_ANSWER:
        return unknown(f"the reference answer {quote(reference)} cannot be read")
    final = final_answer(response)
    if final is None:
        return wrong("empty response")
    shown = f"{final.form}: {quote(final.readings[-1])}"
    closed = [reading for reading in final.readings if not _OPEN_BOX.search(reading)]
    if not closed:
        return wrong(f"{shown}: a box that is not closed")
    readings = [spelled(reading) for reading in closed if len(reading) <= LONGEST_ANSWER]
    if not readings:
        return wrong(f"{shown}: an answer of more than {LONGEST_ANSWER:,} characters")
    return _judged(expected, readings, shown, quote(reference))


def _judged(expected: str, readings: list[str], shown: str, reference: str) -> Outcome:
    if any(squeezed(reading) == squeezed(expected) for reading in readings):
        return right(shown)
    try:
        expected_forms = read_forms(expected)
    except TooDeep:
        return unknown(f"the reference answer {reference} cannot be read: too many brackets or values")
    comparison = Comparison(seconds=TIME_LIMIT)
    doubt: str | None = None
    for reading in readings:
        try:
            forms = read_forms(reading)
            if comparison.any_same(expected, expected_forms, reading, forms):
                return right(f"{shown} is {reference}")
        except TooDeep:
            return wrong(f"{shown}: more brackets or values than an answer has")
        except Undecided as undecided:
            doubt = str(undecided)
    if doubt:
        return unknown(f"{shown} against {reference}: {doubt}")
    return wrong(f"{shown} is not {reference}")
