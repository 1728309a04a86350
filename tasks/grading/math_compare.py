"""Whether two mathematical answers, read as forms, are the same: part by part, down to values.

Every comparison has one of three results: the same, different, or not to be told (None), with a doubt that says why.
Values are compared here where they are numbers or words, and in a worker process otherwise.
"""

import re
from fractions import Fraction
from typing import final

from uniopd_mm.tasks.grading.math_alike import (
    all_named,
    all_of,
    any_of,
    as_product,
    both_symbols,
    brackets_differ,
    choice_letter,
    divided,
    is_letter,
    multiplied,
    names_differ,
    number_in,
    same_share,
    with_digits,
    with_factor,
)
from uniopd_mm.tasks.grading.math_codes import Codes, compare_codes
from uniopd_mm.tasks.grading.math_forms import Form, Several, Value, equation_sides
from uniopd_mm.tasks.grading.math_numbers import Number, read_number, same_number
from uniopd_mm.tasks.grading.math_piecewise import read_cases, read_matrix
from uniopd_mm.tasks.grading.math_pool import TimeUp, Verdict, WorkerLost, shared_pool
from uniopd_mm.tasks.grading.math_prose import compare_words
from uniopd_mm.tasks.grading.math_sets import has_marks, read_set
from uniopd_mm.tasks.grading.math_spelling import is_words, squeezed
from uniopd_mm.tasks.grading.math_tails import split_tail, tails_agree


@final
class Comparison:
    """The comparisons of one response, which together may take `seconds` in worker processes. `doubt` says why the last
    result that was None could not be told."""

    def __init__(self, *, seconds: float) -> None:
        self._left = seconds
        self.doubt = ""

    def same(self, reference: str, expected: tuple[Form, ...], answer: str, given: tuple[Form, ...]) -> bool | None:
        """Whether a text is the reference in any of the forms that either can be read as."""
        if is_letter(reference) and (label := choice_letter(answer)):
            return label == reference.strip("() .")
        code = compare_codes(reference, answer)
        if code in (Codes.SAME, Codes.DIFFERENT):
            return code is Codes.SAME
        if code is Codes.UNCLEAR:
            return self._unclear("the order of the points may count")
        if (has_marks(reference) or has_marks(answer)) and read_set(reference) and read_set(answer):
            return self._algebra(reference, answer)
        result = any_of(self._same(one, other) for one in expected for other in given)
        if result and code is Codes.NOT_EQUAL_AS_NUMBERS:
            return self._unclear("one of them may be a time, a date, a score or a code")
        return result

    def _unclear(self, doubt: str) -> bool | None:
        self.doubt = doubt
        return None

    def _same(self, expected: Form, given: Form) -> bool | None:
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

    def _same_mixed(self, several: Several, value: Value, expected: Form, given: Form) -> bool | None:
        """{5} and 5; the interval (1, 2) and 1 < x < 2; 3:2 and 3/2. A list is no single value."""
        if several.brackets == ":" and len(several.items) == 2:
            above, below = (item.whole for item in several.items)
            if value.tail.unit:
                return False
            quotient = rf"\frac{{{above}}}{{{below}}}"
            return self._algebra(*((quotient, value.text) if several is expected else (value.text, quotient)))
        if len(several.items) == 1 and several.brackets in ("", "{}"):
            item = several.items[0]
            return self._same(item, given) if several is expected else self._same(expected, item)
        if not several.brackets:
            return self._maybe_decimal_comma(several, value)
        if several.brackets == ":" or read_number(value.text) or is_words(value.whole):
            return False
        return self._algebra(expected.whole, given.whole)

    def _maybe_decimal_comma(self, several: Several, value: Value) -> bool | None:
        """3,14 may be 3.14, as half of Europe writes it."""
        if _DECIMAL_COMMA.fullmatch(several.whole) and (number := read_number(value.text)):
            other = read_number(several.whole.replace(",", "."))
            if other and same_number(other, number):
                return self._unclear("the comma may be a decimal comma")
        if several.whole.count("\\ldots"):
            return self._unclear("a list that goes on")
        return False

    def _same_several(self, expected: Several, given: Several) -> bool | None:
        if (":" in (expected.brackets, given.brackets)) and expected.brackets != given.brackets:
            return False
        if len(expected.items) != len(given.items) or names_differ(expected, given):
            return False
        if expected.brackets == ":":
            return self._same_ratio(expected, given)
        if brackets_differ(expected, given) or brackets_differ(given, expected):
            return False
        own_names = not given.brackets and any(item.name for item in given.items)
        if (expected.ordered and given.brackets != "{}") or (all_named(expected) and not own_names):
            return all_of(self._same(one, other) for one, other in zip(expected.items, given.items, strict=True))
        return False if expected.ordered else self._same_in_any_order(expected, given)

    def _same_ratio(self, expected: Several, given: Several) -> bool | None:
        """Term by term, after both are divided by their first."""
        results = []
        for one, other in zip(expected.items[1:], given.items[1:], strict=True):
            left = rf"({one.whole})*({given.items[0].whole})"
            results.append(self._algebra(left, rf"({other.whole})*({expected.items[0].whole})"))
        return all_of(results)

    def _same_in_any_order(self, expected: Several, given: Several) -> bool | None:
        left, doubt = list(given.items), False
        for item in expected.items:
            results = [self._same(item, other) for other in left]
            if True in results:
                del left[results.index(True)]
            elif None in results:
                doubt = True
            else:
                return False
        return None if doubt else True

    def _same_value(self, expected: Value, given: Value) -> bool | None:
        if squeezed(expected.whole) == squeezed(given.whole):
            return True
        if names_differ(expected, given):
            return False if both_symbols(expected.name, given.name) else self._named_apart(expected, given)
        sides = [equation_sides(value.text) for value in (expected, given)]
        if len(sides[0]) > 1 or len(sides[1]) > 1:
            return self._equations(expected, given, sides)
        if expected.tail.loose != given.tail.loose or (expected.tail.loose and given.tail.loose):
            return self._loose(expected, given)
        return self._measured(expected, given)

    def _equations(self, expected: Value, given: Value, sides: list[list[str]]) -> bool | None:
        """An equation beside another, or beside a value: a + b = 5 says 5, but x^2 + y^2 = 5 may be a curve."""
        if len(sides[0]) == 1 and not expected.name and not has_marks(given.text):
            text, tail = split_tail(sides[1][-1].strip())
            text = divided(text, sides[1][0].strip())
            same = self._measured(expected, Value(whole=text, text=text, name="", tail=tail))
            curve = "^" in sides[1][0] and read_number(sides[1][0]) is None
            return self._unclear("an equation may be more than its value") if same and curve else same
        if len(sides[1]) == 1 and given.tail.unclear:
            return self._unclear("the words or units beside the value differ")
        return self._algebra(expected.whole, given.whole)

    def _named_apart(self, expected: Value, given: Value) -> bool | None:
        same = self._measured(expected, given)
        return self._unclear(f"{given.name} may be another name of {expected.name}") if same else same

    def _loose(self, expected: Value, given: Value) -> bool | None:
        """5 m beside 5 cm is a length; beside 5x, a product."""
        other = given if expected.tail.loose else expected
        if expected.tail.loose and given.tail.loose:
            as_units = self._measured(expected, given)
            return as_units or self._algebra(as_product(expected), as_product(given))
        if other.tail.unit:
            return self._measured(expected, given)
        if read_number(other.text) and not other.tail.text:
            same = self._measured(expected, given)
            return self._unclear("its letters may be a unit or variables") if same else same
        return self._algebra(as_product(expected), as_product(given))

    def _measured(self, expected: Value, given: Value) -> bool | None:
        agree = tails_agree(expected.tail, given.tail)
        if agree is False:
            return False
        if expected.tail.unclear and given.tail.unclear and compare_words(expected.whole, given.whole) is False:
            return False
        same = self._scaled(expected, given)
        if agree is None and (same or expected.tail.unclear or given.tail.unclear):
            return self._unclear("the words or units beside the value differ")
        return same

    def _scaled(self, expected: Value, given: Value) -> bool | None:
        texts, tails = (expected.text, given.text), (expected.tail, given.tail)
        units = [tail.unit for tail in tails]
        numbers = [number_in(text) for text in texts]
        if units[0] and units[1] and (units[0].scale, units[0].offset) != (units[1].scale, units[1].offset):
            return self._converted(expected, given, numbers)
        if numbers[0] and numbers[1]:
            factored = [multiplied(number, tail.factor) for number, tail in zip(numbers, tails, strict=True) if number]
            return same_share(factored[0], tails[0].percent, factored[1], tails[1].percent)
        plain = [with_factor(text, tail.factor) for text, tail in zip(texts, tails, strict=True)]
        if tails[0].percent != tails[1].percent:
            plain = [f"({text})/100" if tail.percent else text for text, tail in zip(plain, tails, strict=True)]
        return self._values(*plain)

    def _converted(self, expected: Value, given: Value, numbers: list[Number | None]) -> bool | None:
        units = expected.tail.unit, given.tail.unit
        assert units[0] and units[1]
        if numbers[0] and numbers[1]:
            values = [
                number.value * value.tail.factor * unit.scale + unit.offset
                for number, value, unit in zip(numbers, (expected, given), units, strict=True)
                if number and unit
            ]
            if units[0].is_angle and values[0] != values[1]:
                return abs(values[0] - values[1]) <= Fraction(1, 10**6) and self._unclear("radians and degrees")
            return values[0] == values[1]
        if units[0].is_angle:
            degrees = [
                text.text if unit.scale == 1 else f"({text.text})*180/\\pi"
                for text, unit in zip((expected, given), units, strict=True)
                if unit
            ]
            return self._values(*degrees)
        texts = [
            f"({value.text})*({unit.scale * value.tail.factor})+({unit.offset})"
            for value, unit in zip((expected, given), units, strict=True)
            if unit
        ]
        return self._values(*texts)

    def _values(self, expected: str, given: str) -> bool | None:
        """Texts without names and units."""
        expected, given = with_digits(expected), with_digits(given)
        numbers = read_number(expected), read_number(given)
        if numbers[0] and numbers[1]:
            return same_number(numbers[0], numbers[1])
        if squeezed(expected) == squeezed(given):
            return True
        if _INFINITE.fullmatch(expected) or _INFINITE.fullmatch(given):
            return self._infinite(expected, given)
        if (cases := read_cases(expected)) and (others := read_cases(given)):
            return self._same_cases(cases, others)
        if (matrix := read_matrix(expected)) and (other := read_matrix(given)):
            return self._same_matrix(matrix, other)
        if r"\ldots" in expected + given:
            return self._unclear("what the dots stand for")
        if is_words(expected) or is_words(given):
            result = compare_words(expected, given)
            return self._unclear("words are compared as they stand") if result is None else result
        return self._algebra(expected, given)

    def _infinite(self, expected: str, given: str) -> bool | None:
        signs = [text.strip().removeprefix("+").strip() for text in (expected, given)]
        if all(_INFINITE.fullmatch(text) for text in (expected, given)):
            return signs[0] == signs[1]
        other = given if _INFINITE.fullmatch(expected) else expected
        return False if read_number(other) else compare_words(expected, given)

    def _same_cases(self, expected: dict[str, str], given: dict[str, str]) -> bool | None:
        """Under the same conditions; under others, nothing can be told."""
        if set(expected) != set(given):
            return self._unclear("the conditions of its cases are written otherwise")
        return all_of(self._values(value, given[condition]) for condition, value in expected.items())

    def _same_matrix(self, expected: list[list[str]], given: list[list[str]]) -> bool | None:
        if [len(row) for row in expected] != [len(row) for row in given]:
            return False
        rows = zip(expected, given, strict=True)
        return all_of(self._values(one, other) for row in rows for one, other in zip(*row, strict=True))

    def _algebra(self, expected: str, given: str) -> bool | None:
        """What a worker process says."""
        if self._left <= 0:
            return self._unclear("time: the comparison takes too long")
        try:
            verdict, seconds = shared_pool().compare(expected, given, self._left)
        except TimeUp:
            self._left = 0
            return self._unclear("time: the comparison takes too long")
        except WorkerLost as error:
            return self._unclear(f"the comparing process ended ({error})")
        self._left -= seconds
        if verdict in _DOUBTS:
            return self._unclear(_DOUBTS[verdict])
        return verdict is Verdict.EQUAL


_DOUBTS = {
    Verdict.BAD_REFERENCE: "the reference cannot be read",
    Verdict.FAILED: "the comparison failed",
    Verdict.UNPROVED: "they are equal where they were computed, or cannot be compared, and no proof was found",
}
_INFINITE = re.compile(r"\s*[-+]?\s*\\infty\s*")
_DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+")
