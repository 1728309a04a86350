"""When two texts are the same answer: case, articles, punctuation and the notation of a number do not count.

Signs, units and further words do, and so does what makes a code of a number: leading zeros (007), an unreduced fraction
(6/8), a capital E (2E5).
"""

import re
import unicodedata
from collections.abc import Iterable
from fractions import Fraction
from math import gcd


def normalise(text: str) -> str:
    """The text as it is compared; "" only for blank text.

    >>> normalise("The  Twenty-One red cars!"), normalise("1,000.0"), normalise("Vitamin A")
    ('21 red cars', '1000', 'vitamin a')
    """
    words = list(_numerals(_simplified(_without_articles(text)).split()))
    return " ".join(words) or " ".join(text.casefold().split())


def same_text(first: str, second: str) -> bool | None:
    """Whether two texts are the same answer; None if they differ in the zeros at the end of a decimal alone ("3.10" and
    "3.1" may be versions or lengths)."""
    currencies = [set(_CURRENCY.findall(text)) for text in (first, second)]
    if all(currencies) and currencies[0] != currencies[1]:
        return False
    if normalise(first) != normalise(second):
        return _all_words(first) == _all_words(second)
    decimals = _decimals(first), _decimals(second)
    return None if all(decimals) and decimals[0] != decimals[1] else True


def _all_words(text: str) -> str:
    """As `normalise`, but with articles, for texts in which "A" is a name: "hepatitis A" and "hepatitis a"."""
    return " ".join(_numerals(_simplified(text).split())) or text


def _decimals(text: str) -> list[str]:
    return [match[0] for match in _SHORT_DECIMAL.finditer(text)]


_CURRENCY = re.compile(r"[€£¥₹]|\$(?=\s*[0-9])(?![^$]*\$)")
_SHORT_DECIMAL = re.compile(r"(?<![0-9.,$€£¥₹])[0-9]{1,2}\.[0-9]*[1-9]0*(?![0-9])")
_LETTER_OR_ARTICLE = re.compile(r"(?<![^\s\"'“(*_$])(?:a|an|the)(?=\s+\S)|^\W*(?:A|An|AN|The|THE)(?=\s+\S)")


def _without_articles(text: str) -> str:
    """A capital A within a text may be a name ("Team A total"), and a last word is no article."""
    return _LETTER_OR_ARTICLE.sub(" ", text)


_SAME_WORD = {"true": "yes", "false": "no"}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_NUMBER_WORDS = {
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19},
    **_TENS,
}
# NFKC alone would read 10² as 102 and 1½ as 11/2.
_BEFORE_NFKC = str.maketrans(
    {char: f"^{value}" for value, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {char: f" {char}" for char in "¼½¾⅓⅔⅛⅜⅝⅞"}
    | dict.fromkeys("−–—‐‑", "-")
)
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1/\2 "),
    (re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt))\b|\\[,;:! ()\[\]]"), " "),
    (re.compile(r"['’‘]|\.(?![0-9])"), ""),
    (re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])"), " "),
    (re.compile(r"(?<!\w)#"), " "),  # C# and F# are names
    (re.compile(r"[\s,;:!?\"“”()\[\]{}`|~_*$€£¥₹\\]+"), " "),
    (re.compile(r"%"), " percent "),
    (re.compile(r"&"), " and "),
)
_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]{1,2})?|[-+]?(?P<top>[0-9]+)/(?P<bottom>[1-9][0-9]*)"
)
_CAPITAL_EXPONENT = re.compile(r"(?<=[0-9])E(?=[-+]?[0-9])")
_LONGEST_NUMBER = 64  # characters; longer digits stay text, which Python's own limit on integers would refuse


def _simplified(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE_NFKC)).replace("\u2044", "/")
    text = _CAPITAL_EXPONENT.sub("ᴇ", text).casefold()
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _numerals(words: list[str]) -> Iterable[str]:
    """The words with every number written one way: "2.0" and "two" as "2", "twenty one" as "21", "0.5" as "1/2"."""
    tens = 0
    for word in words:
        value = _NUMBER_WORDS.get(word)
        if tens and value is not None and 1 <= value <= 9:
            yield str(tens + value)
            tens = 0
            continue
        if tens:
            yield str(tens)
        tens = value if value is not None and word in _TENS else 0
        if not tens and word != "-":
            yield str(value) if value is not None else _canonical(word)
    if tens:
        yield str(tens)


def _canonical(word: str) -> str:
    match = _NUMBER.fullmatch(word) if len(word) <= _LONGEST_NUMBER else None
    if match and (not match["top"] or gcd(int(match["top"]), int(match["bottom"])) == 1):
        return str(Fraction(word))
    return _SAME_WORD.get(word, word)
