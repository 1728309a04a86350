"""Numbers written as English words: twenty-one, five million, two thirds."""

import re
from fractions import Fraction

from uniopd_mm.tasks.grading.math_vocabulary import MULTIPLIERS, NUMBERS

_WORD_NUMBER = re.compile(r"[a-z]+(?:[ -][a-z]+){0,12}")
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_PARTS |= {"halve": 2, "ninth": 9, "tenth": 10, "hundredth": 100}


def number_in_words(text: str) -> Fraction | None:
    """The number that English words are: twenty-one, five million, two thirds."""
    if not _WORD_NUMBER.fullmatch(text.lower().strip()):
        return None
    words = [word for word in re.split("[ -]", text.lower().strip()) if word not in ("and", "a")]
    part = _PARTS.get(words[-1]) or _PARTS.get(words[-1].removesuffix("s")) if words else None
    if part and (len(words) == 1 or (above := number_in_words(" ".join(words[:-1]))) is not None):
        return Fraction(1, part) if len(words) == 1 else above and above / part
    total, group = 0, 0
    for word in words:
        if word in NUMBERS:
            if group % 10 or (group % 100 and NUMBERS[word] >= 10):
                return None
            group += NUMBERS[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word.isascii() and word in MULTIPLIERS and word not in ("gross", "score", "mn", "bn", "mio", "mrd"):
            total, group = total + max(group, 1) * MULTIPLIERS[word], 0
        else:
            return None
    return Fraction(total + group) if words else None
