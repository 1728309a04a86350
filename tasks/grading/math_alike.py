"""What two forms of answers have in common besides their values: numbers, names, brackets, letters of choices."""

import re
from collections.abc import Iterable
from fractions import Fraction

from uniopd_mm.tasks.grading.math_forms import Form, Several, Value
from uniopd_mm.tasks.grading.math_number_words import number_in_words
from uniopd_mm.tasks.grading.math_numbers import Number, read_number, same_number
from uniopd_mm.tasks.grading.math_spelling import without_text


def all_of(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    return False if False in found else None if None in found else True


def any_of(results: Iterable[bool | None]) -> bool | None:
    doubt = False
    for result in results:
        if result:
            return True
        doubt = doubt or result is None
    return None if doubt else False


def number_in(text: str) -> Number | None:
    if number := read_number(with_digits(text)):
        return number
    value = number_in_words(without_text(text)) if text.isascii() and len(text) < 100 else None
    return None if value is None else Number(value=value)


def with_digits(text: str) -> str:
    """0.333… with its digits repeated for ever, where dots say so."""
    if match := _REPEATED.fullmatch(text.strip()):
        return rf"{match['head']}\overline{{{match['again']}}}"
    return text


_REPEATED = re.compile(r"(?P<head>-?[0-9]*\.[0-9]*?)(?P<again>[0-9]{1,6}?)(?P=again){2,}\s*\\ldots")


def as_product(value: Value) -> str:
    """The value with the letters behind it as factors."""
    return without_text(f"{value.text} {value.tail.text}") if value.tail.loose else value.text


_COEFFICIENT = re.compile(r"(?P<sign>[-+]?)\s*(?P<size>[0-9]*\.?[0-9]*)\s*(?:\\?[a-zA-Z]+(?:_\{?[a-zA-Z0-9]+\}?)?)?")


def divided(value: str, left: str) -> str:
    """The value without the factor before the letter on the other side: -x = 5 says -5, and 2x = 5 says 5/2."""
    match = _COEFFICIENT.fullmatch(left)
    if match and match["size"].strip(".") and left.strip("+-0123456789. "):
        return f"({value})/({match['sign']}{match['size']})"
    return f"-({value})" if left.startswith("-") and not re.search("[-+]", left[1:]) else value


def multiplied(number: Number, factor: Fraction) -> Number:
    return number if factor == 1 else Number(value=number.value * factor)


def with_factor(text: str, factor: Fraction) -> str:
    return text if factor == 1 else f"({text})*({factor})"


def same_share(expected: Number, expected_percent: bool, given: Number, given_percent: bool) -> bool:
    """50% is 50% and 0.5, and 50 too: the sign goes without saying, but not below 1, where 0.5 is 50%."""
    if expected_percent == given_percent:
        return same_number(expected, given)
    percent, plain = (expected, given) if expected_percent else (given, expected)
    decimals = None if percent.decimals is None else percent.decimals + 2
    if same_number(Number(value=percent.value / 100, decimals=decimals), plain):
        return True
    return abs(percent.value) >= Fraction(1) and same_number(percent, plain)


_FUNCTION_NAME = re.compile(r"[a-zA-Z]\([a-z]\)")


def names_differ(expected: Form, given: Form) -> bool:
    """Whether both are named and not alike; y and f(x) are both what depends on x."""
    if not (expected.name and given.name) or expected.name == given.name:
        return False
    names = {_FUNCTION_NAME.sub(lambda match: match[0][0], name) for name in (expected.name, given.name)}
    depends = [name == "y" or _FUNCTION_NAME.fullmatch(name) for name in (expected.name, given.name)]
    return len(names) > 1 and not (all(depends) and "y" in (expected.name, given.name))


def both_symbols(first: str, second: str) -> bool:
    """Whether neither name is a word: "Area" may be A."""
    return all(len(name) <= 2 or name.startswith("\\") or "_" in name or "(" in name for name in (first, second))


def all_named(several: Several) -> bool:
    """Whether its values have different names, which gives them an order: x = 1, y = 2."""
    names = {item.name for item in several.items}
    return "" not in names and len(names) == len(several.items) > 1


_MEMBER = re.compile(r"\\in(?![a-zA-Z])")


def brackets_differ(first: Several, second: Several) -> bool:
    """Whether the first, of two values in brackets, is an interval or a pair that the second is not."""
    if not first.ordered or len(first.items) != 2:
        return False
    if second.ordered:
        return first.brackets != second.brackets
    if second.brackets == "{}" or second.either or first.brackets != "()" or _MEMBER.search(first.whole):
        return True
    return any("infty" in item.whole for item in first.items)


_LETTER = re.compile("[A-J]")
_CHOICE = re.compile(r"\(?([A-Ja-j])(?:\)[.:]?| ?[.:])\s+(?P<rest>.*)", re.DOTALL)
_FURTHER_CHOICE = re.compile(r"(?<![A-Za-z])\(?[A-J](?:\)|[.:]\s|$)")


def is_letter(text: str) -> bool:
    return _LETTER.fullmatch(text.strip("() .")) is not None


def choice_letter(text: str) -> str | None:
    """The letter of "(B) 12" and "B. red", None where there is none or where others follow."""
    match = _CHOICE.fullmatch(without_text(text))
    return match[1].upper() if match and not _FURTHER_CHOICE.search(match["rest"]) else None
