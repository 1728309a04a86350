"""Whether two mathematical answers, read as forms, are the same: part by part, down to values.

Values are compared here where they are numbers or words, and in a worker process otherwise. What `math_answers` states
as right and wrong is decided here.
"""

import re
from fractions import Fraction
from typing import final

from uniopd_mm.tasks.grading.answers import normalise
from uniopd_mm.tasks.grading.math_forms import Form, Several, Value
from uniopd_mm.tasks.grading.math_numbers import Number, canonical_unit, read_number, same_number
from uniopd_mm.tasks.grading.math_pool import TimeUp, Verdict, WorkerLost, shared_pool
from uniopd_mm.tasks.grading.math_spelling import is_words, squeezed, without_text


class Undecided(Exception):
    """Why a comparison has no result."""


@final
class Comparison:
    """The comparisons of one response, which together may take `seconds` in worker processes."""

    def __init__(self, *, seconds: float) -> None:
        self._left = seconds

    def any_same(self, reference: str, expected: tuple[Form, ...], answer: str, given: tuple[Form, ...]) -> bool:
        """Whether a text is the reference in any of the forms that either can be read as. Raises Undecided."""
        if _is_letter(reference) and (label := _choice_letter(answer)):
            return label == reference
        return any(self._same(one, other) for one in expected for other in given)

    def _same(self, expected: Form, given: Form) -> bool:
        match expected, given:
            case Value(), Value():
                return self._same_value(expected, given)
            case Several(), Several():
                return self._same_several(expected, given)
            case Several(), Value():
                return self._same_mixed(expected, given, expected, given)
            case Value(), Several():
                return self._same_mixed(given, expected, expected, given)
        raise AssertionError("a form is a value or several")

    def _same_mixed(self, several: Several, value: Value, expected: Form, given: Form) -> bool:
        """{5} and 5; the interval (1, 2) and 1 < x < 2. A list is no single value."""
        if len(several.items) == 1 and not several.ordered:
            item = several.items[0]
            return self._same(item, given) if several is expected else self._same(expected, item)
        if not several.brackets or read_number(value.text) or is_words(value.whole):
            return False
        return self._algebra(expected.whole, given.whole)

    def _same_several(self, expected: Several, given: Several) -> bool:
        if len(expected.items) != len(given.items) or _names_differ(expected, given):
            return False
        if expected.ordered and given.ordered and len(expected.items) == 2 and expected.brackets != given.brackets:
            return False
        own_names = not given.brackets and any(item.name for item in given.items)
        if (expected.ordered and given.brackets != "{}") or (_all_named(expected) and not own_names):
            pairs = zip(expected.items, given.items, strict=True)
            return all(self._same(one, other) for one, other in pairs)
        return not expected.ordered and self._same_in_any_order(expected, given)

    def _same_in_any_order(self, expected: Several, given: Several) -> bool:
        left = list(given.items)
        for item in expected.items:
            found = next((index for index, other in enumerate(left) if self._same(item, other)), None)
            if found is None:
                return False
            del left[found]
        return True

    def _same_value(self, expected: Value, given: Value) -> bool:
        if _names_differ(expected, given) or "=" in expected.text + given.text:
            return squeezed(expected.whole) == squeezed(given.whole) or self._algebra(expected.whole, given.whole)
        if _units_differ(expected.unit, given.unit):
            return False
        numbers = read_number(expected.text), read_number(given.text)
        if numbers[0] and numbers[1]:
            return _same_share(numbers[0], expected.percent, numbers[1], given.percent)
        if squeezed(expected.text) == squeezed(given.text):
            return True
        if is_words(expected.text) or is_words(given.text):
            return normalise(expected.text) == normalise(given.text)
        return self._algebra(expected.text, given.text)

    def _algebra(self, expected: str, given: str) -> bool:
        """Raises Undecided."""
        try:
            if self._left <= 0:
                raise TimeUp
            verdict, seconds = shared_pool().compare(expected, given, self._left)
        except TimeUp as error:
            raise Undecided("time: the comparison takes too long") from error
        except WorkerLost as error:
            raise Undecided(f"the comparing process ended ({error})") from error
        self._left -= seconds
        if verdict is Verdict.BAD_REFERENCE:
            raise Undecided("the reference cannot be read")
        if verdict is Verdict.FAILED:
            raise Undecided("the comparison failed")
        return verdict is Verdict.EQUAL


def _same_share(expected: Number, expected_percent: bool, given: Number, given_percent: bool) -> bool:
    """50% is 50% and 0.5, and 50 too: the sign goes without saying, but not below 1, where 0.5 is 50%."""
    if expected_percent == given_percent:
        return same_number(expected, given)
    percent, plain = (expected, given) if expected_percent else (given, expected)
    decimals = None if percent.decimals is None else percent.decimals + 2
    if same_number(Number(value=percent.value / 100, decimals=decimals), plain):
        return True
    return abs(percent.value) >= Fraction(1) and same_number(percent, plain)


def _units_differ(expected: str, given: str) -> bool:
    """Only where both are known; other words ("apples") do not count. Written alike, they are the same."""
    units = canonical_unit(expected), canonical_unit(given)
    bases = expected.startswith("base ") and given.startswith("base ")
    return (all(units) and units[0] != units[1]) or (bases and expected != given)


def _names_differ(expected: Form, given: Form) -> bool:
    return bool(expected.name and given.name) and expected.name != given.name


def _all_named(several: Several) -> bool:
    """Whether its values have different names, which gives them an order: x = 1, y = 2."""
    names = {item.name for item in several.items}
    return "" not in names and len(names) == len(several.items) > 1


_LETTER = re.compile("[A-J]")
_CHOICE = re.compile(r"\(?([A-Ja-j])(?:\)[.:]?| ?[.:])\s+(?P<rest>.*)", re.DOTALL)
_FURTHER_CHOICE = re.compile(r"(?<![A-Za-z])\(?[A-J](?:\)|[.:]\s|$)")


def _is_letter(text: str) -> bool:
    return _LETTER.fullmatch(text.strip("() .")) is not None


def _choice_letter(text: str) -> str | None:
    """The letter of "(B) 12" and "B. red", None where there is none or where others follow."""
    match = _CHOICE.fullmatch(without_text(text))
    return match[1].upper() if match and not _FURTHER_CHOICE.search(match["rest"]) else None
