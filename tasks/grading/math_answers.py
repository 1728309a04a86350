r"""Whether the final answer of a response is the reference, for mathematics: equal in value, not in writing.

    right                                       wrong                                 unknown
    0.5, \frac12, 2/4 for 1/2                   0.33 for 1/3 (0.333333 is right)      0.333… for 0.333
    50\%, 50, 0.5 for 50%                       5% for 50%; \sqrt2\% for \sqrt2
    5, 5\text{ cm}, 0.05 m for 5 cm             5 m for 5 cm; €5 for \$5              5 zorks for 5 cm
    5 million for 5000000; 5 dozen for 60       5 hundred for 5; 300 BC for 300 AD    5 left for 5
    x=2 \text{ or } x=1 for 1, 2                1 for 1, 2; 1 or 2 for 1              1, 2, … for 1, 2
    (1, 2), "1, 2" for (1, 2)                   (2, 1) for (1, 2); [1, 2) for (1, 2)
    1<x<2, \{x \mid 1<x<2\} for (1, 2)          [-3, 2] for "x=-3 or x=2"             y>2 for x>2
    \sqrt{8}, \sqrt{2}+\sqrt{2} for 2\sqrt{2}   1.414 for \sqrt{2}
    \ln x^2 for 2\ln x                          \sqrt{x^2} for x; M/m for 1           2\ln x for \ln x^2
    x = 2 + 3 = 5, a + b = 5, 5 = x for 5       x = 5 for y = 5                       \sum 1/n^2 for \pi^2/6
    2:30 pm for 14:30                           1:15 for 2:30; 10-15 for 5-10         1 for 3-2; 7 for 007
    (B), B, "B. 12" for B                       B or C for B; TH for HT               a sentence that names the value

The final answer is that of `answers.final_answer`. Numbers are compared here, as exact fractions; everything else is
compared in worker processes (`math_pool`): plain mathematics by its values to 50 digits or more, at points drawn at
random (`math_values`), sets of real numbers as intervals (`math_intervals`), the rest by math_verify. Terms are equal
if they have one value wherever the reference has a real one. A unit that one side leaves out does not count; "1.234" is
never a thousand. The outcome is unknown, with its reason, if no exact argument decides or a comparison does not end in
time. Left out: equality up to the names of variables, and problems with several right answers.
"""

import re

from uniopd_mm.tasks.grading.answers import (
    FinalAnswer,
    Form,
    doubtful,
    final_answer,
    last_boxed,
    last_stated,
    right,
    unanswered,
    unknown,
    wrong,
)
from uniopd_mm.tasks.grading.math_compare import Comparison
from uniopd_mm.tasks.grading.math_forms import TooDeep, read_forms
from uniopd_mm.tasks.grading.math_prose import compare_words, is_prose
from uniopd_mm.tasks.grading.math_spelling import is_words, spelled, squeezed
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

LONGEST_ANSWER = 2000  # characters
TIME_LIMIT = 2.0  # seconds for all comparisons of one response
PROSE = 8  # words in a reference, from which on it is a text with an answer in it
_OPEN_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{(?![^{}]*\})")  # cut off: \boxed{13 of \boxed{130}
_BULLET = re.compile(r"[-•*]\s+(?=\S)")
_LAST_LINE = re.compile(r"####\s*(.+?)\s*$")


def grade_math(response: str, reference: str | None) -> Outcome:
    """Right if the final answer equals the reference. An empty response, an answer of more than 2,000 characters and an
    answer that is not mathematics are wrong. Never raises. Takes little more than `TIME_LIMIT` at most."""
    if not reference or not reference.strip():
        return unknown("there is no reference answer")
    expected = spelled(reference_answer(reference))
    if not expected or len(expected) > LONGEST_ANSWER:
        return unknown(f"the reference answer {quote(reference)} cannot be read")
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    if final.doubt:
        return doubtful(final)
    answer = final.readings[-1]
    shown = f"{final.form}: {quote(answer)}"
    closed = [reading for reading in final.readings if not _OPEN_BOX.search(reading)]
    if not closed and _open_braces(expected):
        return unknown(f"the reference answer {quote(reference)} cannot be read", answer)
    if not closed:
        return wrong(f"{shown}: a box that is not closed", answer)
    short = [reading for reading in closed if len(reading) <= LONGEST_ANSWER]
    if not short:
        return wrong(f"{shown}: an answer of more than {LONGEST_ANSWER:,} characters", answer)
    equal, reason = _compare_readings(expected, short, final)
    if equal:
        return right(f"{shown} is {quote(reference)}", answer)
    if equal is None:
        return unknown(f"{shown} against {quote(reference)}: {reason}", answer)
    return wrong(f"{shown} {reason or 'is not ' + quote(reference)}", answer)


def _open_braces(text: str) -> bool:
    return text.count("{") != text.count("}")


def reference_answer(reference: str) -> str:
    """The answer that a reference holds: in a box, behind ####, or stated at the end of a text."""
    if boxed := last_boxed(reference):
        return boxed
    if marked := _LAST_LINE.search(reference.strip()[-LONGEST_ANSWER:]):
        return marked[1]
    stated = last_stated(reference) if len(reference.split()) >= PROSE else ()
    return stated[-1] if stated else reference


def same_answer(reference: str, answer: str) -> bool | None:
    """Whether two mathematical answers, as they are written, are equal; None where that cannot be told."""
    expected = spelled(reference)
    if not expected or max(len(expected), len(answer)) > LONGEST_ANSWER:
        return None
    return _compare(expected, spelled(answer), Comparison(seconds=TIME_LIMIT))[0]


def _compare_readings(expected: str, readings: list[str], final: FinalAnswer) -> tuple[bool | None, str]:
    comparison = Comparison(seconds=TIME_LIMIT)
    doubt: str | None = None
    failure = ""
    for reading in readings:
        equal, reason = _compare_one(expected, reading, final.form, comparison)
        if equal:
            return True, ""
        if equal is None:
            doubt = reason
        failure = reason if equal is False else failure
    return (False, failure) if doubt is None else (None, doubt)


def _compare_one(expected: str, reading: str, form: Form, comparison: Comparison) -> tuple[bool | None, str]:
    marked = form in (Form.BOXED, Form.TAGGED)
    given = spelled(reading)
    if not marked and (bullet := _BULLET.match(reading)):
        both = [_compare(expected, text, comparison) for text in (given, spelled(reading[bullet.end() :]))]
        return (None, "its dash may be a bullet or a minus") if both[0][0] is not both[1][0] else both[0]
    if form is Form.PLAIN and is_words(given) and not is_words(expected) and squeezed(given) != squeezed(expected):
        return _plain(expected, given, comparison)
    return _compare(expected, given, comparison)


def _plain(expected: str, given: str, comparison: Comparison) -> tuple[bool | None, str]:
    """An unmarked text with words in it: a sentence that only names the value gives no answer."""
    equal, reason = _compare(expected, given, comparison)
    return (False, "") if equal is None and len(given.split()) > PROSE else (equal, reason)


def _compare(expected: str, given: str, comparison: Comparison) -> tuple[bool | None, str]:
    if squeezed(given) == squeezed(expected):
        return True, ""
    try:
        expected_forms = read_forms(expected)
    except TooDeep:
        return None, "the reference cannot be read: too many brackets or values"
    try:
        given_forms = read_forms(given)
    except TooDeep:
        return False, "has more brackets or values than an answer has"
    equal = comparison.same(expected, expected_forms, given, given_forms)
    if equal is False and is_prose(expected) and compare_words(expected, given) is not False:
        return None, "the reference is a text"
    return equal, comparison.doubt if equal is None else ""
