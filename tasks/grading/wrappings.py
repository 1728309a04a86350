"""Texts without what only wraps them: emphasis, quotes, mathematics delimiters and LaTeX styles."""

import re

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
