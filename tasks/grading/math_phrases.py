r"""English that computes: "5 plus seven" is 5 + 7, "5 percent of 20" is 1, "12 below zero" is -12.

Only phrases between plain values are read, so that a sentence stays a sentence.
"""

import re

from uniopd_mm.tasks.grading.math_number_words import number_in_words
from uniopd_mm.tasks.grading.math_spelling import without_text

LONGEST_PHRASE = 120
_OPERATOR = re.compile(
    r"\b(?:plus|minus|times|over|squared|cubed|factorial|of|than|divided|multiplied|power|root|zero|to|negative|mod"
    r"|modulo|half|twice|double|choose|doubled|halved)\b",
    re.IGNORECASE,
)
_V = (
    r"(?P<{0}>[-+]?\s*(?:[0-9][0-9.,]*(?:\s*/\s*[0-9]+)?|\\frac\s*\{{[0-9]+\}}\{{[0-9]+\}}|[a-zA-Z]|\\pi"
    r"|\\sqrt\{{[0-9]+\}}|[a-z]+(?:-[a-z]+)?))"
)
_A, _B = _V.format("a"), _V.format("b")
_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), shape)
    for pattern, shape in (
        (rf"{_A} squared", "({a})^{{2}}"),
        (rf"{_A} cubed", "({a})^{{3}}"),
        (rf"{_A} factorial", "({a})!"),
        (rf"{_A} doubled", "2({a})"),
        (rf"{_A} halved", "({a})/2"),
        (rf"{_A} plus {_B}", "{a}+({b})"),
        (rf"{_A} minus {_B}", "{a}-({b})"),
        (rf"{_A} (?:times|multiplied by) {_B}", "({a})*({b})"),
        (rf"{_A} (?:divided by|over) {_B}", "({a})/({b})"),
        (rf"{_A} (?:more|greater|larger) than {_B}", "{b}+({a})"),
        (rf"{_A} (?:less|fewer|smaller) than {_B}", "{b}-({a})"),
        (rf"{_A} ?\\?% of {_B}", "({a})*({b})/100"),
        (rf"{_A} (?:to the power(?: of)?|raised to(?: the)?(?: power)?(?: of)?) {_B}", "({a})^{{{b}}}"),
        (rf"{_A} (?:mod|modulo) {_B}", r"{a} \bmod {b}"),
        (rf"{_A} choose {_B}", r"\binom{{{a}}}{{{b}}}"),
        (rf"(?:the )?(?:square )root of {_A}", r"\sqrt{{{a}}}"),
        (rf"(?:the )?cube root of {_A}", r"\sqrt[3]{{{a}}}"),
        (rf"half of {_A}", "({a})/2"),
        (rf"(?:twice|double) {_A}", "2({a})"),
        (rf"(?:negative|minus) {_A}", "-({a})"),
        (rf"{_A} below zero", "-({a})"),
        (rf"{_A} above zero", "{a}"),
        (rf"{_A} and (?:a|one) half", "{a}+1/2"),
        (rf"{_A} to {_B}", "{a}:{b}"),
    )
)


def computed(text: str) -> str:
    """The text with such a phrase as mathematics; any other text as it is."""
    if len(text) > LONGEST_PHRASE or not _OPERATOR.search(text):
        return text
    plain = " ".join(without_text(text).split())
    for pattern, shape in _PHRASES:
        if match := pattern.fullmatch(plain):
            values = {name: _value(words) for name, words in match.groupdict().items()}
            if None not in values.values():
                return shape.format(**values)
    return text


def _value(words: str) -> str | None:
    words = words.strip()
    if not words.isalpha() or len(words) == 1:
        return (
            None
            if re.search("[a-zA-Z]{2,}", re.sub(r"\\[a-z]+", "", words)) and number_in_words(words) is None
            else _number(words)
        )
    return _number(words)


def _number(words: str) -> str | None:
    if not re.fullmatch("[a-zA-Z]{2,}(?:-[a-zA-Z]+)?", words):
        return words
    number = number_in_words(words)
    return None if number is None else str(number)
