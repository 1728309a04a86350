"""Values from outside: which of them say nothing, and how they are shown inside a message."""

import math


def quote(value: object, limit: int = 80) -> str:
    """A value on one line, quoted, with nothing unprintable, cut to `limit` characters before quoting."""
    text = str(value)
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def is_absent(value: object) -> bool:
    """Whether a cell says nothing: null, NaN (what pandas writes for null), blank text, an empty list or object."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, list | tuple | dict) and not value
