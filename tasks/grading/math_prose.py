"""Answers in words: whether two say the same, and whether a sentence can be told from a value."""

import re

from uniopd_mm.tasks.grading.answers import normalise
from uniopd_mm.tasks.grading.math_spelling import is_words, squeezed, without_text, words_of

PROSE = 5  # words, from which on a text is a sentence
_WORD = re.compile(r"[^\W\d_]{2,}")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NOTHING = frozenset(
    {"no solution", "no solutions", "no real solution", "no real solutions", "none", "empty set", "no answer", "dne"}
    | {"does not exist", "undefined", "not defined", "diverges", "impossible", "no such number", "infinity", "infinite"}
    | {"not possible", "no value", "no values", "no limit", "indeterminate", "never", "not exist", "it diverges"}
)
_OF_NOTHING = (r"\emptyset", r"\infty", r"-\infty", r"\text{DNE}", r"\{\}", r"\mathbb{R}")


def is_prose(text: str) -> bool:
    """Whether a text is a sentence."""
    return is_words(text) and len(words_of(text)) >= PROSE


def compare_words(expected: str, given: str) -> bool | None:
    """Whether two texts, of which one at least is words, say the same. Long sentences cannot be told apart unless their
    numbers differ; a word is not a number."""
    texts = [normalise(without_text(text)) for text in (expected, given)]
    if texts[0] == texts[1]:
        return _same_case(without_text(expected), without_text(given))
    nothing = [
        text in _NOTHING or source.strip() in _OF_NOTHING for text, source in zip(texts, (expected, given), strict=True)
    ]
    if all(nothing):
        return None
    counts = [len(_WORD.findall(text)) for text in texts]
    numbers = [_NUMBER.findall(text) for text in texts]
    if (
        all(count for count in counts)
        and numbers[0] != numbers[1]
        and sorted(numbers[0]) != numbers[1]
        and len(numbers[0]) == len(numbers[1])
    ):
        return False
    if counts[0] >= PROSE:
        return None
    if counts[1] >= PROSE or (is_words(given) and not is_words(expected)):
        return None if _holds(given, expected) else False
    return (
        None
        if set(texts[0].split()) == set(texts[1].split()) and numbers[0] == numbers[1] and not _is_one_word(texts)
        else False
    )


def _same_case(expected: str, given: str) -> bool | None:
    """Words in any case are the same; single letters are not."""
    letters = [re.findall(r"(?<![^\W_])[^\W\d_](?![^\W_])", text) for text in (expected, given)]
    pairs = zip(*letters, strict=False) if len(letters[0]) == len(letters[1]) else ()
    return (
        None
        if any(one != other and one.lower() == other.lower() and one.lower() not in "ai" for one, other in pairs)
        else True
    )


def _is_one_word(texts: list[str]) -> bool:
    return all(len(text.split()) == 1 for text in texts)


def _holds(sentence: str, value: str) -> bool:
    """Whether a sentence names a value."""
    wanted = re.escape(squeezed(value))
    return (
        re.search(rf"(?<![0-9A-Za-z.]){wanted}(?![0-9A-Za-z])", squeezed(sentence) + " " + without_text(sentence))
        is not None
    )
