"""Text from models and data sets as it stands on a page: of bounded length, and without characters that act on it."""

import unicodedata

MAX_TEXT = 6000  # characters
_LAYOUT = "\n\t"


def shown(text: object, most: int = MAX_TEXT) -> str:
    """The text with control and formatting characters (NUL, ANSI escapes, marks of writing direction) as escapes such
    as \\x1b, and the middle left out above `most` characters. The end is kept, because answers stand there."""
    given = str(text)
    if len(given) > most:
        half = most // 2
        given = f"{given[:half]}[... {len(given) - 2 * half} characters ...]{given[-half:]}"
    return "".join(map(_visible, given))


def _visible(letter: str) -> str:
    acts = unicodedata.category(letter) in ("Cc", "Cf") and letter not in _LAYOUT and letter not in "\u200c\u200d"
    return letter.encode("unicode_escape").decode() if acts else letter
