r"""Finds the final answer in a response, and compares it with a reference text.

The final answer is the first of these that the text after any `</think>` holds:

    boxed    the last \boxed{…} whose braces balance and that is not empty
    tagged   the last <answer>…</answer> that is not empty
    stated   what follows the last "answer is", "Answer:", "option is", "choice is" …
    plain    the whole text, or its last line

A box or tag that is not closed gives no answer. Two texts are the same answer if they are equal after normalisation:
case, articles, punctuation, number words up to 99 and the notation of a number do not count ("Twenty-one." is "21.0"),
but signs, units and further words do. An unmarked answer is not looked for inside a sentence, because that would also
accept "it is not red". English only. Left out: synonyms, plurals, ordinals, symbolic mathematics. Every function takes
time linear in the length of the text. The answer is looked for in the last LONGEST_TEXT characters, and graders compare
at most LONGEST_READING: of a longer answer they see both ends, with words between them that no reference has.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

LONGEST_TEXT = 100_000
LONGEST_READING = 20_000


class Form(StrEnum):
    """How a response gave its final answer."""

    BOXED = "boxed"
    TAGGED = "tagged"
    STATED = "stated"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalAnswer:
    """A response's final answer: the texts it may be read as, widest first ("red. It moves.", "red")."""

    form: Form
    readings: tuple[str, ...]


def right(reason: str, answer: str | None = None) -> Outcome:
    return Outcome(correct=True, reward=1.0, reason=reason, answer=answer)


def wrong(reason: str, answer: str | None = None) -> Outcome:
    return Outcome(correct=False, reward=0.0, reason=reason, answer=answer)


def unknown(reason: str, answer: str | None = None) -> Outcome:
    return Outcome(correct=None, reward=0.0, reason=reason, answer=answer)


def grade_open(response: str, reference: str | None) -> Outcome:
    """Right if the final answer is the reference. Unknown if the reference is empty. An empty response is wrong. Never
    raises."""
    expected = normalise(last_boxed(reference) or reference) if reference else ""
    if not expected:
        return unknown(f"the reference answer {quote(reference)} cannot be read")
    final = final_answer(response)
    if final is None:
        return wrong("empty response")
    if any(normalise(reading) == expected for reading in final.readings):
        return right(f"{final.form}: {quote(final.readings[-1])}")
    return wrong(f"{final.form}: {quote(final.readings[-1])} is not {quote(reference)}")


def final_answer(response: str) -> FinalAnswer | None:
    """The final answer of a response; None if it has no text after its thinking."""
    text = response[_end_of_thinking(response) :].strip()[-LONGEST_TEXT:]
    if not text:
        return None
    for form, marked in ((Form.BOXED, last_boxed(text)), (Form.TAGGED, last_tagged(text))):
        if marked:
            marked = _bounded(marked)
            return FinalAnswer(form=form, readings=_distinct([marked, *last_stated(marked)]))
    if stated := last_stated(text):
        return FinalAnswer(form=Form.STATED, readings=stated)
    text = _bounded(text)
    return FinalAnswer(form=Form.PLAIN, readings=_distinct([text, text.splitlines()[-1]]))


def _bounded(text: str) -> str:
    left_out = len(text) - LONGEST_READING
    if left_out <= 0:
        return text
    return f"{text[: LONGEST_READING // 2]} [{left_out} characters left out] {text[-LONGEST_READING // 2 :]}"


def literal_readings(final: FinalAnswer) -> tuple[str, ...]:
    """The readings unchanged, then `unwrapped`, with and without a full stop at their end. For graders that compare
    characters, to which a wrapper would count as an error."""
    stopless = (unwrapped(reading.rstrip(".")).rstrip(".") for reading in final.readings)
    return _distinct([*final.readings, *map(unwrapped, final.readings), *stopless])


_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"))
_STYLED = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt))\s*\{([^{}]*)\}")
_ESCAPED = re.compile(r"\\([%$&#_])|\{([,.])\}")


def unwrapped(text: str) -> str:
    r"""The text without emphasis, quotes, mathematics delimiters and LaTeX styles: "1,000" for "$\text{1{,}000}$"."""
    text = text.replace("**", "").replace("`", "").strip()
    for opening, closing in _DELIMITERS:
        if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
            text = text[len(opening) : -len(closing)].strip()
    text = _ESCAPED.sub(r"\1\2", text)
    return _STYLED.sub(r"\1", text).strip()


_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)


def last_boxed(text: str) -> str | None:
    r"""The stripped content of the last \boxed{…} that balances and is not empty: "B" in r"\boxed{A \boxed{B}}"."""
    open_braces: list[tuple[int, bool]] = []
    last: tuple[int, int] | None = None
    for match in _BRACES.finditer(text):
        if match[0].endswith("{") and match[0] != r"\{":
            open_braces.append((match.end(), match[0] != "{"))
        elif match[0] == "}" and open_braces:
            start, boxed = open_braces.pop()
            later = last is None or start > last[0]
            if boxed and later and not text[start : match.start()].isspace() and start < match.start():
                last = start, match.start()
    return text[slice(*last)].strip() if last else None


_TAG = re.compile(r"</?answer>", re.IGNORECASE)


def last_tagged(text: str) -> str | None:
    """The stripped content of the last <answer>…</answer> that is not empty."""
    start: int | None = None
    last: str | None = None
    for match in _TAG.finditer(text):
        if not match[0].startswith("</"):
            start = match.end()
        elif start is not None:
            last = text[start : match.start()].strip() or last
            start = None
    return last


_STATED = re.compile(
    r"""(?<!\bthis\s)(?<!\bthat\s)(?<!\bother\s)(?<!\beach\s)(?<!\bwhich\s)(?<!\bno\s)\b(?:answer|option|choice)\b
    [\s"'”)]*(?:\b(?:is|are)\b|\b(?:would|should|must|will)\s+be\b|[:=]|(?<=\s)[-–—](?=\s))[\s:]*""",
    re.IGNORECASE | re.VERBOSE,
)
_SENTENCE_END = re.compile(r"[.!?;] |,? (?:because|since|rather than|instead of)\b|, not ")


def last_stated(text: str) -> tuple[str, ...]:
    """What follows the last "answer is": the rest of the line and, if shorter, its first sentence without reasons
    ("because …") and ruled-out answers ("rather than …"). () if nothing does; "this option is …" does not count."""
    text = text.replace("**", "").replace("`", "").strip()
    starts = [match.end() for match in _STATED.finditer(text) if match.end() < len(text)]
    if not starts:
        return ()
    line = " ".join(_bounded(text[starts[-1] :].splitlines()[0]).split())
    return _distinct([line, _SENTENCE_END.split(line, maxsplit=1)[0]])


def _end_of_thinking(text: str) -> int:
    position = text.rfind("</think>")
    return 0 if position < 0 else position + len("</think>")


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for text in texts if (stripped := text.strip())))


def normalise(text: str) -> str:
    """The text as it is compared; "" only for blank text.

    >>> normalise("The  Twenty-One red cars!"), normalise("1,000.0"), normalise("Vitamin A")
    ('21 red cars', '1000', 'vitamin a')
    """
    words = list(_numerals(_simplified(text).split()))
    kept = [word for word in words[:-1] if word not in _ARTICLES] + words[-1:]  # a last word is not an article
    return " ".join(kept) or " ".join(text.casefold().split())


_ARTICLES = frozenset({"a", "an", "the"})
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
    (re.compile(r"[\s,;:!?\"“”()\[\]{}`|~_*#$€£\\]+"), " "),
    (re.compile(r"%"), " percent "),
    (re.compile(r"&"), " and "),
)
_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]{1,2})?|[-+]?[0-9]+/0*[1-9][0-9]*")
_LONGEST_NUMBER = 64  # characters; longer digits stay text, which Python's own limit on integers would refuse


def _simplified(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE_NFKC)).casefold().replace("\u2044", "/")
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
    if len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word):
        return str(Fraction(word))
    return _SAME_WORD.get(word, word)
